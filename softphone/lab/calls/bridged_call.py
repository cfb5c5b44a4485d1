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
from softphone.lab.calls.audio_bridge import AudioBridge, MemberSource
from softphone.lab.calls.extensions import MelodySource
from softphone.sans_io import Transport
from softphone.security import CryptoSuite, SecurityLevel
from softphone.sip import security_call_info

__all__ = ["BridgedCall", "level_of"]

logger = logging.getLogger("softphone.lab")

ATTEMPTS = 40
PAUSE = 0.25
"""Seconds between two attempts to tell a member that is in the middle of another change."""


@dataclass(slots=True, eq=False)
class _BridgedMember:
    """One leg in the conversation.

    `announced_level` is the level that its phone was last sent, `source` what it hears while nobody
    holds, `holding` whether it holds the others; `talks` is the suite of its talk, once it has had
    music, and `takes_music` whether it has not refused that.
    """

    name: str
    leg: CallLeg
    source: MemberSource
    announced_level: SecurityLevel | None = None
    holding: bool = False
    talks: CryptoSuite | None = None
    takes_music: bool = True
    telling: asyncio.Task[None] | None = None
    following: asyncio.Task[None] | None = None


class BridgedCall:
    """The members of one call.  One user may be in it twice, having called itself.

    With `clear_music` whoever is held hears music from a server without SRTP, with `music_suite`
    from one that knows this crypto suite only.
    """

    def __init__(
        self, *, clear_music: bool = False, music_suite: CryptoSuite | None = None
    ) -> None:
        self._members: list[_BridgedMember] = []
        self._bridge = AudioBridge()
        self._clear_music = clear_music
        self._music_suite = music_suite
        self._kept_open = 0

    @property
    def members(self) -> tuple[str, ...]:
        """Who is in it."""
        return tuple(member.name for member in self._members)

    @property
    def named_legs(self) -> tuple[tuple[str, CallLeg], ...]:
        """Who is in it, and by which leg."""
        return tuple((member.name, member.leg) for member in self._members)

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
        """The lowest level of the members' legs."""
        levels = [level_of(member.leg) for member in self._members]
        return min(levels, default=SecurityLevel.NOT_SECURE)

    def _level_for(self, member: _BridgedMember) -> SecurityLevel:
        """The level announced to a member.

        Who is held hears the music, and is no more secure than that.
        """
        held = self.on_hold and not member.holding
        return SecurityLevel.NOT_SECURE if held and self._clear_music else self.level

    def _change_of(self, member: _BridgedMember) -> CryptoSuite | None:
        """The suite that a member's leg has to change to: the music's, or back to its talk's."""
        if self._music_suite is None:
            return None
        active = suite_of(member.leg)
        held = self.on_hold and not member.holding
        wanted = self._music_suite if held and member.takes_music else member.talks
        return None if active is None or wanted is active else wanted

    def _change_suite(self, member: _BridgedMember, suite: CryptoSuite | None) -> None:
        """Have the next offer to a member made with another suite, and so with another key."""
        if suite is None:
            return
        if suite is self._music_suite:
            member.talks = suite_of(member.leg)
        member.leg.negotiation.use_suites((suite,))

    def add_member(
        self, name: str, leg: CallLeg, *, announced: SecurityLevel | None = None
    ) -> None:
        """Add a member whose media is open; `announced` is the level that it was already sent."""
        sink, source = self._bridge.add_member(leg)
        member = _BridgedMember(name, leg, source, announced)
        self._members.append(member)
        if leg.stream is not None:
            leg.media_backend.record(leg.stream.handle, sink)
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

    def _let_hear(self) -> None:
        """Who is held hears music; everybody else hears the others."""
        for member in self._members:
            if member.leg.stream is None:
                continue
            held = self.on_hold and not member.holding
            source = MelodySource() if held else member.source
            member.leg.media_backend.play(member.leg.stream.handle, source)

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
        if len(self._members) == 1 and not self._kept_open:
            self._members[0].leg.hang_up()

    def announce(self) -> None:
        """Tell every member the level, if it has heard another one."""
        for member in self._members:
            idle = member.telling is None or member.telling.done()
            news = member.announced_level is not self._level_for(member) or self._change_of(member)
            if idle and news:
                work = self._announce_to(member)
                member.telling = asyncio.get_running_loop().create_task(work)

    async def _announce_to(self, member: _BridgedMember) -> None:
        """Re-INVITE a member until it has heard the level that holds by then.

        While another change of its session is under way, the word has to wait; a phone that
        refuses the re-INVITE is not asked again before the level changes once more.
        """
        for _ in range(ATTEMPTS):
            level = self._level_for(member)
            suite = self._change_of(member)
            up_to_date = member.announced_level is level and suite is None
            if up_to_date or member.leg.state is not CallState.CONFIRMED:
                return
            try:
                self._change_suite(member, suite)
                await _send_level(member.leg, level)
            except LocalProtocolError:
                await asyncio.sleep(PAUSE)
                continue
            except CallError as error:
                logger.info("%s does not want to hear that: %s", member.name, error)
                member.takes_music = False
            member.announced_level = level


def level_of(leg: CallLeg) -> SecurityLevel:
    """The level of a leg as its server sees it.

    A user who has no certificate has shown himself by digest within TLS: that leg is encrypted
    when its media is.
    """
    state, flow = leg.security, leg.flow
    over_tls = flow is not None and flow.transport is Transport.TLS
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
