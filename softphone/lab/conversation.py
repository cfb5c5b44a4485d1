"""One call through the lab: its members, its bridge, and the security that everybody is told.

The level of a conversation is the lowest of its members' legs, and it is announced to each of
them by Call-Info: to the caller in the 200, to the callee in a re-INVITE after the ACK, to all in
re-INVITEs whenever it changes (Cisco SIP Line Messaging Guide; RFC 3261 section 14).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from softphone.call.session import SessionLeg
from softphone.errors import CallError, LocalProtocolError
from softphone.events import CallState, DigitReceived
from softphone.lab.hub import Hub
from softphone.machine import Transport
from softphone.security import SecurityLevel
from softphone.sip import security_call_info

__all__ = ["Conversation", "level_of"]

logger = logging.getLogger("softphone.lab")

ATTEMPTS = 40
PAUSE = 0.25
"""Seconds between two attempts to tell a member that is in the middle of another change."""


@dataclass(slots=True, eq=False)
class _Member:
    """One leg in the conversation; `told` is the level that its phone has heard last."""

    name: str
    leg: SessionLeg
    told: SecurityLevel | None = None
    telling: asyncio.Task[None] | None = None
    relaying: asyncio.Task[None] | None = None


class Conversation:
    """The members of one call.  One user may be in it twice, having called itself."""

    def __init__(self) -> None:
        self._members: list[_Member] = []
        self._hub = Hub()

    @property
    def members(self) -> tuple[str, ...]:
        """Who is in it."""
        return tuple(member.name for member in self._members)

    @property
    def level(self) -> SecurityLevel:
        """The lowest level of the members' legs."""
        levels = [level_of(member.leg) for member in self._members]
        return min(levels, default=SecurityLevel.NOT_SECURE)

    def add(self, name: str, leg: SessionLeg, *, told: SecurityLevel | None = None) -> None:
        """Add a member whose media is open; `told` is the level that it has heard already."""
        member = _Member(name, leg, told)
        self._members.append(member)
        ear, mouth = self._hub.join(member)
        stream = leg.stream
        if stream is not None:
            leg.media_port.record(stream.handle, ear)
            leg.media_port.play(stream.handle, mouth)
        leg.over.add_done_callback(lambda _: self._leave(member))
        member.relaying = asyncio.get_running_loop().create_task(self._relay_digits(member))

    async def _relay_digits(self, member: _Member) -> None:
        """Digits are events, not sound (RFC 4733, RFC 6086): pass them on to the others."""
        async for event in member.leg.mailbox.events():
            if isinstance(event, DigitReceived):
                for other in self._members:
                    if other is not member:
                        _send_digit(other.leg, event.digit)

    def _leave(self, member: _Member) -> None:
        """A member has left; the last one is hung up."""
        if member not in self._members:
            return
        self._members.remove(member)
        self._hub.leave(member)
        for task in (member.telling, member.relaying):
            if task is not None:
                task.cancel()
        if len(self._members) == 1:
            self._members[0].leg.hang_up()
        else:
            self.announce()

    def announce(self) -> None:
        """Tell every member the level, if it has heard another one."""
        for member in self._members:
            idle = member.telling is None or member.telling.done()
            if idle and member.told is not self.level:
                work = self._tell(member)
                member.telling = asyncio.get_running_loop().create_task(work)

    async def _tell(self, member: _Member) -> None:
        """Re-INVITE a member until it has heard the level that holds by then.

        While another change of its session is under way, the word has to wait; a phone that
        refuses the re-INVITE is not asked again before the level changes once more.
        """
        for _ in range(ATTEMPTS):
            level = self.level
            if member.told is level or member.leg.state is not CallState.CONFIRMED:
                return
            try:
                await _say(member.leg, level)
            except LocalProtocolError:
                await asyncio.sleep(PAUSE)
                continue
            except CallError as error:
                logger.info("%s does not want to hear that: %s", member.name, error)
            member.told = level


def level_of(leg: SessionLeg) -> SecurityLevel:
    """The level of a leg as its server sees it.

    A user who has no certificate has shown himself by digest within TLS: that leg is encrypted
    when its media is.
    """
    state, flow = leg.security, leg.flow
    over_tls = flow is not None and flow.transport is Transport.TLS
    if over_tls and state.media and all(stream.suite is not None for stream in state.media):
        return SecurityLevel.ENCRYPTED
    return state.hop_level


def _send_digit(leg: SessionLeg, digit: str) -> None:
    """Send one digit to a leg that has agreed to telephone-events, and to no other."""
    stream, spec = leg.stream, leg.stream_spec
    if stream is not None and spec is not None and spec.telephone_event is not None:
        leg.media_port.send_digits(stream.handle, digit)


async def _say(leg: SessionLeg, level: SecurityLevel) -> None:
    header = ("Call-Info", security_call_info(level))
    await leg.renegotiate(held=leg.negotiation.held, headers=(header,))
