"""Routes received requests, and checks them (RFC 3261 sections 8.2, 9.2, 12.2.2, 17.2.3).

Retransmissions go to their transaction, requests with a To tag to their dialog, CANCEL and ACK to
their INVITE.  All other requests are new: they are admitted, checked and reported.  `check_request`
makes the checks of section 8.2 that need no state: from a request and a configuration to None or
the refusal to send.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TypeAlias
from weakref import ReferenceType, ref

from softphone.rate_limit import TokenBucket
from softphone.sans_io import Flow, Side
from softphone.sip.dialog import DialogOwner, DialogTable
from softphone.sip.endpoint_config import EndpointConfig
from softphone.sip.events import InviteReceived, ReferReceived, RequestReceived, SubscribeReceived
from softphone.sip.invite import InviteServer, InviteState, InviteUsage
from softphone.sip.message import (
    KNOWN_METHODS,
    Body,
    BodyRole,
    Field,
    MalformedMessage,
    Request,
    SipUri,
    Uri,
    find_part,
    parse_multipart,
    unescape,
)
from softphone.sip.subscription import NotifierUsage, refer_values
from softphone.sip.transaction import ServerExchange, ServerTransaction, TransactionLayer
from softphone.sip.transaction.client import TARGET_REFRESH
from softphone.sip.transaction.server import MAGIC_COOKIE, server_key

RESERVE = 1.25
"""The factor on the bounds of the server transaction table for requests within dialogs."""

# Requests whose body must contain a session description.
_SESSION_METHODS = frozenset({"INVITE", "UPDATE", "PRACK"})


@dataclass(frozen=True, slots=True)
class RequestRefusal:
    """The failure response to a request; `reason` "" means the standard phrase."""

    status: int
    reason: str = ""
    headers: tuple[Field, ...] = ()


Admit: TypeAlias = Callable[[Request, Flow, float], RequestRefusal | None]
"""Judges a request on its flow, at a time; None admits it.  ACK and CANCEL are not judged.

The refusal is sent without a transaction, so that nothing is kept for a stranger (RFC 3261 8.2.7).
"""


class RequestRouter:
    """Routes each received request and creates the usages for new ones."""

    def __init__(
        self, *, layer: TransactionLayer, table: DialogTable, admit: Admit | None = None
    ) -> None:
        self._layer = layer
        self._table = table
        self._admit = admit
        self._config = layer.config
        rate, burst = self._config.admission_rate, self._config.admission_burst
        self._unknown_bucket = TokenBucket(rate=rate, burst=burst)
        self._known_bucket = TokenBucket(rate=rate, burst=burst)
        # Weak: transactions and dialogs hold live usages; an ended one must not be kept, since its
        # messages contain keys.
        self._usages: dict[int, ReferenceType[InviteUsage]] = {}
        self._numbers = count()

    def usages(self) -> tuple[InviteUsage, ...]:
        """Return every INVITE usage that has not ended."""
        known = [held() for held in tuple(self._usages.values())]
        return tuple(
            usage
            for usage in known
            if usage is not None and usage.state is not InviteState.TERMINATED
        )

    def add_usage(self, usage: InviteUsage) -> None:
        """Add a new usage, which is held weakly."""
        number = next(self._numbers)
        # The dead reference is the default of `pop`.
        self._usages[number] = ref(usage, partial(self._usages.pop, number))

    def route_request(self, request: Request, *, flow: Flow, now: float) -> None:
        """Route one request; answer 503, 481 or 482 where no usage or transaction takes it."""
        if request.method == "ACK":
            self._route_ack(request, flow=flow, now=now)
            return
        key = server_key(request)
        known = self._layer.server_transaction_of(key)
        if known is not None:
            if self._layer.may_change(known, flow):
                known.receive_request(request, now=now)
            return
        outside, canceling = request.to.tag is None, request.method == "CANCEL"
        in_dialog = not outside and not canceling
        owner = self._table.find_owner(request, flow=flow) if in_dialog else None
        belongs = self._cancels(request) if canceling else owner is not None
        proven = belongs or self._layer.flows.is_proven(flow)
        if self._overloaded(belongs=belongs, proven=proven, now=now):
            # Stateless 503: a request that is not served gets no transaction (8.2.7).
            retry = (("Retry-After", str(self._config.retry_after)),)
            self._refuse_statelessly(request, RequestRefusal(503, headers=retry), flow=flow)
            return
        if canceling and not self._may_cancel(request, flow=flow):
            # A transaction for it would block the real CANCEL, which has the same branch.
            self._refuse_statelessly(request, RequestRefusal(481), flow=flow)
            return
        refusal = self._inadmissible(request, flow=flow, now=now)
        if refusal is not None:
            self._refuse_statelessly(request, refusal, flow=flow)
            return
        transaction = self._layer.start_server_transaction(
            request, key=key, flow=flow, outside=outside, proven=proven
        )
        if canceling:
            self._route_cancel(transaction, now=now)
        elif not outside:
            self._route_in_dialog(transaction, owner, now=now)
        elif self._layer.is_merged(transaction):
            transaction.respond(482, now=now)
        else:
            self._route_new_request(transaction, now=now)

    def _overloaded(self, *, belongs: bool, proven: bool, now: float) -> bool:
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
        bucket = self._known_bucket if proven else self._unknown_bucket
        return not bucket.admit(now=now)

    def _cancels(self, request: Request) -> bool:
        """Whether a CANCEL is that of an INVITE that we know."""
        return self._layer.find_server_transaction(request, method="INVITE") is not None

    def _inadmissible(self, request: Request, *, flow: Flow, now: float) -> RequestRefusal | None:
        """Ask `admit`; OPTIONS begins no dialog, and CANCEL cannot be challenged (22.1)."""
        if self._admit is None or request.method in ("CANCEL", "OPTIONS"):
            return None
        return self._admit(request, flow, now)

    def _refuse_statelessly(self, request: Request, refusal: RequestRefusal, *, flow: Flow) -> None:
        transaction = ServerTransaction(
            request,
            key=(),
            flow=flow,
            to_tag=self._layer.new_tag(),
            layer=self._layer,
            proven=False,
        )
        transaction.identify_refusal()
        response = transaction.request.response(
            refusal.status,
            to_tag=transaction.to_tag,
            reason=refusal.reason or None,
            headers=(*refusal.headers, *transaction.fields),
        )
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

    def _route_in_dialog(
        self, transaction: ServerTransaction, owner: DialogOwner | None, *, now: float
    ) -> None:
        request = transaction.request
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
        timed = request.session_expires is not None
        if timed and usage.session_timer.refuse_too_small(transaction, now=now):
            return
        status, replaced = self._replaces(request)
        if status:
            transaction.respond(status, now=now)
            return
        usage.server = InviteServer(transaction, usage=usage, now=now)
        usage.replaced = replaced
        body = usage.server.body
        self.add_usage(usage)
        self._layer.emit_event(
            InviteReceived(
                usage,
                transaction.request,
                transaction.flow,
                body,
                None if body is None else BodyRole.OFFER,
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


# Checks (RFC 3261 section 8.2) --------------------------------------------------------------------


def check_request(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    """Return the first refusal, in the order of RFC 3261 section 8.2, or None."""
    return (
        _check_method(request, config)
        or _check_uri(request, config)
        or _check_extensions(request, config)
        or _check_content(request, config)
        or _check_accept(request, config)
        or _check_contact(request)
    )


def _check_method(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    if request.method in config.allow:
        return None
    # RFC 3261 sections 8.2.1 and 21.5.2.
    if request.method in KNOWN_METHODS:
        return RequestRefusal(405)
    return RequestRefusal(501, headers=(("Allow", ", ".join(config.allow)),))


def _check_uri(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    if request.uri.scheme.lower() not in config.schemes:
        return RequestRefusal(416)
    if request.method == "REGISTER" and not isinstance(request.to.uri, SipUri):
        # An address of record is a sip or sips URI (RFC 4475 section 3.3.4).
        return RequestRefusal(400, "The address of record is no SIP URI")
    if config.users and request.to.tag is None and not _is_for_us(request.uri, config.users):
        return RequestRefusal(404)
    return None


def _is_for_us(uri: Uri, users: tuple[str, ...]) -> bool:
    """Whether the user part of a Request-URI is in `users` (RFC 3261 section 19.1.4)."""
    if not isinstance(uri, SipUri) or uri.user is None:
        return False
    return unescape(uri.user) in {unescape(user) for user in users}


def _check_extensions(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    if request.method in ("ACK", "CANCEL") or not request.require:
        return None
    # A UAS ignores Proxy-Require, which is for proxies (RFC 4475 section 3.3.5).
    known = {tag.lower() for tag in config.supported}
    unknown = [tag for tag in request.require if tag.lower() not in known]
    return RequestRefusal(420, headers=(("Unsupported", ", ".join(unknown)),)) if unknown else None


def _check_content(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    content = request.content if request.body else None
    if content is None or _optional(content):
        return None
    if request.headers.get("Content-Encoding") not in (None, "identity"):
        return RequestRefusal(415, headers=(("Accept-Encoding", "identity"),))
    if request.method in _SESSION_METHODS:
        return _check_session(content, config)
    if request.method == "MESSAGE" and config.message_types:
        return _check_message(content, config.message_types)
    return None


def _check_session(content: Body, config: EndpointConfig) -> RequestRefusal | None:
    """Require one part of an accepted media type (415); other parts are ignored."""
    if content.media_type in config.accept:
        return None
    try:
        found = any(find_part(content, known) for known in config.accept)
    except MalformedMessage as error:
        return RequestRefusal(400, error.reason)
    return None if found else RequestRefusal(415, headers=(("Accept", ", ".join(config.accept)),))


def _check_message(content: Body, types: tuple[str, ...]) -> RequestRefusal | None:
    """Require an accepted media type for each part that is not optional (RFC 5621 3 and 8)."""
    parts = [content]
    if content.media_type.startswith("multipart/"):
        try:
            parts = [part.body for part in parse_multipart(content)]
        except MalformedMessage as error:
            return RequestRefusal(400, error.reason)
    if all(part.media_type in types or _optional(part) for part in parts):
        return None
    return RequestRefusal(415, headers=(("Accept", ", ".join(types)),))


def _optional(content: Body) -> bool:
    parameters = content.disposition.lower().replace(" ", "").split(";")[1:]
    return "handling=optional" in parameters


def _check_accept(request: Request, config: EndpointConfig) -> RequestRefusal | None:
    """Refuse an INVITE whose Accept excludes session descriptions (406, 21.4.7)."""
    if request.method != "INVITE" or request.accept is None:
        return None
    wildcards = {f"{known.partition('/')[0]}/*" for known in config.session_types}
    if {*request.accept} & {*config.session_types, *wildcards, "*/*"}:
        return None
    return RequestRefusal(406)


def _check_contact(request: Request) -> RequestRefusal | None:
    """Require one Contact with a SIP URI, the target of our requests (RFC 3261 8.1.1.8).

    Only SUBSCRIBE and an initial INVITE must have it.  After a REFER without Contact, NOTIFY goes
    to the URI in From.
    """
    if request.method not in TARGET_REFRESH:
        return None
    if "Contact" not in request.headers:
        missing = request.method == "SUBSCRIBE" or _begins_call(request)
        return RequestRefusal(400, "Missing Contact header field") if missing else None
    contacts = request.contacts
    if len(contacts) > 1:
        return RequestRefusal(400, "More than one Contact")
    if not contacts or not isinstance(contacts[0].uri, SipUri):
        return RequestRefusal(400, "Contact is no SIP URI")
    return None


def _begins_call(request: Request) -> bool:
    """Whether it is an initial INVITE of an RFC 3261 peer; RFC 2543 allows no Contact."""
    branch = request.top_via.branch or ""
    return request.method == "INVITE" and request.to.tag is None and branch.startswith(MAGIC_COOKIE)
