"""What is known of the far end of a call: by our own verification, or by a server's word.

Forks are far ends of their own: a word counts for the one that it came from.
"""

from __future__ import annotations

from collections.abc import Callable

from softphone.call.leg.security import direct_far_end
from softphone.personas import StandardPersona
from softphone.sans_io import Flow, Side
from softphone.security import SecurityLevel
from softphone.sip import InviteUsage, Request, Response

__all__ = ["FarEndSecurity"]

MAXIMUM_SPEAKERS = 32
"""Forks whose word about the far end is kept."""


class FarEndSecurity:
    """The far ends of one call.

    `speaker` is the tag of the one that the session is with.  `vouched` says whether the server
    at the other end of a flow speaks for far ends; with `direct` there is no server.
    """

    def __init__(
        self, persona: StandardPersona, vouched: Callable[[Flow | None], bool], *, direct: bool
    ) -> None:
        self.remote_tag = ""
        self._persona = persona
        self._vouched = vouched
        self._direct = direct
        self._words: dict[str, SecurityLevel | None] = {}
        self._reported: tuple[str, ...] = ()

    @property
    def level(self) -> SecurityLevel | None:
        """The level of the far end that the session is with; None while nobody has said."""
        return self._words.get(self.remote_tag)

    @property
    def by_word(self) -> bool:
        """Whether that is somebody's word and not our own verification."""
        return self.remote_tag in self._reported

    def remote_tag_of(self, message: Request | Response) -> str:
        """The far end's tag: a request is theirs, a response answers ours."""
        tag = message.from_.tag if isinstance(message, Request) else message.to.tag
        return tag or self.remote_tag

    def note_message(
        self,
        message: Request | Response,
        usage: InviteUsage | None,
        flow: Flow | None,
        *,
        only_lower: bool = False,
    ) -> None:
        """Take the word that a message may bring; with `only_lower` only one that is worse."""
        speaker = self.remote_tag_of(message)
        if speaker not in self._words and len(self._words) >= MAXIMUM_SPEAKERS:
            return
        direct = self._verified(message, usage, flow) if self._direct else None
        vouched = direct is not None or self._vouched(flow)
        word = self._persona.report_far_end(message, vouched=vouched)
        if word.reported:
            if not only_lower or _is_lower(word.level, self._words.get(speaker)):
                self._words[speaker] = word.level
                if speaker not in self._reported:
                    self._reported = (*self._reported, speaker)
        elif direct is not None:
            self._words.setdefault(speaker, direct)

    @staticmethod
    def _verified(
        message: Request | Response, usage: InviteUsage | None, flow: Flow | None
    ) -> SecurityLevel | None:
        called = usage is not None and usage.side is Side.SERVER
        caller = usage.remote.uri if usage is not None and called else None
        return direct_far_end(message, flow, caller=caller)


def _is_lower(new: SecurityLevel | None, old: SecurityLevel | None) -> bool:
    """Whether a word takes something away; "unknown" is less than anything known."""
    if old is None:
        return new is SecurityLevel.NOT_SECURE
    return new is None or new < old
