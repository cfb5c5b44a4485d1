"""One call through the lab: its members, its bridge, and the security level announced to them.

The level of a conversation is the lowest of its members' legs, and it is announced to each of
them by Call-Info: to the caller in the 200, to the callee in a re-INVITE after the ACK, to all in
re-INVITEs whenever it changes (Cisco SIP Line Messaging Guide; RFC 3261 section 14).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from softphone.call.leg import CallLeg
from softphone.errors import CallError, LocalProtocolError
from softphone.events import CallState, DigitReceived, HoldChanged
from softphone.lab.calls.audio_bridge import AudioBridge, MemberSink, MemberSource
from softphone.lab.calls.extensions import MelodySource
from softphone.lab.calls.video_relay import VideoRelay
from softphone.media import Sink, Source, VideoStream
from softphone.media.audio import SilenceSource
from softphone.sans_io import Transport
from softphone.security import CryptoSuite, SecurityLevel, SecurityState
from softphone.sip import security_call_info

logger = logging.getLogger("softphone.lab")

ATTEMPTS = 40
PAUSE = 0.25
"""Seconds between two attempts to tell a member that is in the middle of another change."""


@dataclass(slots=True, eq=False)
class _BridgedMember:
    """One leg in the conversation.

    `announced_level` is the level that its phone was last sent, `source` what it hears while nobody
    holds and `sink` what takes what it says, `holding` whether it holds the others; `has_music` is
    whether its leg is that of the music now, `talks` and `talk_level` what the leg was before, and
    `takes_music` whether its phone has not refused that.
    """

    name: str
    leg: CallLeg
    sink: MemberSink
    source: MemberSource
    announced_level: SecurityLevel | None = None
    holding: bool = False
    has_music: bool = False
    talks: CryptoSuite | None = None
    talk_level: SecurityLevel = SecurityLevel.UNKNOWN
    takes_music: bool = True
    telling: asyncio.Task[None] | None = None
    following: asyncio.Task[None] | None = None


class BridgedCall:
    """The members of one call.  One user may be in it twice, having called itself.

    With `clear_music` whoever is held hears music from a server without SRTP, if its phone takes
    that, with `music_suite` from one that knows this crypto suite only.
    """

    def __init__(
        self, *, clear_music: bool = False, music_suite: CryptoSuite | None = None
    ) -> None:
        self._members: list[_BridgedMember] = []
        self._bridge = AudioBridge()
        self._clear_music = clear_music
        self._music_suite = None if clear_music else music_suite
        self._own_music = clear_music or music_suite is not None
        self._relays: tuple[VideoRelay, ...] = ()
        self._seen: tuple[VideoStream, ...] = ()
        self._service: tuple[Source, Sink | None] | None = None
        self._kept_open = 0

    @property
    def members(self) -> tuple[str, ...]:
        """Who is in it."""
        return tuple(member.name for member in self._members)

    @property
    def legs(self) -> tuple[CallLeg, ...]:
        """The legs of those who are in it."""
        return tuple(member.leg for member in self._members)

    @property
    def on_hold(self) -> bool:
        """Whether one of two holds the other; in a conference nobody hears music."""
        return len(self._members) == 2 and any(member.holding for member in self._members)

    @property
    def level(self) -> SecurityLevel:
        """The lowest level of the members' legs, without the music that some of them hear."""
        levels = [
            member.talk_level if member.has_music else level_of(member.leg)
            for member in self._members
        ]
        return min(levels, default=SecurityLevel.NOT_SECURE)

    def _level_for(self, member: _BridgedMember) -> SecurityLevel:
        """The level announced to a member.

        Who is held hears the music, and is no more secure than that.
        """
        clear = self._clear_music and self._is_held(member) and member.takes_music
        return SecurityLevel.NOT_SECURE if clear else self.level

    def _is_held(self, member: _BridgedMember) -> bool:
        return self.on_hold and not member.holding

    def _has_to_change(self, member: _BridgedMember) -> bool:
        """Whether a member's leg has to become the music's, or that of its talk again."""
        if not self._own_music:
            return False
        if not self._is_held(member) or not member.takes_music:
            return member.has_music
        active = suite_of(member.leg)
        # A talk in clear needs no other leg to hear music.
        return active is not self._music_suite and (member.has_music or active is not None)

    def _prepare_change(self, member: _BridgedMember, *, music: bool) -> None:
        """Have the next offer to a member made with another suite, and so with another key, or
        in clear."""
        if music and not member.has_music:
            member.talks, member.talk_level = suite_of(member.leg), level_of(member.leg)
            # From before the offer until after the way back: what is said meanwhile is not heard.
            member.has_music = True
            self._let_hear()
        negotiation = member.leg.negotiation
        if self._clear_music:
            negotiation.offer_in_clear(music)
            return
        suite = self._music_suite if music else member.talks
        if suite is not None:
            negotiation.use_suites((suite,))

    def add_member(
        self, name: str, leg: CallLeg, *, announced: SecurityLevel | None = None
    ) -> None:
        """Add a member whose media is open; `announced` is the level that it was already sent."""
        sink, source = self._bridge.add_member(leg)
        member = _BridgedMember(name, leg, sink, source, announced)
        self._members.append(member)
        self._service = None
        leg.ended.add_done_callback(lambda _: self._member_left(member))
        member.following = asyncio.get_running_loop().create_task(self._follow(member))
        self._let_hear()

    async def _follow(self, member: _BridgedMember) -> None:
        """Digits are events, not sound (RFC 4733, RFC 6086): pass them on; and see who holds."""
        async for event in member.leg.event_queue.events():
            if isinstance(event, DigitReceived):
                for other in self._members:
                    if other is not member:
                        _send_digit(other.leg, event.digit)
            elif isinstance(event, HoldChanged):
                # The event queue begins with the call: what holds now is what counts.
                member.holding = not member.leg.negotiation.direction.sends
                self._let_hear()
                self.announce()

    def connect_service(self, source: Source, sink: Sink | None) -> None:
        """Have the only member who is left go on with an extension of the lab's."""
        self._service = source, sink
        self._let_hear()
        self.announce()

    def _let_hear(self) -> None:
        """Who is held hears music; everybody else hears the others, or the extension."""
        for member in self._members:
            if member.leg.stream is None:
                continue
            source, sink = self._sound_of(member)
            member.leg.media_backend.play(member.leg.stream.handle, source)
            member.leg.media_backend.record(member.leg.stream.handle, sink)
        self._let_see()

    def _let_see(self) -> None:
        """Two who both have video see each other, unless one holds or has not come back from
        music; in a conference nobody sees anybody."""
        streams = [one.leg.negotiation.video for one in self._members]
        pair = tuple(each for each in streams if each is not None)
        away = self.on_hold or any(one.has_music for one in self._members)
        if away or len(streams) != 2 or len(pair) != 2:
            pair = ()
        if pair == self._seen:
            return
        for relay in self._relays:
            relay.close()
        self._seen = pair
        self._relays = tuple(
            VideoRelay(seen, shows) for seen, shows in zip(pair, pair[::-1], strict=True)
        )

    def _sound_of(self, member: _BridgedMember) -> tuple[Source, Sink | None]:
        """What a member hears, and what hears it.

        No talk goes over a leg that is in clear for the sake of music, and no music in clear over
        one that is not.
        """
        if self._service is not None:
            return self._service
        in_clear = self._clear_music and member.has_music
        sink = None if in_clear else member.sink
        if not self._is_held(member):
            return (SilenceSource(8000) if in_clear else member.source), sink
        clear_leg = suite_of(member.leg) is None
        music = MelodySource() if clear_leg or not self._clear_music else SilenceSource(8000)
        return music, sink

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Who is left alone meanwhile is not hung up: somebody is on the way."""
        self._kept_open += 1
        try:
            yield
        finally:
            self._kept_open -= 1
            self._end_if_alone()

    def release_leg(self, leg: CallLeg) -> None:
        """Let a leg go without ending it, if it is still there; the others stay."""
        member = next((one for one in self._members if one.leg is leg), None)
        if member is not None:
            self._remove_member(member)
        self._let_hear()
        self.announce()

    def move_leg(self, leg: CallLeg, to: BridgedCall) -> None:
        """Let a leg go on in another call; what it hears, and has been told, goes with it."""
        member = next(one for one in self._members if one.leg is leg)
        self.release_leg(leg)
        to.add_member(member.name, leg, announced=member.announced_level)
        moved = to._members[-1]
        moved.has_music, moved.talks = member.has_music, member.talks
        moved.talk_level, moved.takes_music = member.talk_level, member.takes_music
        to._let_hear()

    def _remove_member(self, member: _BridgedMember) -> None:
        self._members.remove(member)
        self._bridge.remove_member(member.leg)
        for task in (member.telling, member.following):
            if task is not None:
                task.cancel()
        # What a task was canceled with holds its frames, and these the member.
        member.telling = member.following = None

    def _member_left(self, member: _BridgedMember) -> None:
        """A member has left; the last one is hung up."""
        if member not in self._members:
            return
        self._remove_member(member)
        self._let_hear()
        self._end_if_alone()
        self.announce()

    def _end_if_alone(self) -> None:
        if len(self._members) == 1 and not self._kept_open and self._service is None:
            self._members[0].leg.hang_up()

    def announce(self) -> None:
        """Tell every member the level, if it has heard another one."""
        for member in self._members:
            idle = member.telling is None or member.telling.done()
            level = self._level_for(member)
            if idle and (member.announced_level is not level or self._has_to_change(member)):
                work = self._announce_to(member)
                member.telling = asyncio.get_running_loop().create_task(work)

    async def _announce_to(self, member: _BridgedMember) -> None:
        """Re-INVITE a member until it has heard the level that holds by then.

        While another change of its session is under way, the word has to wait; a phone that
        refuses the re-INVITE is not asked again before the level changes once more.
        """
        for _ in range(ATTEMPTS):
            level = self._level_for(member)
            changes = self._has_to_change(member)
            up_to_date = member.announced_level is level and not changes
            if up_to_date or member.leg.state is not CallState.CONFIRMED:
                return
            music = changes and self._is_held(member) and member.takes_music
            try:
                if changes:
                    self._prepare_change(member, music=music)
                await _send_level(member.leg, level)
            except LocalProtocolError:
                await asyncio.sleep(PAUSE)
                continue
            except CallError as error:
                if error.status == 491:  # two changes have met: the phone has refused nothing
                    await asyncio.sleep(PAUSE)
                    continue
                logger.info("%s does not want to hear that: %s", member.name, error)
                if changes:
                    self._change_refused(member, music=music)
            else:
                member.has_music = music or (member.has_music and not changes)
            member.announced_level = level
            if changes:
                self._let_hear()

    def _change_refused(self, member: _BridgedMember, *, music: bool) -> None:
        """A member's leg stays as it was: without music, or for good what the music made it."""
        member.takes_music = member.has_music = False
        if music:
            self._prepare_change(member, music=False)


def level_of(leg: CallLeg) -> SecurityLevel:
    """The level of a leg as its server sees it."""
    flow = leg.flow
    return level_seen(leg.security, over_tls=flow is not None and flow.transport is Transport.TLS)


def level_seen(state: SecurityState, *, over_tls: bool) -> SecurityLevel:
    """The same of what a leg has, or is about to have.

    A user who has no certificate has shown himself by digest within TLS: that leg is encrypted
    when its media is.
    """
    if over_tls and state.media and all(stream.suite is not None for stream in state.media):
        return SecurityLevel.ENCRYPTED
    return state.hop_level


def suite_of(leg: CallLeg) -> CryptoSuite | None:
    """The suite that a leg's audio is encrypted with; None in clear."""
    return next((one.suite for one in leg.security.media if one.media == "audio"), None)


def _send_digit(leg: CallLeg, digit: str) -> None:
    """Send one digit to a leg that has agreed to telephone-events, and to no other."""
    stream, spec = leg.stream, leg.stream_spec
    if stream is not None and spec is not None and spec.telephone_event is not None:
        leg.media_backend.send_digits(stream.handle, digit)


async def _send_level(leg: CallLeg, level: SecurityLevel) -> None:
    header = ("Call-Info", security_call_info(level))
    await leg.renegotiate(held=leg.negotiation.held, headers=(header,))
