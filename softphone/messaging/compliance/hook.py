"""The interface of compliance hooks, which decide before a message is sent or shown.

The question never contains the text of a message encrypted client to client, so that text cannot be
logged.  This module defines the question and the answers; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from softphone.messaging.message import EncryptionScope, MessageDirection


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """A message that is about to be sent or shown.

    `own` is our bare JID and `peer` the other's, or the room's.  `body` is None for a message
    encrypted client to client; `size` is that of the text in UTF-8, in bytes.
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
    """Lets the message pass unchanged."""


@dataclass(frozen=True, slots=True)
class Deny:
    """Stops the message; `reason` is shown to our user."""

    reason: str


@dataclass(frozen=True, slots=True)
class Redact:
    """Replaces the text of the message; one encrypted client to client is denied instead."""

    body: str = field(repr=False)


Decision: TypeAlias = Allow | Deny | Redact
ALLOW = Allow()


class MessageHook(Protocol):
    """Decides on messages.  An exception or a late answer counts as Deny."""

    async def decide(self, question: PendingMessage) -> Decision:
        """Return Allow, Deny or Redact for a message."""


@dataclass(frozen=True, slots=True)
class HookChain:
    """Several hooks as one: each gets the text as redacted so far; one denial is enough."""

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
