"""Compliance policies, asked before a message, a file or a capture is sent or shown.

A policy returns Allow, Deny with a reason, or Redact.  The first Deny is final, and a policy that
fails or does not answer in time denies.  A message encrypted client to client has no text here, so
its text cannot be logged.  The module sends nothing and writes nothing.
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
    """The kind of content that is about to be sent or shown."""

    MESSAGE = "message"
    FILE = "file"
    CAPTURE = "capture"


Content: TypeAlias = Callable[[], AsyncIterator[bytes]]
"""Returns an iterator over the bytes of a file; each call starts at the beginning."""


@dataclass(frozen=True, slots=True)
class ComplianceEvent:
    """What policies are asked about: a message, a file or a capture.

    `own` is our bare JID, `peer` the other's or the room's.  `size` is in bytes; `type` is the
    media type by content, `name` the file's name.  `body` is a message's text, None if it is
    encrypted client to client.  `content` yields a file's bytes piece by piece; it raises
    TransferError if the file no longer has this `size` and `sha256`.
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
    """Decides on messages and files.  An exception or a late answer counts as Deny."""

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Return Allow, Deny or Redact for an event."""


async def ask_policies(
    policies: Sequence[CompliancePolicy], event: ComplianceEvent, *, within: float = 10.0
) -> Decision:
    """Ask the policies in order, each for at most `within` seconds; return the combined decision.

    Each policy gets the text as redacted so far.  The first Deny is final; an exception, a late
    answer, and a Redact of a file or of an encrypted message count as Deny.
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
    """Allows files of at most `most` bytes."""

    most: int

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Deny a larger file."""
        if event.kind is ContentKind.MESSAGE or event.size <= self.most:
            return ALLOW
        return Deny(f"the file has {event.size} bytes; {self.most} are allowed")


@dataclass(frozen=True, slots=True)
class FileTypePolicy:
    """Allows files of some media types only, by their content, and refuses some name endings.

    `allowed` are media types, also as "image/*"; `forbidden_endings` are in lower case.
    """

    allowed: Collection[str]
    forbidden_endings: Collection[str] = (".exe", ".js", ".vbs", ".scr", ".bat", ".cmd", ".ps1")

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Deny a file whose content has another type, or whose name has a forbidden ending."""
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
    """An ethical wall: allows communication with the domains `allowed` only."""

    allowed: Collection[str]

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Deny an event whose peer has another domain."""
        domain = event.peer.partition("/")[0].rpartition("@")[2].lower()
        if domain in {each.lower() for each in self.allowed}:
            return ALLOW
        return Deny(f"there is a wall between us and {domain}")


@dataclass(frozen=True, slots=True)
class NoFilesPolicy:
    """Denies all file transfers, including captures."""

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Deny every file and capture."""
        return ALLOW if event.kind is ContentKind.MESSAGE else Deny("file transfer is switched off")


@dataclass(frozen=True, slots=True)
class NoCapturesPolicy:
    """Denies screen captures."""

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Deny every capture."""
        if event.kind is ContentKind.CAPTURE:
            return Deny("captures of the screen are switched off")
        return ALLOW


@dataclass(frozen=True, slots=True)
class MessageCompliance:
    """A `MessageHook` that asks policies, each for at most `within` seconds."""

    policies: Sequence[CompliancePolicy]
    within: float = 10.0

    async def decide(self, question: PendingMessage) -> Decision:
        """Return the policies' combined decision on a message."""
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
