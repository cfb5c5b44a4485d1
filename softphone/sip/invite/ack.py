"""ACK for a 2xx, sent and received (RFC 3261 sections 13.2.2.4 and 13.3.1.4).

This ACK has no transaction.  The callee retransmits the 2xx until the ACK comes; the caller sends
the ACK again for each retransmitted 2xx.  Both do so on every transport, since a proxy may lose
either message.  The client transaction sends the ACK for a failure
(`softphone.sip.transaction.client`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from softphone.sans_io import Flow, Target
from softphone.sip.dialog import Dialog
from softphone.sip.events import AckReceived, Cause
from softphone.sip.invite.bye import send_bye, send_held_bye
from softphone.sip.invite.invite_dialog import (
    InviteDialog,
    OfferAnswerInput,
    OfferState,
)
from softphone.sip.message import Body, Request
from softphone.sip.transaction import ServerTransaction, TransactionLayer
from softphone.sip.transport import via_value

if TYPE_CHECKING:
    from softphone.sip.invite.usage import InviteUsage


_CREDENTIALS = ("Authorization", "Proxy-Authorization")


class SuccessAck:
    """Our ACK for the 2xx to `invite`, with the credentials of that INVITE (section 22.1)."""

    __slots__ = ("branch", "data", "layer", "request", "to")

    def __init__(
        self, invite: Request, body: Body | None, *, dialog: Dialog, layer: TransactionLayer
    ) -> None:
        fields = [field for field in invite.headers if field[0] in _CREDENTIALS]
        self.request = dialog.build_request(
            "ACK", headers=fields, body=body, sequence=invite.cseq.number
        )
        self.to = dialog.to
        self.layer = layer
        self.branch = layer.new_branch()
        self.data = b""

    def send_ack(self, *, now: float) -> None:
        """Send or resend the ACK on the dialog's current flow, or wait until that is open."""
        flow = self.layer.flows.resolve(self.to)
        if flow is not None:
            self.send_on_flow(flow, now=now)
            return
        to = self.layer.flows.forward(self.to)
        if isinstance(to, Target):
            self.layer.flows.wait_for_flow(to, self)

    def send_on_flow(self, flow: Flow, *, now: float) -> None:
        """Send the ACK on `flow`; the first call sets its Via."""
        if not self.data:
            self.data = self.request.with_via(via_value(flow, self.branch)).encode()
        self.layer.send_bytes(self.data, flow)

    def flow_failed(self, reason: str, *, now: float) -> None:
        """Do nothing without a flow: the next retransmitted 2xx triggers the ACK again."""


class SuccessRetransmission:
    """Our 2xx to an INVITE or re-INVITE, which `transaction` has sent, until its ACK comes.

    `offered` says that the 2xx may carry our offer, which the ACK then answers.
    """

    __slots__ = ("_data", "_interval", "_to", "_usage", "leg", "offered", "sequence")

    def __init__(
        self,
        transaction: ServerTransaction,
        *,
        usage: InviteUsage,
        leg: InviteDialog,
        offered: bool,
        now: float,
    ) -> None:
        self.sequence = transaction.request.cseq.number
        """The CSeq number that the ACK must have."""
        self.leg = leg
        self.offered = offered
        self._data = transaction.data
        self._to = transaction.to
        self._usage = usage
        self._interval = usage.layer.timing.t1
        usage.successes[self.sequence] = self
        usage.layer.timers.set((self, "resend"), now + self._interval)
        usage.layer.timers.set((self, "give up"), now + usage.layer.timing.timeout)

    def stop(self) -> None:
        """Stop retransmitting: the ACK came or the session is over."""
        del self._usage.successes[self.sequence]
        self._usage.layer.timers.cancel((self, "resend"), (self, "give up"))

    def handle_timer(self, name: object, *, now: float) -> None:
        """Retransmit the 2xx, or send BYE after 64*T1 without ACK (sections 13.3.1.4, 14.2)."""
        layer = self._usage.layer
        if name == "give up":
            self.stop()
            send_bye(self._usage, self.leg, now=now)
            self._usage.end_usage(Cause.TIMEOUT, now=now, status=408, reason="No ACK came")
            return
        self._interval = min(2 * self._interval, layer.timing.t2)
        layer.timers.set((self, "resend"), now + self._interval)
        # If the flow of the INVITE has died, the dialog may have a new one (RFC 5626).
        dead = isinstance(self._to, Flow) and self._to not in layer.flows
        to = layer.flows.resolve(self.leg.dialog.to) if dead else self._to
        if to is not None:
            layer.send_bytes(self._data, to)


def ack_received(usage: InviteUsage, request: Request, *, now: float) -> None:
    """Handle the ACK of our 2xx to the INVITE or a re-INVITE; ignore retransmissions."""
    success = usage.successes.get(request.cseq.number)
    if success is None:
        return
    success.stop()
    server, leg = usage.server, success.leg
    initial = server is not None and server.request.cseq.number == success.sequence
    body = request.find_body(usage.layer.config.session_types)
    role = None
    # Without `offered`, an open local offer belongs to a modification sent after the 2xx.
    offered = success.offered and leg.offer_answer.state is OfferState.LOCAL_OFFER
    if offered:
        role = leg.note_received(body)
        # An ACK without answer makes the offer of our 2xx void (section 13.2.2.4).
        leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
    if initial and server is not None:
        server.request.headers.drop_index()
    if initial or offered:
        usage.emit_event(AckReceived(usage, body if role is not None else None, role))
    if initial:
        send_held_bye(usage, now=now)
