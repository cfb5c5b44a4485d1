"""The transactions of one endpoint, with the identifiers, timers and events that its usages share.

Matches messages to transactions (RFC 3261 sections 17.1.3 and 17.2.3), generates branches, tags
and Call-IDs, and holds the endpoint's only timer heap and event queue.  Dialogs are not known here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from uuid import UUID

from softphone.sans_io import Entropy, Flow, Target, Timers, Transmit, Transport, random_share
from softphone.sip.endpoint_config import EndpointConfig
from softphone.sip.message import Field, NameAddr, Request, Response, SipUri, find_parameter
from softphone.sip.transaction.client import ClientKey, ClientTransaction, ClientUser
from softphone.sip.transaction.server import (
    MAGIC_COOKIE,
    MergeKey,
    ServerKey,
    ServerTransaction,
    server_key,
)
from softphone.sip.transaction.tables import TimerKey, TransactionInput, TransactionState
from softphone.sip.transport import (
    FlowTable,
    FlowUser,
    comes_from_host,
    contact_for,
    flow_is_allowed,
)


class TransactionLayer:
    """The transaction layer of one endpoint, on which registrations, dialogs and calls build.

    `own_server` says whether a flow leads to a server of the account.
    """

    def __init__(
        self,
        *,
        config: EndpointConfig,
        entropy: Entropy,
        own_server: Callable[[Flow], bool] = lambda _: False,
    ) -> None:
        self.config = config
        self.own_server = own_server
        self.timing = config.timing
        self.entropy = entropy
        self.timers: Timers[TimerKey] = Timers()
        self.flows = FlowTable(max_waiting=config.max_waiting)
        self.events: deque[object] = deque()
        self._clients: dict[ClientKey, ClientTransaction] = {}
        self._servers: dict[ServerKey, ServerTransaction] = {}
        self.waiting_for_credentials: set[object] = set()
        """The requests that wait for new credentials before they are sent again."""
        self.server_bytes = 0
        """The size of the requests of all server transactions, in octets, roughly."""
        # RFC 3261 section 8.2.2.2: From tag, Call-ID and CSeq of the requests in progress.
        self._merged: dict[MergeKey, ServerKey] = {}

    # Names ---------------------------------------------------------------------------------------

    def new_branch(self) -> str:
        """Return a random branch that cannot be guessed, of 80 bits (RFC 3261 section 8.1.1.7)."""
        return MAGIC_COOKIE + self.entropy(10).hex()

    def new_tag(self) -> str:
        """Return a random tag of 64 bits (RFC 3261 section 19.3 asks for at least 32)."""
        return self.entropy(8).hex()

    def new_session_uuid(self) -> str:
        """Return a UUID for Session-ID: version 4, without dashes (RFC 7989 section 4)."""
        return UUID(bytes=self.entropy(16), version=4).hex

    def new_call_id(self) -> str:
        """Return a random Call-ID of 128 bits without a host name (RFC 3261 section 8.1.1.4)."""
        return self.entropy(16).hex()

    def new_sequence(self) -> int:
        """Return an initial CSeq number, 1 to 2^16, far below its limit (RFC 3261 8.1.1.5)."""
        return int.from_bytes(self.entropy(2), "big") + 1

    def random(self) -> float:
        """Return a random number in [0, 1)."""
        return random_share(self.entropy)

    # Out -----------------------------------------------------------------------------------------

    def send_bytes(self, data: bytes, to: Flow | Target) -> None:
        """Queue `data` for the driver to send."""
        self.flows.outgoing.append(Transmit(data, to))

    def emit_event(self, event: object) -> None:
        """Queue an event; the union of all of them is `softphone.sip.endpoint.SipEvent`."""
        self.events.append(event)

    def send_request(
        self,
        request: Request,
        *,
        to: Flow | Target,
        user: ClientUser,
        now: float,
        branch: str | None = None,
    ) -> ClientTransaction:
        """Start a client transaction.

        `request` has no Via yet.  For CANCEL, `branch` is that of its INVITE.  Failures are
        reported by a timer, never before this returns.
        """
        branch = branch or self.new_branch()
        transaction = ClientTransaction(request, branch=branch, to=to, user=user, layer=self)
        self._clients[transaction.key] = transaction
        transaction.arm_timeout(now=now)
        flow = self.flows.resolve(to)
        if flow is None:
            to = self.flows.forward(to)
        elif flow.transport is Transport.UDP and self._too_long(request):
            transaction.fallback = flow
            to = Target(Transport.TCP, flow.remote[0], flow.remote[1])
            flow = self.flows.resolve(to)
        if flow is not None:
            self.flows.add_user(flow, transaction, ours=True)
            transaction.send_on_flow(flow, now=now)
        elif not isinstance(to, Target) or not self.flows.wait_for_flow(to, transaction):
            self.timers.set((transaction, TransactionInput.TRANSPORT_ERROR), now)
        return transaction

    def _too_long(self, request: Request) -> bool:
        """Whether a request must not use UDP for its size (RFC 3261 section 18.1.1)."""
        limit = self.config.reliable_above
        # Allows 120 octets for the Via that is added later.
        return limit is not None and len(request.encode()) + 120 > limit

    # Flows ---------------------------------------------------------------------------------------

    def flow_opened(self, flow: Flow, target: Target | None, *, now: float) -> None:
        """Record an open flow and send the requests that wait for it."""
        for waiter in self.flows.flow_opened(flow, target):
            if isinstance(waiter, ClientTransaction):
                if waiter.state is TransactionState.TERMINATED:
                    continue
                self.flows.add_user(flow, waiter, ours=True)
            waiter.send_on_flow(flow, now=now)

    def flow_closed(self, flow: Flow | Target, reason: str, *, now: float) -> None:
        """Fail the users of a closed flow, or the waiters for a target that was not reached.

        A request that used TCP only for its size falls back to UDP instead.
        """
        for waiter in self.flows.flow_closed(flow):
            if not self._fall_back(waiter, now=now):
                waiter.flow_failed(reason, now=now)

    def _fall_back(self, waiter: FlowUser, *, now: float) -> bool:
        """Send a request over UDP after TCP, tried for its size, failed (RFC 3261 18.1.1)."""
        if not isinstance(waiter, ClientTransaction) or waiter.fallback not in self.flows:
            return False
        if not waiter.fall_back_to_udp(now=now):
            return False
        self.flows.add_user(waiter.flow, waiter, ours=True)
        return True

    # Responses -----------------------------------------------------------------------------------

    def receive_response(
        self,
        response: Response,
        *,
        flow: Flow,
        now: float,
        allowed: Callable[[Request, Flow], bool] = lambda *_: True,
    ) -> bool:
        """Pass a response to its transaction; returns False when it is dropped.

        Dropped are a response without a matching transaction, with more than one Via, on a flow
        that does not belong to its request, and a challenge from another host.  `allowed` decides
        whether the response to a request may arrive on `flow`.
        """
        via = response.vias[0]
        branch = find_parameter(via.parameters, "branch") or ""
        transaction = self._clients.get((branch, response.cseq.method))
        if transaction is None or transaction.flow is None or len(response.vias) > 1:
            return False
        if flow is not transaction.flow and not _comes_back(transaction, transaction.flow, flow):
            return False
        if response.status in (401, 407) and flow.remote[0] != transaction.flow.remote[0]:
            # A callee knows our Via as well and could challenge us over UDP, past the server.
            return False
        if not allowed(transaction.request, flow):
            return False
        transaction.source = flow.remote[0]
        self.flows.learn_public_address(flow, response)
        transaction.receive_response(response, now=now)
        return True

    @property
    def waits_for_responses(self) -> bool:
        """Whether any request of ours lacks a final response or waits for new credentials."""
        open_states = (
            TransactionState.CALLING,
            TransactionState.TRYING,
            TransactionState.PROCEEDING,
        )
        return bool(self.waiting_for_credentials) or any(
            client.state in open_states for client in self._clients.values()
        )

    # Requests ------------------------------------------------------------------------------------

    @property
    def server_count(self) -> int:
        """The number of server transactions."""
        return len(self._servers)

    def find_server_transaction(
        self, request: Request, *, method: str | None = None
    ) -> ServerTransaction | None:
        """Return the server transaction that `request` matches, or None.

        `method` replaces that of the request: "INVITE" finds the transaction that a CANCEL cancels.
        """
        return self._servers.get(server_key(request, method=method))

    def may_change(self, transaction: ServerTransaction, flow: Flow) -> bool:
        """Whether a retransmission, ACK or CANCEL on `flow` may belong to `transaction`.

        True on the flow or from the host of the request, from a host in its Via list, and, without
        TLS, on a flow to the account's own server.  A verified TLS peer must be the same.
        """
        bound = transaction.flow
        hosts = [via.source for via in transaction.request.vias]
        if flow_is_allowed(bound, flow, hosts=hosts):
            return bound.identity is not None or comes_from_host(bound, flow, hosts=hosts)
        return bound.transport is not Transport.TLS and self.own_server(flow)

    def is_merged(self, transaction: ServerTransaction) -> bool:
        """Whether its request, without To tag, came before by another path (RFC 3261 8.2.2.2)."""
        merge_key = transaction.merge_key
        return merge_key is not None and self._merged.get(merge_key) != transaction.key

    def server_transaction_of(self, key: ServerKey) -> ServerTransaction | None:
        """Return the server transaction of that `server_key`, or None."""
        return self._servers.get(key)

    def start_server_transaction(
        self, request: Request, *, key: ServerKey, flow: Flow, outside: bool, proven: bool
    ) -> ServerTransaction:
        """Start a server transaction; `proven` says that its sender receives at its address.

        `key` is the `server_key` of the request; `outside` says that it has no To tag.
        """
        transaction = ServerTransaction(
            request, key=key, flow=flow, to_tag=self.new_tag(), layer=self, proven=proven
        )
        self._servers[key] = transaction
        self.server_bytes += transaction.size
        if outside and request.method != "CANCEL":
            transaction.merge_key = _merge_key(request)
            self._merged.setdefault(transaction.merge_key, key)
        self.flows.add_user(flow, transaction, ours=False)
        return transaction

    # For its transactions ------------------------------------------------------------------------

    def transaction_terminated(self, transaction: object) -> None:
        """Remove a terminated transaction."""
        if isinstance(transaction, ClientTransaction):
            if self._clients.get(transaction.key) is transaction:
                del self._clients[transaction.key]
            self.flows.remove_user(transaction.flow, transaction)
        elif isinstance(transaction, ServerTransaction):
            if self._servers.get(transaction.key) is transaction:
                del self._servers[transaction.key]
                self.server_bytes -= transaction.size
            merge_key = transaction.merge_key
            if merge_key is not None and self._merged.get(merge_key) == transaction.key:
                del self._merged[merge_key]
            self.flows.remove_user(transaction.flow, transaction)

    def refusal_fields(self, status: int) -> tuple[Field, ...]:
        """Return Allow for a 405 (RFC 3261 section 21.4.6), Allow-Events for a 489 (RFC 6665).

        Any other status needs no field.
        """
        if status == 405:
            return (("Allow", ", ".join(self.config.allow)),)
        if status == 489:
            return (("Allow-Events", ", ".join(self.config.events)),)
        return ()

    def contact_value(self, flow: Flow, request: Request) -> str:
        """Return the Contact value for a request that has none and leaves on `flow`."""
        secure = isinstance(request.uri, SipUri) and request.uri.secure
        return self.contact_value_of(flow, request.from_, secure=secure)

    def contact_value_of(self, flow: Flow, address: NameAddr, *, secure: bool = False) -> str:
        """Return the Contact value for the user of `address` at our end of `flow`."""
        user = address.uri.user if isinstance(address.uri, SipUri) else None
        public = self.flows.contact_address(flow)
        return str(contact_for(flow, user=user, public=public, secure=secure))

    def transaction_accepted(self, transaction: object) -> None:
        """Detach an accepted transaction from its flow, which it outlives (RFC 6026)."""
        if isinstance(transaction, ClientTransaction | ServerTransaction):
            self.flows.remove_user(transaction.flow, transaction)

    def handle_timer(self, *, now: float) -> None:
        """Run every timer that is due at `now`."""
        while (key := self.timers.pop_due(now)) is not None:
            owner, name = key
            owner.handle_timer(name, now=now)


def _comes_back(transaction: ClientTransaction, sent_on: Flow, flow: Flow) -> bool:
    """Whether a response on `flow` belongs to a request sent on `sent_on`.

    Over UDP any flow is accepted: the branch is the only proof.
    """
    if sent_on == flow:
        return True
    if sent_on.transport is Transport.UDP and flow.transport is Transport.UDP:
        return True
    # A retransmitted 2xx may arrive on the peer's next connection.
    return transaction.state is TransactionState.ACCEPTED and flow_is_allowed(sent_on, flow)


def _merge_key(request: Request) -> MergeKey:
    cseq = request.cseq
    return (request.from_.tag or "", request.call_id, cseq.number, cseq.method)
