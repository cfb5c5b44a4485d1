"""A call that comes in: ring, answer, reject or redirect it (RFC 3261 section 13.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from softphone.call.call import Call
from softphone.call.leg import LegSetup, warning_header
from softphone.call.negotiation import MediaSetup, Negotiation, Proposal, Unacceptable
from softphone.call.session import SessionLeg
from softphone.errors import CallFailed, Canceled, LocalProtocolError, SoftphoneError
from softphone.events import (
    CallAnswered,
    CallEnded,
    CallEvent,
    CallState,
    EndedBy,
    SecurityRefused,
    StreamStatistics,
)
from softphone.media.port import MediaError
from softphone.security import SecurityShortfall, SecurityState, Shortfall, ShortfallCode
from softphone.sip import (
    Body,
    BodyRole,
    InviteReceived,
    InviteUsage,
    NameAddr,
    parse_uri,
)
from softphone.sip import Canceled as CancelReceived

__all__ = ["IncomingCall", "IncomingLeg"]


class IncomingLeg(SessionLeg):
    """The callee's side of a call."""

    def __init__(self, setup: LegSetup, invite: InviteReceived[InviteUsage]) -> None:
        super().__init__(setup)
        self.usage = invite.usage
        self.request = invite.request
        self.replaces = invite.replaces
        self._proposal: Proposal | None = None
        self._offered = invite.role is BodyRole.OFFER
        self._body = invite.body
        self._acknowledged_once = False
        setup.adopt(invite.usage, self.handle)

    def begin(self) -> bool:
        """Judge the offer, if there is one; False: it was refused with 488, and is over."""
        self._hear(self.request)
        if not self._offered:
            return True
        try:
            outcome = self.negotiation.receive_offer(self._body)
        except MediaError as error:
            self._turn_down(500, Unacceptable(399, str(error)))
            return False
        if isinstance(outcome, Proposal):
            shortfalls = tuple(
                s for s in self.judge(outcome) if s.code is not ShortfallCode.FAR_END_UNKNOWN
            )
            if not shortfalls:
                self._proposal = outcome
                return True
            outcome = Unacceptable(399, "; ".join(map(str, shortfalls)), shortfalls)
        self._turn_down(488, outcome)
        return False

    def renew(self, make: Callable[[MediaSetup], Negotiation]) -> None:
        """Judge the offer again with another negotiation, before the answer.

        A server does so when the other side of the call turns out to be less secure.
        """
        self.negotiation.close()
        self.negotiation = make(replace(self.setup.media, on_event=self._media_event))
        self.policy = self.negotiation.setup.policy
        if self._offered:
            outcome = self.negotiation.receive_offer(self._body)
            self._proposal = outcome if isinstance(outcome, Proposal) else None

    def _turn_down(self, status: int, refusal: Unacceptable) -> None:
        usage = self.active_usage
        self.explanation = refusal.explanation
        self.refused = refusal.shortfalls
        error: SoftphoneError | None = None
        if refusal.shortfalls:
            error = SecurityShortfall(refusal.shortfalls)
            self.mailbox.put(SecurityRefused(refusal.shortfalls))
        with self.setup.change() as now:
            usage.reject(status, now=now, headers=(warning_header(refusal, self.setup.agent),))
        by = EndedBy.POLICY if refusal.shortfalls else EndedBy.LOCAL
        self.finish(CallEnded(by, status, refusal.explanation), error)

    def ring(self, status: int = 180) -> None:
        """Tell the caller that somebody is being alerted."""
        usage = self.active_usage
        with self.setup.change() as now:
            usage.ring(status, now=now)
        if self.state is CallState.TRYING:
            self.state = CallState.EARLY

    def accept(self) -> None:
        """Answer: with the answer to the offer, or with our offer where there was none."""
        usage = self.active_usage
        if self._offered:
            self._accept_offer(usage)
            return
        self._send_answer(usage, self.negotiation.offer())

    def _accept_offer(self, usage: InviteUsage) -> None:
        proposal = self._proposal
        if proposal is None:
            raise LocalProtocolError("the offer was refused")
        shortfalls = self.settle(proposal, accepted=self._media_open)
        if shortfalls:
            self._turn_down(488, Unacceptable(399, "; ".join(map(str, shortfalls)), shortfalls))
            return
        self._send_answer(usage, proposal.body)

    def _send_answer(self, usage: InviteUsage, body: Body | None) -> None:
        with self.setup.change() as now:
            usage.accept(body, now=now, headers=self.setup.announce(self.security))

    def _media_open(self) -> None:
        self.media_is_open = True
        if self._acknowledged_once:
            self._up()

    media_is_open = False

    def established(self) -> None:
        """The ACK is there, and with it, for an offer of ours, the answer."""
        self._acknowledged_once = True
        if self._offered and not self.media_is_open:
            # Media waits for the server's word about the far end; the dialog is confirmed.
            return
        self._up()

    def _up(self) -> None:
        if self.confirmed.done() or self.state is CallState.TERMINATED:
            return
        self.state = CallState.CONFIRMED
        self.mailbox.put(CallAnswered(self.security))
        self.confirmed.set_result(None)

    def reject(self, status: int, reason: str = "") -> None:
        """Refuse the call."""
        usage = self.active_usage
        with self.setup.change() as now:
            usage.reject(status, now=now, reason=reason)
        self.finish(CallEnded(EndedBy.LOCAL, status, reason))

    def redirect(self, contacts: tuple[str, ...], status: int) -> None:
        """Send the caller elsewhere."""
        usage = self.active_usage
        places = [NameAddr(None, parse_uri(contact), ()) for contact in contacts]
        with self.setup.change() as now:
            usage.redirect(places, now=now, status=status)
        self.finish(CallEnded(EndedBy.LOCAL, status, "redirected"))

    def _hang_up(self, status: int, text: str) -> None:
        usage = self.usage
        if usage is not None and self.state in (CallState.TRYING, CallState.EARLY):
            if usage.answered:
                super()._hang_up(status, text)
                return
            with self.setup.change() as now:
                usage.reject(status or 480, now=now)
            return
        super()._hang_up(status, text)

    def _canceled(self, event: CancelReceived[InviteUsage]) -> None:
        error = Canceled("the caller gave up", status=487, reason="Request Terminated")
        self.finish(CallEnded(EndedBy.REMOTE, event.status or 487, event.reason), error)

    handlers: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        **SessionLeg.handlers,
        CancelReceived: _canceled,
    }


class IncomingCall:
    """Somebody calls us.  What was refused on security grounds never gets here."""

    def __init__(self, leg: IncomingLeg) -> None:
        self._leg = leg

    @property
    def id(self) -> str:
        """The Call-ID."""
        return "" if self._leg.usage is None else self._leg.usage.call_id

    @property
    def peer(self) -> NameAddr:
        """Who calls, as signaled."""
        return self._leg.peer

    @property
    def state(self) -> CallState:
        """The state (RFC 4235)."""
        return self._leg.state

    @property
    def security(self) -> SecurityState:
        """What the call has now; its media is not open before the answer."""
        return self._leg.security

    @property
    def statistics(self) -> StreamStatistics:
        """Of its audio; after the end, the last."""
        return self._leg.statistics

    @property
    def replaces(self) -> InviteUsage | None:
        """The usage of ours that this call is to take the place of (RFC 3891)."""
        return self._leg.replaces

    @property
    def refused(self) -> tuple[Shortfall, ...]:
        """Why we refused the call on security grounds; () if we did not."""
        return self._leg.refused

    @property
    def ended(self) -> asyncio.Future[CallEnded]:
        """Done when the call is over, also when its caller gave up."""
        return self._leg.over

    def events(self) -> AsyncIterator[CallEvent]:
        """Everything that happens to the call, from its start."""
        return self._leg.mailbox.events()

    def ring(self) -> None:
        """Send 180 Ringing.  Raises LocalProtocolError when the call is over."""
        self._leg.ring()

    async def answer(self) -> Call:
        """Answer, and wait until the caller has acknowledged it and media is open.

        Raises SecurityShortfall when the answer to our offer, or the far end, is less secure than
        demanded, Canceled when the caller gave up, CallFailed when the ACK never came.
        """
        leg = self._leg
        leg.accept()
        try:
            waiting: set[asyncio.Future[Any]] = {leg.confirmed, leg.over}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            leg.hang_up()
            raise
        if leg.over.done():
            if leg.failure is not None:
                raise leg.failure
            ended = leg.over.result()
            message = f"the call ended before it was up: {ended.status} {ended.reason}"
            raise CallFailed(message, status=ended.status, reason=ended.reason)
        return Call.of(leg)

    def reject(self, status: int = 486, reason: str = "") -> None:
        """Refuse the call: 486 Busy Here, 603 Decline, 480 Temporarily Unavailable, ..."""
        if not 300 <= status <= 699:
            raise LocalProtocolError(f"{status} is no refusal; use 300 to 699")
        self._leg.reject(status, reason)

    def redirect(self, *contacts: str, status: int = 302) -> None:
        """Send the caller to other places.  Raises MalformedMessage for a bad URI."""
        self._leg.redirect(contacts, status)
