from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from softphone.errors import CertificateUnknown, ConfigurationError
from softphone.net.stream import CertificatePrompts
from softphone.trust import Service, ServiceEndpoint, der_of, question_about
from tests.support.certificates import HOST, foreign
from tests.support.recorder import until


def about(host="pbx.test"):
    leaf = der_of(foreign().server(HOST).certificate)
    place = ServiceEndpoint(Service.SIP, host, 5061, HOST)
    return question_about(leaf, place, reason="unknown", wall=datetime.now(UTC))


class Person:
    """Somebody who answers when a test says so."""

    def __init__(self):
        self.asked = []
        self.answers = asyncio.get_running_loop().create_future()
        self.withdrawn = 0

    async def __call__(self, question):
        self.asked.append(question.host)
        try:
            return await asyncio.shield(self.answers)
        except asyncio.CancelledError:
            self.withdrawn += 1
            raise


async def test_the_same_question_is_put_once_and_all_get_the_answer():
    person = Person()
    questions, same = CertificatePrompts(person), about()
    waiting = [asyncio.ensure_future(questions(same)) for _ in range(3)]
    other = asyncio.ensure_future(questions(about("elsewhere.test")))
    await until(lambda: len(person.asked) == 2)
    person.answers.set_result(True)
    assert await asyncio.gather(*waiting, other) == [True] * 4
    assert person.asked == ["pbx.test", "elsewhere.test"]


async def test_an_answered_question_may_be_put_again():
    person = Person()
    questions = CertificatePrompts(person)
    person.answers.set_result(False)
    assert [await questions(about()), await questions(about())] == [False, False]
    assert len(person.asked) == 2


async def test_a_question_that_nobody_waits_for_is_withdrawn():
    person = Person()
    questions, same = CertificatePrompts(person), about()
    waiting = [asyncio.ensure_future(questions(same)) for _ in range(2)]
    await until(lambda: person.asked)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    assert person.withdrawn == 0
    waiting[1].cancel()
    await asyncio.wait(waiting)
    await until(lambda: person.withdrawn == 1)


async def test_who_fails_to_answer_has_refused(caplog):
    async def broken(question):
        raise KeyError("a bug")

    with pytest.raises(CertificateUnknown, match="nobody could be asked: KeyError"):
        await CertificatePrompts(broken)(about())
    assert "has failed" in caplog.text


async def test_an_error_of_ours_is_passed_on():
    async def forbidden(question):
        raise ConfigurationError("not here")

    with pytest.raises(ConfigurationError, match="not here"):
        await CertificatePrompts(forbidden)(about())
