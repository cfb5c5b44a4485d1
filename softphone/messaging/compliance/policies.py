"""Compliance policies, asked before a message, a file or a capture is sent or shown.

A policy returns Allow, Deny with a reason, or Redact.  The first Deny is final, and a policy that
fails or does not answer in time denies.  Messages encrypted client to client have no text here:
it cannot be logged.  The module sends nothing and writes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol, TypeAlias

from softphone.messaging.compliance.hook import ALLOW, Allow, Decision, Deny, PendingMessage, Redact
from softphone.messaging.message import MessageDirection

logger = logging.getLogger("softphone.messaging")


class ContentKind(StrEnum):
    """What is about to leave, or to be shown."""

    MESSAGE = "message"
    FILE = "file"
    CAPTURE = "capture"


Content: TypeAlias = Callable[[], AsyncIterator[bytes]]
"""The bytes of a file, from its beginning each time."""


@dataclass(frozen=True, slots=True)
class ComplianceEvent:
    """What policies are asked about.

    `own` is our bare JID, `peer` the other's or the room's.  `type` is what the content is,
    `name` what the file is called.  `body` is a message's text, None client to client; `content`
    gives a file's bytes, piece by piece, and raises TransferError once they are not those that
    `size` and `sha256` are of.
    """

    kind: ContentKind
    direction: MessageDirection
    own: str
    peer: str
    size: int
    name: str = ""
    type: str = ""
    sha256: str = ""
    room: bool = False
    body: str | None = field(default=None, repr=False)
    content: Content | None = field(default=None, repr=False, compare=False)


class CompliancePolicy(Protocol):
    """Who decides."""

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Allow, deny or redact."""


async def ask_policies(
    policies: Sequence[CompliancePolicy], event: ComplianceEvent, *, within: float = 10.0
) -> Decision:
    """What all policies together say, in their order; each sees what those before have redacted.

    A file cannot be redacted: that is a Deny.
    """
    changed = event
    for policy in policies:
        try:
            async with asyncio.timeout(within):
                decision = await policy.decide(changed)
        except Exception as exc:
            # Fail closed: any other outcome is a Deny.
            logger.warning(
                "%s did not decide: %s", type(policy).__name__, exc or type(exc).__name__
            )
            return Deny("the compliance policy did not decide")
        if isinstance(decision, Deny):
            return decision
        if isinstance(decision, Redact):
            if changed.kind is not ContentKind.MESSAGE or changed.body is None:
                return Deny("what cannot be read cannot be redacted")
            changed = replace(changed, body=decision.body, size=len(decision.body.encode()))
        elif not isinstance(decision, Allow):
            return Deny("the compliance policy did not decide")
    if changed is event or changed.body is None:
        return ALLOW
    return Redact(changed.body)


@dataclass(frozen=True, slots=True)
class FileSizePolicy:
    """Files of `most` bytes at most."""

    most: int

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Deny what is larger."""
        if event.kind is ContentKind.MESSAGE or event.size <= self.most:
            return ALLOW
        return Deny(f"the file has {event.size} bytes; {self.most} are allowed")


@dataclass(frozen=True, slots=True)
class FileTypePolicy:
    """Files of some types only, by their content and by the end of their name.

    `allowed` are media types, "image/*" too; `forbidden_endings` are those of names.
    """

    allowed: Collection[str]
    forbidden_endings: Collection[str] = (".exe", ".js", ".vbs", ".scr", ".bat", ".cmd", ".ps1")

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Deny what is of another type, whatever its name."""
        if event.kind is ContentKind.MESSAGE:
            return ALLOW
        family = f"{event.type.partition('/')[0]}/*"
        if event.type not in self.allowed and family not in self.allowed:
            return Deny(f"the content is {event.type}, which is not allowed")
        if event.name.lower().rstrip(". ").endswith(tuple(self.forbidden_endings)):
            return Deny("a name with this ending is not allowed")
        return ALLOW


@dataclass(frozen=True, slots=True)
class DomainPolicy:
    """An ethical wall: only with people of these domains."""

    allowed: Collection[str]

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Deny what goes to, or comes from, another domain."""
        domain = event.peer.partition("/")[0].rpartition("@")[2].lower()
        if domain in {each.lower() for each in self.allowed}:
            return ALLOW
        return Deny(f"there is a wall between us and {domain}")


@dataclass(frozen=True, slots=True)
class NoFilesPolicy:
    """File transfer as a whole, captures with it, is off."""

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Deny every file."""
        return ALLOW if event.kind is ContentKind.MESSAGE else Deny("file transfer is switched off")


@dataclass(frozen=True, slots=True)
class NoCapturesPolicy:
    """Captures of the screen are off."""

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Deny every capture."""
        if event.kind is ContentKind.CAPTURE:
            return Deny("captures of the screen are switched off")
        return ALLOW


@dataclass(frozen=True, slots=True)
class MessageCompliance:
    """These policies as the hook of messages."""

    policies: Sequence[CompliancePolicy]
    within: float = 10.0

    async def decide(self, question: PendingMessage) -> Decision:
        """What the policies say about a message."""
        event = ComplianceEvent(
            ContentKind.MESSAGE,
            question.direction,
            question.own,
            question.peer,
            question.size,
            room=question.room,
            body=question.body,
        )
        return await ask_policies(self.policies, event, within=self.within)
