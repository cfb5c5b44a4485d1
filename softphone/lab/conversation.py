"""One call through the lab: its members, its bridge, and the security that everybody is told.

The level of a conversation is the lowest of its members' legs, and it is announced to each of
them by Call-Info: to the caller in the 200, to the callee in a re-INVITE after the ACK, to all in
re-INVITEs whenever it changes (Cisco SIP Line Messaging Guide; RFC 3261 section 14).
"""

from __future__ import annotations

import asyncio
import logging

from softphone.call.session import SessionLeg
from softphone.errors import CallError, LocalProtocolError
from softphone.events import CallState
from softphone.lab.hub import Hub
from softphone.security import SecurityLevel
from softphone.sip import security_call_info

__all__ = ["Conversation"]

logger = logging.getLogger("softphone.lab")


class Conversation:
    """The members of one call."""

    def __init__(self) -> None:
        self._legs: dict[str, SessionLeg] = {}
        self._told: dict[str, SecurityLevel] = {}
        self._hub = Hub()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def members(self) -> tuple[str, ...]:
        """Who is in it."""
        return tuple(self._legs)

    @property
    def level(self) -> SecurityLevel:
        """The lowest level of the members' legs."""
        levels = [leg.security.hop_level for leg in self._legs.values()]
        return min(levels, default=SecurityLevel.NOT_SECURE)

    def add(self, name: str, leg: SessionLeg, *, told: SecurityLevel | None = None) -> None:
        """Add a member whose media is open; `told` is the level that it has heard already."""
        self._legs[name] = leg
        if told is not None:
            self._told[name] = told
        ear, mouth = self._hub.join(name)
        stream = leg.stream
        if stream is not None:
            leg.media_port.record(stream.handle, ear)
            leg.media_port.play(stream.handle, mouth)
        leg.over.add_done_callback(lambda _: self.remove(name))

    def remove(self, name: str) -> None:
        """A member has left; the last one is hung up."""
        if self._legs.pop(name, None) is None:
            return
        self._told.pop(name, None)
        self._hub.leave(name)
        if len(self._legs) == 1:
            for leg in tuple(self._legs.values()):
                leg.hang_up()
        else:
            self.announce()

    def announce(self) -> None:
        """Tell every member the level, if it has heard another one."""
        level = self.level
        for name, leg in self._legs.items():
            if self._told.get(name) is not level and leg.state is CallState.CONFIRMED:
                self._told[name] = level
                task = asyncio.get_running_loop().create_task(self._tell(name, leg, level))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _tell(self, name: str, leg: SessionLeg, level: SecurityLevel) -> None:
        header = ("Call-Info", security_call_info(level))
        try:
            await leg.renegotiate(held=leg.negotiation.held, headers=(header,))
        except (CallError, LocalProtocolError, asyncio.CancelledError) as error:
            self._told.pop(name, None)
            logger.info("%s was not told that the call is %s: %s", name, level.value, error)

    def close(self) -> None:
        """Hang everybody up."""
        for leg in tuple(self._legs.values()):
            leg.hang_up()
