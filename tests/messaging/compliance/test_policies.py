"""Policies together: the first denial, redaction in turn, and closed when one fails."""

from __future__ import annotations

import asyncio

import pytest

from softphone.messaging.compliance import (
    ALLOW,
    ComplianceEvent,
    ContentKind,
    Deny,
    MessageCompliance,
    PendingMessage,
    Redact,
    ask_policies,
)
from softphone.messaging.compliance.policies import (
    DomainPolicy,
    FileSizePolicy,
    FileTypePolicy,
    NoCapturesPolicy,
    NoFilesPolicy,
)
from softphone.messaging.message import EncryptionScope, MessageDirection


def event(kind=ContentKind.FILE, **more):
    values = {"own": "a@x.test", "peer": "b@y.test/phone", "size": 100, "type": "image/png"}
    return ComplianceEvent(kind, MessageDirection.SENT, **{**values, **more})


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
        (FileSizePolicy(100), event(), True),
        (FileSizePolicy(99), event(), False),
        (FileSizePolicy(99), event(ContentKind.MESSAGE), True),
        (FileTypePolicy({"image/*"}), event(), True),
        (FileTypePolicy({"image/jpeg"}), event(), False),
        (FileTypePolicy({"image/*"}), event(name="x.png.EXE"), False),
        (FileTypePolicy({"image/*"}), event(name="x.js ."), False),
        (FileTypePolicy({"image/*"}), event(type="application/x-msdownload", name="x.png"), False),
        (DomainPolicy({"Y.test"}), event(), True),
        (DomainPolicy({"x.test"}), event(), False),
        (DomainPolicy({"x.test"}), event(peer="b@y.test/evil@x.test"), False),
        (NoFilesPolicy(), event(ContentKind.CAPTURE), False),
        (NoFilesPolicy(), event(ContentKind.MESSAGE), True),
        (NoCapturesPolicy(), event(), True),
        (NoCapturesPolicy(), event(ContentKind.CAPTURE), False),
    ],
)
async def test_what_is_built_in(policy, asked, allowed):
    assert isinstance(await ask_policies((policy,), asked), Deny) is not allowed


async def test_the_first_denial_is_the_last_word():
    after = Says(ALLOW)
    assert await ask_policies((Says(ALLOW), Says(Deny("no")), after), event()) == Deny("no")
    assert after.seen == []
    assert await ask_policies((), event()) == ALLOW


@pytest.mark.parametrize("answer", [ZeroDivisionError("text"), None, "yes", True, "silence"])
async def test_who_does_not_decide_denies(answer):
    assert isinstance(await ask_policies((Says(answer),), event(), within=0.05), Deny)


async def test_the_next_sees_what_was_redacted_and_a_file_cannot_be():
    after = Says(Redact("***"))
    asked = event(ContentKind.MESSAGE, body="card 1234")
    assert await ask_policies((Says(Redact("card")), after), asked) == Redact("***")
    assert [each.body for each in after.seen] == ["card"]
    assert isinstance(await ask_policies((Says(Redact("x")),), event()), Deny)
    assert isinstance(await ask_policies((Says(Redact("x")),), event(ContentKind.MESSAGE)), Deny)


async def test_a_message_s_text_is_in_the_question_only_when_it_may_be():
    policy = Says(ALLOW)
    question = PendingMessage(
        MessageDirection.SENT,
        "a@x.test",
        "b@y.test",
        "a@x.test",
        "1",
        False,
        EncryptionScope.CLIENT_TO_CLIENT,
        9,
    )
    assert await MessageCompliance((policy,)).decide(question) == ALLOW
    assert (policy.seen[0].body, policy.seen[0].size) == (None, 9)
    assert "secret" not in repr(event(ContentKind.MESSAGE, body="secret"))
