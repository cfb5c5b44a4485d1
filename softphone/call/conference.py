"""Conference: a local conference whose audio we mix.

    async with Conference() as conference:
        conference.join(alice)
        conference.join(bob)

Each member hears all others but not itself.  The conference is as secure as its least secure
member: see `security_level`, and `ConferenceChanged` in `events()`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from softphone.call.call import Call
from softphone.call.leg import EventQueue
from softphone.errors import LocalProtocolError
from softphone.events import CallState, SecurityChanged
from softphone.media import Source
from softphone.media.audio import ConferenceMixer, MixerMember, at_rate, detach_replaced
from softphone.media.tracks import open_source
from softphone.security import SecurityLevel, SecurityShortfall, Shortfall, ShortfallCode

FRAME = 0.02


@dataclass(frozen=True, slots=True)
class ConferenceChanged:
    """A member joined or left, or the lowest security level changed."""

    members: int
    level: SecurityLevel


@dataclass(slots=True)
class _Participant:
    member: MixerMember
    watch: asyncio.Task[None]
    whispered: Source | None = None


class Conference:
    """Calls on one mixer; leaving the `async with` block removes all of them and hangs up none.

    With `minimum`, a call below that level cannot join, and a member that falls below is removed.
    Without it, every member must meet the policies of all: a call that does not meet a member's
    policy, or whose policy a member does not meet, cannot join, and a member that falls below is
    removed.
    """

    def __init__(
        self, *, clock_rate_hz: int = 16_000, minimum: SecurityLevel | None = None
    ) -> None:
        self.minimum = minimum
        self._bridge = ConferenceMixer(clock_rate_hz)
        self._seats: dict[Call, _Participant] = {}
        self._mailbox: EventQueue[ConferenceChanged] = EventQueue()
        self._timer: asyncio.TimerHandle | None = None
        self._mixed = 0
        self._announced: Source | None = None

    @property
    def calls(self) -> tuple[Call, ...]:
        """The members."""
        return tuple(self._seats)

    @property
    def security_level(self) -> SecurityLevel:
        """The lowest level of all members; NOT_SECURE without members."""
        levels = [call.security.level for call in self._seats]
        return min(levels, default=SecurityLevel.NOT_SECURE)

    def events(self) -> AsyncIterator[ConferenceChanged]:
        """Iterate over the conference's events until it is closed."""
        return self._mailbox.events()

    def join(self, call: Call) -> None:
        """Add a call: it hears the other members instead of what was played to it.

        Raises LocalProtocolError for a call that is over or a member already, SecurityShortfall
        for one below `minimum`, or, without `minimum`, where its policy and the members' conflict.
        """
        if call in self._seats:
            raise LocalProtocolError("the call is in the conference already")
        missing = self._missing(call, *self._seats)
        for present in self._seats if self.minimum is None else ():
            missing += self._missing(present, call)
        if missing:
            raise SecurityShortfall(tuple(dict.fromkeys(missing)))
        sound = call.audio.sound
        member = self._bridge.add_member()
        try:
            sound.add_listener(member)
            sound.play(member)
        except LocalProtocolError:
            self._bridge.remove_member(member)
            raise
        self._seats[call] = _Participant(member, asyncio.ensure_future(self._watch(call)))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FRAME, self._tick)
        self._emit_change()

    def part(self, call: Call) -> None:
        """Remove a call; it stays up and is sent silence.

        Raises LocalProtocolError for a call that is not a member.
        """
        seat = self._seats.pop(call, None)
        if seat is None:
            raise LocalProtocolError("the call is not in the conference")
        seat.watch.cancel()
        with suppress(LocalProtocolError):  # a member that has left in the same moment
            self._bridge.remove_member(seat.member)
        detach_replaced(seat.whispered)
        call.audio.sound.remove_listener(seat.member)
        if call.state is not CallState.TERMINATED and call.audio.sound.source is seat.member:
            asyncio.get_running_loop().call_later(2 * FRAME, self._silence, call, seat.member)
        self._emit_change()

    @staticmethod
    def _silence(call: Call, member: MixerMember) -> None:
        """Stop playing the removed member, once its last frame, a fade-out, has been sent."""
        if call.state is not CallState.TERMINATED and call.audio.sound.source is member:
            call.audio.sound.play(None)

    def mute(self, call: Call, muted: bool = True) -> None:
        """Mute a member for all others; it still hears them.

        Raises LocalProtocolError for a call that is not a member.
        """
        self._participant_of(call).member.muted = muted

    def announce(self, source: Source | str | os.PathLike[str] | None) -> None:
        """Play a source, or a WAV file by its path, to all members, mixed with them; None stops it.

        Raises ConfigurationError for a file that cannot be played.
        """
        sound = open_source(source, self._bridge.clock_rate_hz)
        self._bridge.announce(self._adapted(sound))
        detach_replaced(self._announced, sound)
        self._announced = sound

    def whisper(self, call: Call, source: Source | str | os.PathLike[str] | None) -> None:
        """Play a source, or a WAV file by its path, to one member only; None stops it.

        Raises LocalProtocolError for a call that is not a member, and ConfigurationError for a
        file that cannot be played.
        """
        seat = self._participant_of(call)
        sound = open_source(source, self._bridge.clock_rate_hz)
        seat.member.whisper = self._adapted(sound)
        detach_replaced(seat.whispered, sound)
        seat.whispered = sound

    def _adapted(self, source: Source | None) -> Source | None:
        return None if source is None else at_rate(source, self._bridge.clock_rate_hz)

    def _participant_of(self, call: Call) -> _Participant:
        seat = self._seats.get(call)
        if seat is None:
            raise LocalProtocolError("the call is not in the conference")
        return seat

    def _missing(self, call: Call, *members: Call) -> tuple[Shortfall, ...]:
        """Return why `call` may not join `members`, judged by `minimum` or else their policies."""
        state = call.security
        if self.minimum is None:
            return tuple(
                shortfall for each in members for shortfall in each.inherited_policy.judge(state)
            )
        if state.level >= self.minimum:
            return ()
        why = (
            f"the conference demands {self.minimum.name.lower()} and the call is "
            f"{state.level.name.lower()}"
        )
        return (Shortfall(ShortfallCode.FAR_END_NOT_SECURE, why),)

    async def _watch(self, call: Call) -> None:
        """Follow a member's security; remove it when it falls short or ends."""
        async for event in call.events():
            if isinstance(event, SecurityChanged) and call in self._seats:
                if self._missing(call, *(other for other in self._seats if other is not call)):
                    break
                self._emit_change()
        if call in self._seats:
            self.part(call)

    def _tick(self) -> None:
        """Advance the mixer by time when no member's audio has done so within a frame."""
        self._timer = None
        if self._bridge.frames == self._mixed:
            self._bridge.tick()
        self._mixed = self._bridge.frames
        if self._seats:
            self._timer = asyncio.get_running_loop().call_later(2 * FRAME, self._tick)

    def _emit_change(self) -> None:
        self._mailbox.put_event(ConferenceChanged(len(self._seats), self.security_level))

    def close(self) -> None:
        """Remove all members and end `events()`; no call is hung up."""
        for call in self.calls:
            self.part(call)
        self.announce(None)
        if self._timer is not None:
            self._timer.cancel()
        self._mailbox.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
