"""The compliance hook's interface: it decides before a message is sent and before one is shown.

The question never contains the text of a message encrypted client to client: it cannot be logged.
This file defines the question and the answers; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from softphone.messaging.message import EncryptionScope, MessageDirection


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """A message that is about to leave, or to be shown.

    `own` is our bare JID and `peer` the other's, or the room's.  `body` is None client to client;
    `size` is that of the text in UTF-8.
    """

    direction: MessageDirection
    own: str
    peer: str
    sender: str
    id: str
    room: bool
    scope: EncryptionScope
    size: int
    body: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Allow:
    """The message goes on as it is."""


@dataclass(frozen=True, slots=True)
class Deny:
    """Stops the message; `reason` is shown to our user."""

    reason: str


@dataclass(frozen=True, slots=True)
class Redact:
    """The message goes on with another text; a client-to-client one cannot, and is denied."""

    body: str = field(repr=False)


Decision: TypeAlias = Allow | Deny | Redact
ALLOW = Allow()


class MessageHook(Protocol):
    """Decides on messages.  An exception or a late answer counts as Deny."""

    async def decide(self, question: PendingMessage) -> Decision:
        """Allow, deny or redact."""


@dataclass(frozen=True, slots=True)
class HookChain:
    """Several hooks as one: each sees what those before have redacted; one denial is enough."""

    hooks: Sequence[MessageHook]

    async def decide(self, question: PendingMessage) -> Decision:
        """Ask the hooks in order; return the combined decision."""
        outcome: Decision = ALLOW
        for hook in self.hooks:
            decision = await hook.decide(question)
            if isinstance(decision, Redact) and question.body is not None:
                size = len(decision.body.encode("utf-8", "replace"))
                question = replace(question, body=decision.body, size=size)
                outcome = decision
            elif not isinstance(decision, Allow):
                return decision
        return outcome
