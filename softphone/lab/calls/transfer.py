"""Transfers in the lab: the party that asks leaves, and the target joins the others.

RFC 3515 (REFER), RFC 5589.  The lab is a B2BUA: it keeps the parties' addresses from each other,
and the parties that stay keep their legs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from softphone.call.leg import CallLeg
from softphone.errors import LocalProtocolError
from softphone.events import CallEnded, CallState
from softphone.lab.calls.bridged_call import GAVE_UP, BridgedCall
from softphone.lab.calls.call_routing import CallRefusal, ReachedUser
from softphone.lab.calls.extensions import extension
from softphone.sans_io import OpenDrain
from softphone.sip import InviteUsage, MalformedMessage, NotifierUsage, ReferReceived, SipUri
from softphone.sip.message import Replaces
from softphone.sip.transport import leads_to_same_peer

GOODBYE = 5.0
"""Seconds that the transferring party has to hang up itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfers:
    """Transfers calls: `reach` rings a user as `CallRouting.reach` does, for a leg's far end.

    `reach` calls its `on_dialed` for each phone that rings, and stops once its `given_up` is done.
    `connecting(leg)` is the task that still connects an answered leg to its call, or None.
    """

    change: OpenDrain
    bridged_calls: Callable[[], Iterable[BridgedCall]]
    reach: Callable[
        [str, CallLeg, Callable[[], None], asyncio.Future[CallEnded]],
        Awaitable[ReachedUser | str | CallRefusal],
    ]
    connecting: Callable[[CallLeg], asyncio.Task[None] | None]
    patience: float

    def bridged_call_of(self, leg: CallLeg) -> BridgedCall | None:
        """The call that a leg is in; None for a call to an extension."""
        return next((one for one in self.bridged_calls() if leg in one.legs), None)

    async def handle_refer(
        self, event: ReferReceived[InviteUsage, NotifierUsage], leg: CallLeg
    ) -> None:
        """Carry out a REFER in the dialog of `leg`, and report its progress."""
        connected = self.connecting(leg)
        if connected is not None:
            # The far end has seen the answer, but the leg may not be connected to its call yet.
            waiting: set[asyncio.Future[None] | asyncio.Future[CallEnded]] = {connected, leg.ended}
            await asyncio.wait(waiting, timeout=self.patience, return_when=asyncio.FIRST_COMPLETED)
        conversation = self.bridged_call_of(leg)
        if conversation is None:
            status = 603 if leg.state is not CallState.TERMINATED else 481
            with self.change() as now:
                event.subscription.reject(status, now=now)
            return
        with self.change() as now:
            event.subscription.accept(now=now)
        if event.replaces is not None:
            status = self._join(conversation, leg, event.replaces)
            self._progress(event.subscription, status)
        else:
            target = event.refer_to.uri
            name = target.user or "" if isinstance(target, SipUri) else ""
            with conversation.kept_open():
                status = await self._refer(conversation, leg, name, event.subscription)
                # Before the block ends the leg's call, and the subscription with it.
                self._progress(event.subscription, status)
        if status == 200:
            await self._part_with(leg)

    async def _refer(
        self, conversation: BridgedCall, leg: CallLeg, name: str, to: NotifierUsage
    ) -> int:
        """Connect the others to the REFER's target, a user or an extension; returns the status."""
        stays = [one for one in conversation.legs if one is not leg]
        if not stays:
            return 480
        # What the INVITE tells the target's phone; the members may change while it rings.
        known = conversation.shown_name(stays[0])
        abandoned = asyncio.ensure_future(_abandoned(conversation, leg, stays[0]))
        try:
            reached = await self.reach(name, stays[0], lambda: self._progress(to, 180), abandoned)
        finally:
            abandoned.cancel()
        stays = [one for one in conversation.legs if one is not leg]
        if not stays:
            if isinstance(reached, ReachedUser):
                reached.leg.hang_up()
            return GAVE_UP
        if isinstance(reached, ReachedUser):
            conversation.add_member(reached.user.name, reached.leg, known_peer=known)
            conversation.release_leg(leg)
            return 200
        if isinstance(reached, CallRefusal):
            return reached.status
        service = extension(reached)
        if service is None:
            return 404
        if len(stays) != 1:
            # An extension serves one party only.
            return 603
        conversation.release_leg(leg)
        conversation.connect_service(name, *service)
        return 200

    def _join(self, conversation: BridgedCall, leg: CallLeg, replaces: str) -> int:
        """Merge the call that `replaces` names into this one; returns the status."""
        other = self._named(replaces)
        second = None if other is None else self.bridged_call_of(other)
        if other is None or second is None or second is conversation:
            return 481
        if not _is_same_phone(other, leg):
            return 403
        _merge(second, conversation, other)
        conversation.release_leg(leg)
        return 200

    def merge_calls(self, leg: CallLeg, consult: CallLeg) -> int:
        """Merge the call of `consult` into that of `leg`, which stays; returns the status."""
        first, second = self.bridged_call_of(leg), self.bridged_call_of(consult)
        if first is None or second is None or first is second:
            return 481
        _merge(second, first, consult)
        first.announce()
        return 200

    def _named(self, replaces: str) -> CallLeg | None:
        try:
            value = Replaces.parse(replaces)
        except MalformedMessage:
            return None
        return self.leg_of((value.call_id, value.to_tag, value.from_tag))

    def leg_of(self, wanted: tuple[str, str, str]) -> CallLeg | None:
        """The leg with this dialog ID: Call-ID, our tag, the far end's."""
        for conversation in self.bridged_calls():
            for leg in conversation.legs:
                dialog = None if leg.usage is None else leg.usage.dialog
                if dialog is not None and dialog.id == wanted:
                    return leg
        return None

    def _progress(self, to: NotifierUsage, status: int) -> None:
        try:
            with self.change() as now:
                to.notify_progress(status, now=now)
        except LocalProtocolError:
            # The subscriber has ended the subscription.
            return

    @staticmethod
    async def _part_with(leg: CallLeg) -> None:
        await asyncio.wait({leg.ended}, timeout=GOODBYE)
        if leg.state is not CallState.TERMINATED:
            leg.hang_up()


async def _abandoned(conversation: BridgedCall, leg: CallLeg, other: CallLeg) -> CallEnded:
    """Wait until `other`, and all but `leg`, have left a call; return how the last one ended."""
    waiting, last = {other.ended}, other.ended
    while waiting:
        await asyncio.wait(waiting)
        last = waiting.pop()
        ended = {one.ended for one in conversation.legs if one is not leg}
        waiting = {one for one in ended if not one.done()}
    return last.result()


def _merge(call: BridgedCall, into: BridgedCall, consult: CallLeg) -> None:
    """Move all legs of a call into another, except `consult`, which is hung up."""
    for leg in call.legs:
        if leg is not consult:
            call.move_leg(leg, into)
    call.release_leg(consult)
    consult.hang_up()


def _is_same_phone(one: CallLeg, other: CallLeg) -> bool:
    """Whether both legs are with the same phone: a phone may move only its own calls."""
    return (
        one.flow is not None and other.flow is not None and leads_to_same_peer(one.flow, other.flow)
    )
