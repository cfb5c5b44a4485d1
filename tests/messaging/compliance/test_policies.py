"""Policies together: the first denial, redaction in turn, and closed when one fails."""

from __future__ import annotations

import asyncio

import pytest

from softphone.messaging.compliance import (
    ALLOW,
    ComplianceEvent,
    Deny,
    Kind,
    MessageCompliance,
    Question,
    Redact,
    decide,
)
from softphone.messaging.compliance.policies import Captures, Domains, Files, Sizes, Types
from softphone.messaging.message import Direction, Reach


def event(kind=Kind.FILE, **more):
    values = {"own": "a@x.test", "peer": "b@y.test/phone", "size": 100, "type": "image/png"}
    return ComplianceEvent(kind, Direction.SENT, **{**values, **more})


class Says:
    def __init__(self, answer):
        self.answer, self.seen = answer, []

    async def decide(self, event):
        self.seen.append(event)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer == "silence":
            await asyncio.sleep(60)
        return self.answer


@pytest.mark.parametrize(
    ("policy", "asked", "allowed"),
    [
        (Sizes(100), event(), True),
        (Sizes(99), event(), False),
        (Sizes(99), event(Kind.MESSAGE), True),
        (Types({"image/*"}), event(), True),
        (Types({"image/jpeg"}), event(), False),
        (Types({"image/*"}), event(name="x.png.EXE"), False),
        (Types({"image/*"}), event(name="x.js ."), False),
        (Types({"image/*"}), event(type="application/x-msdownload", name="x.png"), False),
        (Domains({"Y.test"}), event(), True),
        (Domains({"x.test"}), event(), False),
        (Domains({"x.test"}), event(peer="b@y.test/evil@x.test"), False),
        (Files(), event(Kind.CAPTURE), False),
        (Files(), event(Kind.MESSAGE), True),
        (Captures(), event(), True),
        (Captures(), event(Kind.CAPTURE), False),
    ],
)
async def test_what_is_built_in(policy, asked, allowed):
    assert isinstance(await decide((policy,), asked), Deny) is not allowed


async def test_the_first_denial_is_the_last_word():
    after = Says(ALLOW)
    assert await decide((Says(ALLOW), Says(Deny("no")), after), event()) == Deny("no")
    assert after.seen == []
    assert await decide((), event()) == ALLOW


@pytest.mark.parametrize("answer", [ZeroDivisionError("text"), None, "yes", True, "silence"])
async def test_who_does_not_decide_denies(answer):
    assert isinstance(await decide((Says(answer),), event(), within=0.05), Deny)


async def test_the_next_sees_what_was_redacted_and_a_file_cannot_be():
    after = Says(Redact("***"))
    asked = event(Kind.MESSAGE, body="card 1234")
    assert await decide((Says(Redact("card")), after), asked) == Redact("***")
    assert [each.body for each in after.seen] == ["card"]
    assert isinstance(await decide((Says(Redact("x")),), event()), Deny)
    assert isinstance(await decide((Says(Redact("x")),), event(Kind.MESSAGE)), Deny)


async def test_a_message_s_text_is_in_the_question_only_when_it_may_be():
    policy = Says(ALLOW)
    question = Question(
        Direction.SENT, "a@x.test", "b@y.test", "a@x.test", "1", False, Reach.CLIENT_TO_CLIENT, 9
    )
    assert await MessageCompliance((policy,)).decide(question) == ALLOW
    assert (policy.seen[0].body, policy.seen[0].size) == (None, 9)
    assert "secret" not in repr(event(Kind.MESSAGE, body="secret"))
