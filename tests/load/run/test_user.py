"""A user: registered with measurement, patient with a busy registrar, closed without a trace."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from softphone.errors import (
    ConfigurationError,
    ConnectionLost,
    LocalProtocolError,
    RegistrationRefused,
    TransportError,
)
from softphone.load.measure import Tally
from softphone.load.run import user as room
from softphone.load.run.user import LoadUser


class Account:
    """An account whose registrar gives these answers, one a start; 0 is a welcome, a pair has a
    Retry-After, and an exception is raised."""

    def __init__(self, config, answers):
        self.config = config
        self.answers = answers
        self.aor = "sip:a@h"
        self.closed = False

    async def start(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, retry_after = answer if isinstance(answer, tuple) else (answer, 0.0)
        if status:
            raise RegistrationRefused("no", status=status, retry_after=retry_after)

    async def close(self):
        self.closed = True


class Config:
    """A configuration with a registrar."""

    registrar = "sip:h"


@pytest.fixture
def user(monkeypatch):
    """`user(503, 0)`: a user and its tally; the registrar first says 503, then welcomes."""

    def make(*answers, config=Config):
        tally, left = Tally(), list(answers)
        monkeypatch.setattr(room, "Account", lambda config, setup: Account(config, left))
        monkeypatch.setattr(room, "FIRST_WAIT", 0.001)
        return LoadUser(1, config, None, tally=lambda: tally, clock=lambda: 5.0), tally

    return make


async def test_a_registration_is_counted_and_timed(user):
    made, tally = user(0)
    await made.register()
    assert made.is_registered
    assert (tally.registrations, tally.registered, tally.registration_ms.total) == (1, 1, 1)
    account = made.account
    await made.close()
    assert account.closed
    assert not made.is_registered


async def test_a_user_that_is_registering_cannot_call_yet(user, monkeypatch):
    made, _ = user(0)
    ready = []

    async def start(_):
        ready.append(made.is_registered)

    monkeypatch.setattr(Account, "start", start)
    await made.register()
    assert (ready, made.is_registered) == ([False], True)


async def test_a_refusal_is_counted_by_cause(user):
    made, tally = user(403)
    with pytest.raises(RegistrationRefused):
        await made.register(tries=4)
    assert tally.registrations_failed == {"403 Forbidden": 1}
    assert made.refusal == "403 Forbidden"
    with pytest.raises(LocalProtocolError):
        _ = made.account


async def test_a_busy_registrar_is_asked_again(user):
    made, tally = user(503, 503, 0)
    await made.register(tries=4)
    assert made.is_registered
    assert made.refusal == ""
    assert (tally.registrations, tally.registered, tally.retried) == (3, 1, 2)
    assert tally.registrations_failed == {"503 Service Unavailable": 2}


async def test_one_that_loses_the_connection_is_asked_again(user):
    lost = ConnectionLost("no answer to our REGISTER")
    made, tally = user(lost, lost, 0)
    await made.register(tries=4)
    assert (tally.registrations, tally.registered, tally.retried) == (3, 1, 2)
    assert tally.registrations_failed == {"connection lost": 2}
    made, tally = user(lost, lost)
    with pytest.raises(ConnectionLost):
        await made.register(tries=2)
    assert (tally.registrations, tally.retried) == (2, 1)


async def test_one_that_cannot_be_reached_is_not(user):
    made, tally = user(TransportError("cannot be reached"))
    with pytest.raises(TransportError):
        await made.register(tries=4)
    assert (tally.registrations, tally.retried) == (1, 0)


async def test_but_not_for_ever(user):
    made, tally = user(503, 503, 503)
    with pytest.raises(RegistrationRefused):
        await made.register(tries=2)
    assert (tally.registrations, tally.retried) == (2, 1), "the last attempt is the user's failure"


@pytest.fixture
def waits(monkeypatch):
    """The waits, none of which takes any time."""
    kept = []

    async def sleep(seconds):
        kept.append(seconds)

    monkeypatch.setattr(room, "asyncio", SimpleNamespace(sleep=sleep))
    return kept


async def test_a_registrar_is_not_asked_before_its_retry_after_is_over(user, waits):
    made, tally = user(*[(503, 7.0)] * 5, 503, 0)
    await made.register(tries=7)
    assert made.is_registered
    assert waits[:5] == pytest.approx([7.0 + 0.001 / 8] * 5)
    assert waits[5] == pytest.approx(0.001 * 2**5 * (0.5 + 1 / 8))
    assert tally.registrations_failed == {"503 Service Unavailable": 6}


async def test_one_that_says_when_is_asked_more_often_and_not_for_ever(user, waits):
    made, tally = user(*[(503, 1.0)] * 9)
    with pytest.raises(RegistrationRefused):
        await made.register(tries=3)
    assert (tally.registrations, len(waits)) == (9, 8)


@pytest.mark.parametrize(("answer", "tries"), [((503, 301.0), 4), ((503, 1.0), 1), ((403, 1.0), 4)])
async def test_one_that_wants_long_peace_has_it(user, waits, answer, tries):
    made, _ = user(answer)
    with pytest.raises(RegistrationRefused):
        await made.register(tries=tries)
    assert waits == []


async def test_a_user_that_waits_lets_others_through_the_gate(user, monkeypatch):
    gate = asyncio.Semaphore(1)
    free = []

    async def sleep(_):
        free.append(not gate.locked())

    monkeypatch.setattr(room, "asyncio", SimpleNamespace(sleep=sleep))
    made, _ = user((503, 1.0), 503, 0)
    await made.register(tries=4, gate=gate)
    assert free == [True, True]
    assert not gate.locked()


async def test_once_it_is_not_worth_while_any_more_it_is_not_asked(user):
    made, tally = user((503, 2.0), 0)
    waited = []

    async def pause(seconds):
        waited.append(seconds)
        return False

    with pytest.raises(RegistrationRefused):
        await made.register(tries=4, pause=pause)
    assert waited == pytest.approx([2.0 + 0.001 / 8])
    assert (made.is_registered, tally.registrations, tally.retried) == (False, 1, 0)


async def test_a_certificate_of_ours_that_is_no_good_is_counted_too(user):
    def broken():
        raise ConfigurationError("our certificate expired")

    made, tally = user(config=broken)
    with pytest.raises(ConfigurationError):
        await made.register()
    assert tally.registrations_failed == {"own configuration": 1}


async def test_a_user_that_only_calls_registers_nowhere(user):
    class Direct:
        registrar = None

    made, tally = user(0, config=Direct)
    await made.register()
    assert (made.is_registered, tally.registrations, tally.registered) == (True, 0, 0)
