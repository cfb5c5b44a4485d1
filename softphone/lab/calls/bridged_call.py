"""One call through the lab: its members, its audio bridge, and what is announced to each of them.

The level of a call is the lowest of its members' legs.  Call-Info announces it to each of them: to
the caller in the 200, to the callee in a re-INVITE after the ACK, and to all in re-INVITEs whenever
it changes (Cisco SIP Line Messaging Guide; RFC 3261 section 14).  P-Asserted-Identity and
Remote-Party-ID announce who the other end is: the caller in the INVITE, another after a transfer or
in a conference.  A caller who asks for privacy (RFC 3323) is not named.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from softphone.call.leg import CallLeg
from softphone.call.leg.setup import HeaderFields
from softphone.errors import CallError, LocalProtocolError
from softphone.events import CallEnded, CallState, DigitReceived, EndedBy, HoldChanged
from softphone.lab.calls.audio_bridge import AudioBridge, MemberSink, MemberSource
from softphone.lab.calls.extensions import MelodySource
from softphone.lab.calls.video_relay import VideoRelay
from softphone.media import Sink, Source, VideoStream
from softphone.media.audio import SilenceSource
from softphone.sans_io import Transport
from softphone.security import CryptoSuite, SecurityLevel, SecurityState
from softphone.sip import Headers, NameAddr, SessionId, security_call_info
from softphone.sip.message import ANONYMOUS, NIL_UUID

logger = logging.getLogger("softphone.lab")

CONFERENCE = "conference"
"""The name of the other end where there are several."""
GAVE_UP = 487
"""The status of a caller that gave up and did not say why."""
HIDDEN = "anonymous"
"""The name of another end that wants to stay unknown."""
ATTEMPTS = 40
PAUSE = 0.25
"""Seconds between two attempts to re-INVITE a member whose session is being changed already."""


def pass_session_uuid(far: CallLeg, near: CallLeg) -> None:
    """Pass the session UUID of one leg's far end to the far end of the other (RFC 7989 7)."""
    there, here = far.usage, near.usage
    if there is None or here is None or there.session_id is None or here.session_id is None:
        return
    if there.session_id.remote != NIL_UUID:
        here.identify_session(SessionId(there.session_id.remote, here.session_id.remote))


@dataclass(slots=True, eq=False)
class _BridgedMember:
    """One leg of the call.

    `announced_level` is the level last sent to the phone, `known_peer` the name of the party that
    its user takes for the other end, `shown_as` the name by which others know it.  `source` is what
    the member hears while nobody holds, `sink` receives its audio, `holding` says whether it holds
    the others.
    `has_music` says that its leg currently carries music on hold, `talks` and `talk_level` are the
    suite and level that the leg had before, and `takes_music` is False once its phone has refused
    the change to music.
    """

    name: str
    leg: CallLeg
    sink: MemberSink
    source: MemberSource
    announced_level: SecurityLevel | None = None
    known_peer: str = ""
    holding: bool = False
    has_music: bool = False
    talks: CryptoSuite | None = None
    talk_level: SecurityLevel = SecurityLevel.UNKNOWN
    takes_music: bool = True
    shown_as: str = ""
    telling: asyncio.Task[None] | None = None
    following: asyncio.Task[None] | None = None


class BridgedCall:
    """The members of one call.  A user who has called itself is a member twice.

    `address_of` gives the address of a party by its name; without it no far end is announced.
    A held member hears music.  With `clear_music` it comes from a server without SRTP, with
    `music_suite` from one that supports only that crypto suite, unless the phone refuses the
    change.
    """

    def __init__(
        self,
        *,
        clear_music: bool = False,
        music_suite: CryptoSuite | None = None,
        address_of: Callable[[str], NameAddr] | None = None,
    ) -> None:
        self._address_of = address_of
        self._service_name = ""
        self._members: list[_BridgedMember] = []
        self._bridge = AudioBridge()
        self._clear_music = clear_music
        self._music_suite = None if clear_music else music_suite
        self._own_music = clear_music or music_suite is not None
        self._relays: tuple[VideoRelay, ...] = ()
        self._seen: tuple[VideoStream, ...] = ()
        self._service: tuple[Source, Sink | None] | None = None
        self._kept_open = 0
        self._why_last_left: CallEnded | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the members."""
        return tuple(member.name for member in self._members)

    @property
    def legs(self) -> tuple[CallLeg, ...]:
        """The legs of the members."""
        return tuple(member.leg for member in self._members)

    def shown_name(self, leg: CallLeg) -> str:
        """The name by which others know the member with this leg; "" if it is none."""
        return next((member.shown_as for member in self._members if member.leg is leg), "")

    @property
    def on_hold(self) -> bool:
        """Whether one of two members holds the other; a conference has no music on hold."""
        return len(self._members) == 2 and any(member.holding for member in self._members)

    @property
    def level(self) -> SecurityLevel:
        """The lowest level of the members' legs, not counting music on hold."""
        levels = [
            member.talk_level if member.has_music else level_of(member.leg)
            for member in self._members
        ]
        return min(levels, default=SecurityLevel.NOT_SECURE)

    def _level_for(self, member: _BridgedMember) -> SecurityLevel:
        """The level announced to a member.

        A held member hears the music, and the level is no higher than the music's.
        """
        clear = self._clear_music and self._is_held(member) and member.takes_music
        return SecurityLevel.NOT_SECURE if clear else self.level

    def _peer_of(self, member: _BridgedMember) -> str:
        """The name of the party that a member talks to now: the other one, or what joins them."""
        others = [one.shown_as for one in self._members if one is not member]
        if self._address_of is None or (not others and self._service is None):
            return member.known_peer
        if len(others) > 1:
            return CONFERENCE
        return others[0] if others else self._service_name

    def _is_informed(self, member: _BridgedMember) -> bool:
        """Whether the current level and far end have been announced to a member."""
        level = self._level_for(member)
        return member.announced_level is level and member.known_peer == self._peer_of(member)

    def _is_held(self, member: _BridgedMember) -> bool:
        return self.on_hold and not member.holding

    def _has_to_change(self, member: _BridgedMember) -> bool:
        """Whether a member's leg has to change its suite, to that of the music or back."""
        if not self._own_music:
            return False
        if not self._is_held(member) or not member.takes_music:
            return member.has_music
        active = suite_of(member.leg)
        # A call in clear can carry the music as it is.
        return active is not self._music_suite and (member.has_music or active is not None)

    def _prepare_change(self, member: _BridgedMember, *, music: bool) -> None:
        """Set up the next offer to a member: in the other suite, with a new key, or in clear."""
        if music and not member.has_music:
            member.talks, member.talk_level = suite_of(member.leg), level_of(member.leg)
            # Set before the offer until after the change back, so that no talk is heard meanwhile.
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
        self,
        name: str,
        leg: CallLeg,
        *,
        announced: SecurityLevel | None = None,
        known_peer: str = "",
        shown_as: str = "",
    ) -> None:
        """Add a member whose media is open; `announced` is the level already sent to it.

        `known_peer` is the name of the party that it knows as the other end, `shown_as` the name
        by which the others may know it, if that is not its own.
        """
        sink, source = self._bridge.add_member(leg)
        member = _BridgedMember(
            name, leg, sink, source, announced, known_peer, shown_as=shown_as or name
        )
        self._members.append(member)
        self._service = None
        leg.ended.add_done_callback(lambda _: self._member_left(member))
        member.following = asyncio.get_running_loop().create_task(self._follow(member))
        self._let_hear()

    async def _follow(self, member: _BridgedMember) -> None:
        """Pass digits on, since they are events and not audio (RFC 4733, RFC 6086); track holds."""
        async for event in member.leg.event_queue.events():
            if isinstance(event, DigitReceived):
                for other in self._members:
                    if other is not member:
                        _send_digit(other.leg, event.digit)
            elif isinstance(event, HoldChanged):
                # The queue has events since the call began; only the current direction counts.
                member.holding = not member.leg.negotiation.direction.sends
                self._let_hear()
                self.announce()

    def connect_service(self, name: str, source: Source, sink: Sink | None) -> None:
        """Connect the only remaining member to an extension of the lab."""
        self._service, self._service_name = (source, sink), name
        self._let_hear()
        self.announce()

    def _let_hear(self) -> None:
        """Connect the audio: music to a held member, else the others or the extension."""
        for member in self._members:
            stream = member.leg.stream
            if stream is None:
                continue
            source, sink = self._sound_of(member)
            member.leg.media_backend.play(stream.handle, source)
            member.leg.media_backend.record(stream.handle, sink)
        self._let_see()

    def _let_see(self) -> None:
        """Relay video between two members that both have it, unless one holds or its leg still
        carries music; a conference has no video."""
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
        """The source that a member hears, and the sink of its audio.

        A leg that is in clear only for the music carries no talk, and an encrypted leg carries no
        music that comes in clear.
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
        """Keep a sole remaining member in the call within the block: another is about to join."""
        self._kept_open += 1
        try:
            yield
        finally:
            self._kept_open -= 1
            self._end_if_alone(self._why_last_left)

    def release_leg(self, leg: CallLeg) -> None:
        """Remove a leg, if present, without hanging it up; the others stay."""
        member = next((one for one in self._members if one.leg is leg), None)
        if member is not None:
            self._remove_member(member)
        self._let_hear()
        self.announce()

    def move_leg(self, leg: CallLeg, to: BridgedCall) -> None:
        """Move a leg into another call, with the level announced to it and its music state."""
        member = next(one for one in self._members if one.leg is leg)
        self.release_leg(leg)
        to.add_member(
            member.name,
            leg,
            announced=member.announced_level,
            known_peer=member.known_peer,
            shown_as=member.shown_as,
        )
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
        # A canceled task's exception holds its frames, and these hold the member.
        member.telling = member.following = None

    def _member_left(self, member: _BridgedMember) -> None:
        """Remove a member that has left; hang up when only one remains, and pass on why."""
        if member not in self._members:
            return
        self._remove_member(member)
        self._let_hear()
        self._why_last_left = member.leg.ended.result()
        self._end_if_alone(self._why_last_left)
        self.announce()

    def _end_if_alone(self, why: CallEnded | None = None) -> None:
        if len(self._members) == 1 and not self._kept_open and self._service is None:
            hang_up_like(self._members[0].leg, why)

    def announce(self) -> None:
        """Announce level and far end to every member whose last announcement had others."""
        if len(self._members) == 2:
            one, other = self.legs
            pass_session_uuid(one, other)
            pass_session_uuid(other, one)
        for member in self._members:
            idle = member.telling is None or member.telling.done()
            if idle and (not self._is_informed(member) or self._has_to_change(member)):
                work = self._announce_to(member)
                member.telling = asyncio.get_running_loop().create_task(work)

    async def _announce_to(self, member: _BridgedMember) -> None:
        """Re-INVITE a member until the current level and far end are announced to it.

        Retries while another change of its session is in progress.  A phone that refuses the
        re-INVITE is not asked again until the level changes.
        """
        for _ in range(ATTEMPTS):
            level, peer = self._level_for(member), self._peer_of(member)
            changes = self._has_to_change(member)
            informed = member.announced_level is level and member.known_peer == peer
            if (informed and not changes) or member.leg.state is not CallState.CONFIRMED:
                return
            music = changes and self._is_held(member) and member.takes_music
            try:
                if changes:
                    self._prepare_change(member, music=music)
                await _send_level(member.leg, level, self._identity_for(member, peer))
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
            member.announced_level, member.known_peer = level, peer
            if changes:
                self._let_hear()

    def _identity_for(self, member: _BridgedMember, peer: str) -> HeaderFields:
        """The header fields that name the far end, if the member knows another one."""
        if self._address_of is None or peer == member.known_peer:
            return ()
        return identity_fields(None if peer == HIDDEN else self._address_of(peer))

    def _change_refused(self, member: _BridgedMember, *, music: bool) -> None:
        """Note that a phone refused the change to or from music; its leg is not changed again."""
        member.takes_music = member.has_music = False
        if music:
            self._prepare_change(member, music=False)


def identity_fields(address: NameAddr | None) -> HeaderFields:
    """The header fields that name the other end; None is one that wants to stay unknown."""
    if address is None:
        hidden = f"{ANONYMOUS};party=calling;screen=yes;privacy=full"
        return ("Privacy", "id"), ("Remote-Party-ID", hidden)
    remote_party = f"{address};party=calling;screen=yes;privacy=off"
    return ("P-Asserted-Identity", str(address)), ("Remote-Party-ID", remote_party)


def passed_on(fields: HeaderFields | Headers) -> HeaderFields:
    """The header fields of a message that are for the other end: X-... and User-to-User."""
    return tuple([f for f in fields if f[0][:2].lower() == "x-" or f[0] == "User-to-User"])


def hang_up_like(leg: CallLeg, other: CallEnded | None) -> None:
    """Hang up, and pass on why the far end of another leg did, if it has (RFC 3326)."""
    if other is None or other.by is not EndedBy.REMOTE:
        leg.hang_up()
        return
    status = 0 if other.status == GAVE_UP else other.status
    fields = passed_on(other.headers)
    leg.hang_up(status, other.reason, q850_cause=other.q850_cause, headers=fields)


def level_of(leg: CallLeg) -> SecurityLevel:
    """The level of a leg as its server sees it."""
    flow = leg.flow
    return level_seen(leg.security, over_tls=flow is not None and flow.transport is Transport.TLS)


def level_seen(state: SecurityState, *, over_tls: bool) -> SecurityLevel:
    """The level of a leg with this security state, as its server sees it.

    A user without a certificate has authenticated by digest within TLS: that leg counts as
    encrypted when its media is.
    """
    if over_tls and state.media and None not in [stream.suite for stream in state.media]:
        return SecurityLevel.ENCRYPTED
    return state.hop_level


def suite_of(leg: CallLeg) -> CryptoSuite | None:
    """The crypto suite of a leg's audio; None in clear."""
    return next((one.suite for one in leg.security.media if one.media == "audio"), None)


def _send_digit(leg: CallLeg, digit: str) -> None:
    """Send one digit to a leg that has negotiated telephone-events; else do nothing."""
    stream, spec = leg.stream, leg.stream_spec
    if stream is not None and spec is not None and spec.telephone_event is not None:
        leg.media_backend.send_digits(stream.handle, digit)


async def _send_level(leg: CallLeg, level: SecurityLevel, identity: HeaderFields) -> None:
    header = ("Call-Info", security_call_info(level))
    await leg.renegotiate(held=leg.negotiation.held, headers=(header, *identity))
