"""Routing: which phones ring for a name, with shared lines and call forwarding.

A shared line rings at each of its users until one answers, as at a forking proxy (RFC 3261 section
16.7).  A call is forwarded when its user has set call forward all, or when the phone answers 302
(RFC 3261 section 21.3.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from softphone.call import OutgoingLeg
from softphone.call.end_cause import LONGEST_REASON
from softphone.call.leg import CallLeg, HeaderFields
from softphone.errors import Redirected
from softphone.events import CallEnded, EndedBy
from softphone.lab.calls.bridged_call import hang_up_like, passed_on
from softphone.lab.calls.extensions import EXTENSIONS
from softphone.lab.config import LabConfig, LabUser
from softphone.lab.registrar import StoredBinding
from softphone.sip import SipUri, parse_uri

MOST_FORWARDS = 8
"""Times that one call may be forwarded; more are taken for a loop."""
_ELSEWHERE = "Call completed elsewhere"


@dataclass(frozen=True, slots=True)
class ReachedUser:
    """The user who has answered, or has picked the call up, and the leg of its phone."""

    user: LabUser
    leg: CallLeg


@dataclass(frozen=True, slots=True)
class CallRefusal:
    """Why a call reaches no phone: a status, and what a phone that refused said besides."""

    status: int
    reason: str = ""
    q850_cause: int = 0
    headers: HeaderFields = ()

    @classmethod
    def of(cls, ended: CallEnded) -> Self:
        """The refusal of a phone; by us, a timeout or a failed connection it has no words."""
        if ended.by is not EndedBy.REMOTE:
            return cls(ended.status)
        words = "".join(c for c in ended.reason[:LONGEST_REASON] if c.isprintable())
        return cls(ended.status, words, ended.q850_cause, passed_on(ended.headers))


Pickups: TypeAlias = list["asyncio.Future[ReachedUser | CallRefusal]"]
"""A future for each attempt to pick a call up: who has it, or why it failed."""


@dataclass(frozen=True, slots=True)
class RingRequest:
    """A request to ring users; `dial(user, binding, hops)` sends an INVITE for the caller.

    `hops` is the caller's Max-Forwards; `given_up` is done once the caller no longer waits, and
    says why.  `pickups` gets the attempts to pick the call up.
    """

    dial: Callable[[LabUser, StoredBinding, int], OutgoingLeg]
    hops: int
    given_up: asyncio.Future[CallEnded] | None = None
    pickups: Pickups = field(default_factory=list)

    @property
    def why_given_up(self) -> CallEnded | None:
        """How the caller ended its call; None while it waits."""
        ended = self.given_up
        return ended.result() if ended is not None and ended.done() else None


@dataclass(slots=True)
class CallRouting:
    """`forwards` maps users to targets of call forward all; `patience` is seconds of ringing."""

    config: LabConfig
    binding_of: Callable[[str], StoredBinding | None]
    patience: float
    forwards: dict[str, str] = field(default_factory=dict)

    def knows(self, name: str) -> bool:
        """Whether the name is that of a user, a shared line or an extension."""
        return bool(self._users(name)) or name in EXTENSIONS

    def extension_of(self, name: str) -> str | None:
        """The extension that answers calls to `name`, forwarded ones too; None without one."""
        target = self._forwarded(name)
        return target if target in EXTENSIONS else None

    async def reach(self, name: str, request: RingRequest) -> ReachedUser | str | CallRefusal:
        """Ring the users of `name`, and those they forward to, until one answers.

        Returns the user who answered, or the name of an extension, which answers by itself, or the
        refusal.
        """
        for forwarded in range(MOST_FORWARDS):
            name = self._forwarded(name)
            if name in EXTENSIONS:
                return name
            found = self._callees(name)
            if isinstance(found, CallRefusal):
                return found
            hops = request.hops - forwarded
            if hops <= 0:
                # RFC 7332 section 3: Max-Forwards must end loops that lead through us, too.
                return CallRefusal(483)
            outcome = await self._ring(found, request, hops)
            if not isinstance(outcome, str):
                return outcome
            name = outcome
        return CallRefusal(482)

    def _forwarded(self, name: str) -> str:
        """The target of a chain of call forward all; in a loop, any member of it."""
        if not self.forwards:
            return name
        for _ in range(MOST_FORWARDS):
            users = self._users(name)
            target = self.forwards.get(users[0].name) if len(users) == 1 else None
            if target is None:
                break
            name = target
        return name

    def _users(self, name: str) -> tuple[LabUser, ...]:
        shared = next((line for line in self.config.shared_lines if line.name == name), None)
        names = (name,) if shared is None else shared.users
        found = (self.config.called(one) for one in names)
        return tuple(user for user in found if user is not None)

    def _callees(self, name: str) -> list[tuple[LabUser, StoredBinding]] | CallRefusal:
        """The users to ring and their bindings; 404 for an unknown name, 480 if all are away."""
        users = self._users(name)
        found = [(user, at) for user in users if (at := self.binding_of(user.name)) is not None]
        return found or CallRefusal(480 if users else 404)

    async def _ring(
        self,
        callees: Sequence[tuple[LabUser, StoredBinding]],
        request: RingRequest,
        hops: int,
    ) -> ReachedUser | str | CallRefusal:
        """Ring all; returns who answered first, the name to forward to, or the refusal."""
        legs = {request.dial(user, binding, hops): user for user, binding in callees}
        try:
            return await self._first_answer(legs, request)
        finally:
            for leg in legs:
                if not leg.ended.done() and not leg.confirmed.done():
                    hang_up_like(leg, request.why_given_up)

    async def _first_answer(
        self, legs: dict[OutgoingLeg, LabUser], request: RingRequest
    ) -> ReachedUser | str | CallRefusal:
        deadline = asyncio.get_running_loop().time() + self.patience
        refused: list[OutgoingLeg] = []
        while True:
            ringing = [leg for leg in legs if leg not in refused]
            if request.pickups:
                return await request.pickups[0]
            if not ringing:
                return _verdict(refused, self.knows)
            waiting: set[asyncio.Future[Any]] = {one.confirmed for one in ringing}
            waiting |= {one.ended for one in ringing}
            if request.given_up is not None:
                waiting.add(request.given_up)
            left = deadline - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            refused += [leg for leg in ringing if leg.ended.done()]
            answered = [leg for leg in ringing if leg.confirmed.done() and leg not in refused]
            if answered:
                first, *late = answered
                for leg in [*late, *(one for one in ringing if one not in (*answered, *refused))]:
                    leg.hang_up(200, _ELSEWHERE)
                return ReachedUser(legs[first], first)
            if not done or (request.given_up is not None and request.given_up.done()):
                return CallRefusal(408)


def _verdict(refused: Sequence[OutgoingLeg], knows: Callable[[str], bool]) -> str | CallRefusal:
    """Combine all refusals: the first redirect to a known name, else the best refusal."""
    for leg in refused:
        contacts = leg.failure.contacts if isinstance(leg.failure, Redirected) else ()
        for contact in contacts:
            uri = parse_uri(contact)
            if isinstance(uri, SipUri) and knows(uri.user or ""):
                return uri.user or ""
    refusals = [CallRefusal.of(leg.ended.result()) for leg in refused]
    final = [one for one in refusals if 400 <= one.status <= 699]
    # RFC 3261 section 16.7, step 6: 6xx first, then the lowest class.
    return min(final, key=lambda one: one.status // 100 % 6, default=CallRefusal(480))
