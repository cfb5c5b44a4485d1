"""The question of the compliance hook: typed, and silent about the text."""

from __future__ import annotations

from softphone.messaging.compliance import ALLOW, Deny, HookChain, PendingMessage, Redact
from softphone.messaging.message import EncryptionScope, MessageDirection


def test_neither_question_nor_answer_shows_the_text():
    question = PendingMessage(
        MessageDirection.SENT,
        "a@b",
        "c@d",
        "a@b",
        "1",
        False,
        EncryptionScope.CLIENT_TO_SERVER,
        10,
        "the secret",
    )
    assert "the secret" not in repr(question) + repr(Redact("the secret"))
    assert question.body == "the secret"


class Says:
    def __init__(self, decision):
        self.decision, self.heard = decision, []

    async def decide(self, question):
        self.heard.append((question.body, question.size))
        return self.decision


async def test_hooks_in_a_row_see_what_those_before_have_redacted():
    question = PendingMessage(
        MessageDirection.SENT,
        "a@b",
        "c@d",
        "a@b",
        "1",
        False,
        EncryptionScope.CLIENT_TO_SERVER,
        6,
        "secret",
    )
    first, second, last = Says(Redact("…")), Says(ALLOW), Says(Deny("no"))
    assert await HookChain((first, second)).decide(question) == Redact("…")
    assert second.heard == [("…", 3)]
    assert await HookChain((second, first)).decide(question) == Redact("…")
    assert await HookChain((last, first)).decide(question) == Deny("no")
    assert len(first.heard) == 2
    assert await HookChain((Says("nonsense"),)).decide(question) == "nonsense"
