"""What is done with every message: the hook fails closed, and sees nothing of what is secret."""

from __future__ import annotations

import asyncio

import pytest

from softphone.errors import MessageRefused, TransportError
from softphone.messaging.compliance import ALLOW, Deny, Redact
from softphone.messaging.config import HistoryConfig
from softphone.messaging.delivery import MessageProcessor
from softphone.messaging.message import EncryptionScope
from tests.messaging.delivery.test_history import said

CLEAR, SECRET = said("a@x", "the text"), said("a@x", "the text", EncryptionScope.CLIENT_TO_CLIENT)


class Hook:
    def __init__(self, decision=ALLOW, *, error=None, forever=False):
        self.questions = []
        self._decision, self._error, self._forever = decision, error, forever

    async def decide(self, question):
        self.questions.append(question)
        if self._error is not None:
            raise self._error
        if self._forever:
            await asyncio.Event().wait()
        return self._decision


def clerk(hook=None, **history) -> MessageProcessor:
    return MessageProcessor("me@x", HistoryConfig(**history), hook, patience=0.01)


async def test_it_allows_redacts_and_denies():
    assert await clerk().apply_hook(CLEAR) is CLEAR
    assert await clerk(Hook()).apply_hook(CLEAR) is CLEAR
    for seen in (CLEAR, said("a@x", "the text", EncryptionScope.CLIENT_TO_EDGE)):
        assert (await clerk(Hook(Redact("…"))).apply_hook(seen)).body == "…"
    with pytest.raises(MessageRefused, match="not here"):
        await clerk(Hook(Deny("not here"))).apply_hook(CLEAR)


@pytest.mark.parametrize(
    "hook", [Hook(error=OSError("down")), Hook(forever=True), Hook("nonsense")]
)
async def test_a_hook_that_fails_or_is_silent_denies(hook):
    with pytest.raises(MessageRefused):
        await clerk(hook).apply_hook(CLEAR)


async def test_the_text_of_what_is_encrypted_end_to_end_is_not_asked_about():
    hook = Hook()
    await clerk(hook).apply_hook(SECRET)
    await clerk(hook).apply_hook(CLEAR)
    assert [question.body for question in hook.questions] == [None, "the text"]
    assert [question.size for question in hook.questions] == [8, 8]
    with pytest.raises(MessageRefused, match="redacted"):
        await clerk(Hook(Redact("…"))).apply_hook(SECRET)


class Archive:
    def __init__(self, error=None):
        self.kept, self._error = [], error

    async def add_message(self, message):
        if self._error is not None:
            raise self._error
        self.kept.append(message)


@pytest.mark.parametrize(("allowed", "kept"), [(False, [CLEAR]), (True, [CLEAR, SECRET])])
async def test_what_is_encrypted_end_to_end_is_archived_only_where_policy_allows(allowed, kept):
    one = clerk(archive="sqlite+aiosqlite://", archive_client_to_client=allowed)
    one.archive = Archive()
    for message in (CLEAR, SECRET):
        await one.record_message(message)
    assert one.archive.kept == kept
    assert one.history.messages_with("a@x") == (CLEAR, SECRET)


@pytest.mark.parametrize(
    ("error", "told"),
    [(TransportError("full"), "not archived: full"), (ValueError("the text"), "(ValueError)")],
)
async def test_an_archive_that_fails_is_told_of(caplog, error, told):
    one = clerk(archive="sqlite+aiosqlite://")
    one.archive = Archive(error)
    await one.record_message(CLEAR)
    assert told in caplog.text
    assert "the text" not in caplog.text


@pytest.mark.parametrize(("disable", "left"), [(False, 1), (True, 0)])
async def test_history_goes_with_the_window_where_it_is_disabled(disable, left):
    one = clerk(disable_history=disable)
    await one.record_message(CLEAR)
    one.conversation_closed("a@x")
    assert len(one.history) == left
