"""The one machine that a transport drives: RFC 3261's user agent, either side.

An Endpoint owns many flows, one heap of timers, the transactions, and the usages above them.
`Transmit(data=b"", to=target)` asks the driver to open a flow and to write nothing; requests wait
for `connected`, since their Via needs the flow's own address (RFC 3261 section 18.1.1).
Registration, location and media live elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from softphone.machine import Entropy, Flow, Side, Target, Transmit
from softphone.sip import event as events
from softphone.sip.body import Body
from softphone.sip.config import EndpointConfig
from softphone.sip.digest import DigestSession
from softphone.sip.exchange import Exchange, ServerExchange
from softphone.sip.invitation import Invitation, ReferRequest, SubscribeRequest
from softphone.sip.invite import InviteUsage
from softphone.sip.message import Request, Response
from softphone.sip.subscription import ServerSubscription, Subscription
from softphone.sip.uri import NameAddr

__all__ = ["Endpoint", "SipEvent"]

SipEvent: TypeAlias = (
    events.FlowOpened
    | events.FlowClosed
    | events.PongReceived
    | events.MessageRejected
    | events.ResponseReceived[Exchange]
    | events.RequestFailed[Exchange]
    | events.RequestReceived[ServerExchange]
    | events.Provisional[InviteUsage]
    | events.Answered[InviteUsage]
    | events.Rejected[InviteUsage]
    | events.Ended[InviteUsage]
    | events.InviteReceived[InviteUsage]
    | events.Canceled[InviteUsage]
    | events.Acknowledged[InviteUsage]
    | events.Pracked[InviteUsage]
    | events.ModificationReceived[InviteUsage]
    | events.ModificationAnswered[InviteUsage]
    | events.ModificationFailed[InviteUsage]
    | events.InDialogRequestReceived[InviteUsage, ServerExchange]
    | events.SessionRefreshed[InviteUsage]
    | events.SubscribeReceived[ServerSubscription]
    | events.SubscriptionRefreshed[ServerSubscription]
    | events.SubscriptionAccepted[Subscription]
    | events.NotifyReceived[Subscription]
    | events.SubscriptionTerminated[Subscription | ServerSubscription]
    | events.ReferReceived[InviteUsage, ServerSubscription]
)


class Endpoint:
    """A user agent; implements `softphone.machine.Machine[SipEvent]`."""

    def __init__(
        self, *, side: Side, entropy: Entropy, config: EndpointConfig | None = None
    ) -> None:
        self.side = side
        self.config = config or EndpointConfig()

    # The machine

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Take one datagram, or any piece of a stream."""

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """A flow is open: accepted, or opened for `target`; what waited for it goes out."""

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """Fail the transactions on the flow; confirmed dialogs live on."""

    def handle_timer(self, *, now: float) -> None:
        """Run whatever is due."""

    def next_timer(self) -> float | None:
        """The earliest deadline, or None."""
        return None

    def transmits(self) -> list[Transmit]:
        """Take out what is to be sent, in order."""
        return []

    def next_event(self) -> SipEvent | None:
        """Take out the next event, or None."""
        return None

    # Commands

    def open(self, target: Target, *, now: float) -> None:
        """Have a flow opened; FlowOpened or FlowClosed follows."""

    def close(self, flow: Flow, *, now: float) -> None:
        """Have a flow closed by the driver."""

    def ping(self, flow: Flow, *, now: float) -> None:
        """Send the double CRLF of RFC 5626 section 4.4.1 on a stream flow."""

    def rebind(self, old: Flow | Target, new: Flow | Target, *, now: float) -> None:
        """Move every dialog and subscription from one flow to another (RFC 5626)."""

    def request(
        self,
        request: Request,
        *,
        to: Flow | Target,
        now: float,
        credentials: DigestSession | None = None,
    ) -> Exchange:
        """Send a request outside any dialog that is neither INVITE nor SUBSCRIBE.

        The request comes without Via; From tag, Call-ID, CSeq and Max-Forwards are filled in
        where they are missing.
        """
        raise NotImplementedError

    def respond(
        self,
        exchange: ServerExchange,
        status: int,
        *,
        now: float,
        reason: str = "",
        headers: Sequence[tuple[str, str]] = (),
        body: Body | None = None,
    ) -> None:
        """Answer a request that came in.  Raises LocalProtocolError after a final response."""

    def invite(self, invitation: Invitation, *, now: float) -> InviteUsage:
        """Call somebody.  Raises LocalProtocolError if the INVITE cannot be built."""
        raise NotImplementedError

    def subscribe(self, subscribe: SubscribeRequest, *, now: float) -> Subscription:
        """SUBSCRIBE outside any dialog (RFC 6665)."""
        raise NotImplementedError

    def refer(self, refer: ReferRequest, *, now: float) -> Subscription:
        """REFER outside any dialog (RFC 3515)."""
        raise NotImplementedError

    # What is known

    def flow_of(self, target: Target) -> Flow | None:
        """The open flow that was opened for `target`."""
        return None

    def public_address(self, flow: Flow) -> tuple[str, int] | None:
        """Our address as the far end of `flow` saw it last (received, rport: RFC 3581)."""
        return None

    def contact(self, flow: Flow, user: str | None, *, secure: bool = False) -> NameAddr:
        """A Contact that leads back to `flow`, at the public address where it is known."""
        raise NotImplementedError

    def usages(self) -> tuple[InviteUsage, ...]:
        """Every INVITE usage that has not ended."""
        return ()
