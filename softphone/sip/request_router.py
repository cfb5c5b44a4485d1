"""Routes received requests (RFC 3261 sections 8.2, 9.2, 12.2.2, 17.2.3).

Retransmissions go to their transaction, requests with a To tag to their dialog, CANCEL and ACK to
their INVITE.  All other requests are new: they are admitted, checked and reported.
"""

from __future__ import annotations

from itertools import count
from weakref import WeakValueDictionary

from softphone.rate_limit import TokenBucket
from softphone.sans_io import Flow, Side
from softphone.sip.dialog import DialogTable
from softphone.sip.events import InviteReceived, ReferReceived, RequestReceived, SubscribeReceived
from softphone.sip.invite import InviteServer, InviteState, InviteUsage
from softphone.sip.message import Field, Request
from softphone.sip.request_validation import check_request
from softphone.sip.subscription import NotifierUsage, refer_values
from softphone.sip.transaction import ServerExchange, ServerTransaction, TransactionLayer

RESERVE = 1.25
"""The factor on the bounds of the server transaction table for requests within dialogs."""


class RequestRouter:
    """Routes each received request and creates the usages for new ones."""

    def __init__(self, *, layer: TransactionLayer, table: DialogTable) -> None:
        self._layer = layer
        self._table = table
        self._config = layer.config
        rate, burst = self._config.admission_rate, self._config.admission_burst
        self._unknown_bucket = TokenBucket(rate=rate, burst=burst)
        self._known_bucket = TokenBucket(rate=rate, burst=burst)
        # Weak: transactions and dialogs hold live usages; an ended one must not be kept, since its
        # messages contain keys.
        self._usages: WeakValueDictionary[int, InviteUsage] = WeakValueDictionary()
        self._numbers = count()

    def usages(self) -> tuple[InviteUsage, ...]:
        """Return every INVITE usage that has not ended."""
        known = self._usages.values()
        return tuple(usage for usage in known if usage.state is not InviteState.TERMINATED)

    def add_usage(self, usage: InviteUsage) -> None:
        """Add a new usage, which is held weakly."""
        self._usages[next(self._numbers)] = usage

    def route_request(self, request: Request, *, flow: Flow, now: float) -> None:
        """Route one request; answer 503, 481 or 482 where no usage or transaction takes it."""
        if request.method == "ACK":
            self._route_ack(request, flow=flow, now=now)
            return
        known = self._layer.find_server_transaction(request)
        if known is not None:
            if self._layer.may_change(known, flow):
                known.receive_request(request, now=now)
            return
        belongs = self._belongs(request, flow=flow)
        if self._overloaded(belongs=belongs, flow=flow, now=now):
            # Stateless 503: a request that is not served gets no transaction (8.2.7).
            retry = (("Retry-After", str(self._config.retry_after)),)
            self._refuse_statelessly(request, 503, flow=flow, headers=retry)
            return
        if request.method == "CANCEL" and not self._may_cancel(request, flow=flow):
            # A transaction for it would block the real CANCEL, which has the same branch.
            self._refuse_statelessly(request, 481, flow=flow)
            return
        merged = self._layer.is_merged(request)
        transaction = self._layer.start_server_transaction(
            request, flow=flow, proven=belongs or self._layer.flows.is_proven(flow)
        )
        if request.method == "CANCEL":
            self._route_cancel(transaction, now=now)
        elif request.to.tag is not None:
            self._route_in_dialog(transaction, now=now)
        elif merged:
            transaction.respond(482, now=now)
        else:
            self._route_new_request(transaction, now=now)

    def _overloaded(self, *, belongs: bool, flow: Flow, now: float) -> bool:
        config, layer = self._config, self._layer
        # New requests must not fill the table: a quarter more is reserved for existing calls.
        share = RESERVE if belongs else 1.0
        if layer.server_count >= share * config.max_transactions:
            return True
        if layer.server_bytes >= share * config.max_transaction_bytes:
            return True
        if belongs:
            return False
        # Unknown senders must not use up the rate of our server or of registered phones.
        bucket = self._known_bucket if layer.flows.is_proven(flow) else self._unknown_bucket
        return not bucket.admit(now=now)

    def _belongs(self, request: Request, *, flow: Flow) -> bool:
        """Whether a request belongs to an existing dialog or, for CANCEL, to an INVITE.

        A To tag alone proves nothing: anyone can write one.
        """
        if request.method == "CANCEL":
            return self._layer.find_server_transaction(request, method="INVITE") is not None
        return request.to.tag is not None and self._table.find_owner(request, flow=flow) is not None

    def _refuse_statelessly(
        self, request: Request, status: int, *, flow: Flow, headers: tuple[Field, ...] = ()
    ) -> None:
        transaction = ServerTransaction(
            request,
            key=(),
            flow=flow,
            to_tag=self._layer.new_tag(),
            layer=self._layer,
            proven=False,
        )
        response = transaction.request.response(status, to_tag=transaction.to_tag, headers=headers)
        self._layer.send_bytes(response.encode(), transaction.to)

    def _may_cancel(self, request: Request, *, flow: Flow) -> bool:
        invite = self._layer.find_server_transaction(request, method="INVITE")
        return invite is None or self._layer.may_change(invite, flow)

    def _route_ack(self, request: Request, *, flow: Flow, now: float) -> None:
        transaction = self._layer.find_server_transaction(request)
        if transaction is not None and transaction.last_status >= 300:
            if self._layer.may_change(transaction, flow):
                transaction.receive_request(request, now=now)
            return
        owner = self._table.find_owner(request, flow=flow)
        if owner is not None:
            owner.ack_received(request, now=now)

    def _route_cancel(self, transaction: ServerTransaction, *, now: float) -> None:
        invite = self._layer.find_server_transaction(transaction.request, method="INVITE")
        if invite is None:
            transaction.respond(481, now=now)
            return
        # The To tag of this 200 is that of the response to the INVITE (RFC 3261 section 9.2).
        transaction.to_tag = invite.to_tag
        transaction.respond(200, now=now)
        if invite.user is not None:
            invite.user.cancel_received(transaction.request, now=now)

    def _route_in_dialog(self, transaction: ServerTransaction, *, now: float) -> None:
        request = transaction.request
        owner = self._table.find_owner(request, flow=transaction.flow)
        refused = check_request(request, self._config)
        if owner is None:
            transaction.respond(481, now=now)
        elif refused is not None and request.method != "BYE":
            transaction.respond(
                refused.status, now=now, reason=refused.reason, headers=refused.headers
            )
        else:
            owner.request_received(transaction, now=now)

    def _route_new_request(self, transaction: ServerTransaction, *, now: float) -> None:
        request = transaction.request
        refused = check_request(request, self._config)
        if refused is not None:
            transaction.respond(
                refused.status, now=now, reason=refused.reason, headers=refused.headers
            )
        elif request.method == "INVITE":
            self._invite(transaction, now=now)
        elif request.method == "SUBSCRIBE":
            self._subscribe(transaction, now=now)
        elif request.method == "REFER":
            self._refer(transaction, now=now)
        elif request.method == "OPTIONS" and self._config.answer_options:
            transaction.respond(200, now=now, headers=self._capabilities())
        elif request.method in ("BYE", "PRACK", "UPDATE", "INFO"):
            # These methods exist only within dialogs (RFC 3261 15.1.2, RFC 3262, 3311, 6086).
            transaction.respond(481, now=now)
        else:
            exchange = ServerExchange(transaction, layer=self._layer, now=now)
            self._layer.emit_event(RequestReceived(exchange, transaction.request, transaction.flow))

    def _capabilities(self) -> list[Field]:
        config = self._config
        fields = [
            ("Allow", ", ".join(config.allow)),
            ("Accept", ", ".join(config.accept)),
            ("Accept-Encoding", "identity"),
            ("Accept-Language", "en"),
            ("Supported", ", ".join(config.supported)),
            ("Allow-Events", ", ".join(config.events)),
        ]
        if config.user_agent:
            fields.append(("Server", config.user_agent))
        return fields

    # INVITE --------------------------------------------------------------------------------------

    def _invite(self, transaction: ServerTransaction, *, now: float) -> None:
        request = transaction.request
        usage = InviteUsage(
            side=Side.SERVER,
            layer=self._layer,
            table=self._table,
            session_timer=self._config.session_expires or None,
        )
        if usage.session_timer.refuse_too_small(transaction, now=now):
            return
        status, replaced = self._replaces(request)
        if status:
            transaction.respond(status, now=now)
            return
        usage.server = InviteServer(transaction, usage=usage, now=now)
        usage.replaced = replaced
        self.add_usage(usage)
        self._layer.emit_event(
            InviteReceived(
                usage,
                transaction.request,
                transaction.flow,
                usage.server.body if usage.server.role is not None else None,
                usage.server.role,
                replaced,
            )
        )

    def _replaces(self, request: Request) -> tuple[int, InviteUsage | None]:
        """Return (0, usage named by Replaces, if any) or (failure status, None) (RFC 3891 3)."""
        named = request.replaces
        if named is None:
            return 0, None
        found = self._table.find_by_id(named.call_id, named.to_tag, named.from_tag)
        if found is None:
            return 481, None
        owner, _ = found
        if not isinstance(owner, InviteUsage) or owner.state is InviteState.TERMINATED:
            # The dialog is being ended by our BYE, or is not of a call.
            return 603, None
        if owner.state is InviteState.CONFIRMED:
            return (486, None) if named.early_only else (0, owner)
        # Only an early dialog that we initiated can be replaced.
        return (0, owner) if owner.side is Side.CLIENT else (481, None)

    # SUBSCRIBE and REFER -------------------------------------------------------------------------

    def _subscribe(self, transaction: ServerTransaction, *, now: float) -> None:
        event = transaction.request.event
        if event is None or event.package not in self._config.events:
            transaction.respond(489, now=now)
            return
        subscription = self._make_notifier(transaction, now=now)
        self._layer.emit_event(
            SubscribeReceived(subscription, transaction.request, transaction.flow)
        )

    def _refer(self, transaction: ServerTransaction, *, now: float) -> None:
        request = transaction.request
        values = refer_values(request)
        if values is None:
            transaction.respond(400, now=now, reason="No single usable Refer-To")
            return
        subscription = self._make_notifier(transaction, now=now)
        self._layer.emit_event(
            ReferReceived(
                subscription, None, request, values.refer_to, values.replaces, request.referred_by
            )
        )

    def _make_notifier(self, transaction: ServerTransaction, *, now: float) -> NotifierUsage:
        return NotifierUsage(
            transaction, dialog=None, layer=self._layer, table=self._table, now=now
        )
