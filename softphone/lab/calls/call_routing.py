"""Who is rung for a name: users, shared lines, and whom they forward their calls to.

A line that is shared rings at every user of it until one answers (as a forking proxy has it,
RFC 3261 section 16.7); calls are forwarded where a user has said so before (call forward all) or
its phone says so now (302, RFC 3261 section 21.3.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from softphone.call import OutgoingLeg
from softphone.errors import Redirected
from softphone.lab.calls.extensions import extension
from softphone.lab.config import LabConfig, LabUser
from softphone.lab.registrar import StoredBinding
from softphone.sip import SipUri, parse_uri

MOST_FORWARDS = 8
"""Times that one call is forwarded; after that it goes in circles."""
_ELSEWHERE = "Call completed elsewhere"


@dataclass(frozen=True, slots=True)
class ReachedUser:
    """Who has answered, and the leg to that phone."""

    user: LabUser
    leg: OutgoingLeg


@dataclass(frozen=True, slots=True)
class RingRequest:
    """`dial(user, binding, hops)` sends an INVITE on behalf of the caller.

    `hops` is Max-Forwards of what called, and `given_up` is done once nobody wants the answer.
    """

    dial: Callable[[LabUser, StoredBinding, int], OutgoingLeg]
    hops: int
    given_up: asyncio.Future[Any] | None = None


@dataclass(slots=True)
class CallRouting:
    """`forwards` says by user whom all of its calls go to; `patience` is how long phones ring."""

    config: LabConfig
    binding_of: Callable[[str], StoredBinding | None]
    patience: float
    forwards: dict[str, str] = field(default_factory=dict)

    def knows(self, name: str) -> bool:
        """Whether anybody, or anything, is called so."""
        return bool(self._users(name)) or extension(name) is not None

    async def reach(self, name: str, request: RingRequest) -> ReachedUser | str | int:
        """Ring whom a name stands for, and whom that is forwarded to, until somebody answers.

        Gives who has answered, or the name of an extension, which answers by itself, or the
        status of the refusal.
        """
        for forwarded in range(MOST_FORWARDS):
            name = self._forwarded(name)
            if extension(name) is not None:
                return name
            found = self._callees(name)
            if isinstance(found, int):
                return found
            hops = request.hops - forwarded
            if hops <= 0:
                # RFC 7332 section 3: a call that goes in circles ends somewhere, through us too.
                return 483
            outcome = await self._ring(found, request, hops)
            if not isinstance(outcome, str):
                return outcome
            name = outcome
        return 482

    def _forwarded(self, name: str) -> str:
        """The end of a chain of users who forward all calls; one that is a circle ends anywhere."""
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

    def _callees(self, name: str) -> list[tuple[LabUser, StoredBinding]] | int:
        """Who is rung for a name; 404 where nobody is called so, 480 where nobody is there."""
        users = self._users(name)
        found = [(user, at) for user in users if (at := self.binding_of(user.name)) is not None]
        return found or (480 if users else 404)

    async def _ring(
        self,
        callees: Sequence[tuple[LabUser, StoredBinding]],
        request: RingRequest,
        hops: int,
    ) -> ReachedUser | str | int:
        """Ring them all; gives who answered first, whom it is forwarded to, or the refusal."""
        legs = {request.dial(user, binding, hops): user for user, binding in callees}
        try:
            return await self._first_answer(legs, request)
        finally:
            for leg in legs:
                if not leg.ended.done() and not leg.confirmed.done():
                    leg.hang_up()

    async def _first_answer(
        self, legs: dict[OutgoingLeg, LabUser], request: RingRequest
    ) -> ReachedUser | str | int:
        deadline = asyncio.get_running_loop().time() + self.patience
        refused: list[OutgoingLeg] = []
        while True:
            ringing = [leg for leg in legs if leg not in refused]
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
                return 408


def _verdict(refused: Sequence[OutgoingLeg], knows: Callable[[str], bool]) -> str | int:
    """What all refusals come to: the first forward to somebody known, else the best of them."""
    for leg in refused:
        contacts = leg.failure.contacts if isinstance(leg.failure, Redirected) else ()
        for contact in contacts:
            uri = parse_uri(contact)
            if isinstance(uri, SipUri) and knows(uri.user or ""):
                return uri.user or ""
    statuses = [leg.ended.result().status for leg in refused]
    # RFC 3261 section 16.7, step 6: 6xx first, then the lowest class.
    ranked = sorted((one for one in statuses if 400 <= one <= 699), key=lambda one: one // 100 % 6)
    return ranked[0] if ranked else 480
