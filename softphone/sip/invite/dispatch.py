"""What comes in within the dialogs of an INVITE usage, sorted (RFC 3261 sections 12.2.2, 14.2, 15).

The methods of other usages that share the dialog (REFER, SUBSCRIBE, NOTIFY) are handed on.
"""

from __future__ import annotations

from softphone.sip.events import Cause, InDialogRequestReceived, ReferReceived, SubscribeReceived
from softphone.sip.invite.invite_dialog import InviteDialog
from softphone.sip.invite.usage import InviteState, InviteUsage
from softphone.sip.message import Request
from softphone.sip.request_validation import refer_values
from softphone.sip.subscription import NotifierUsage
from softphone.sip.transaction import ServerExchange, ServerTransaction

__all__ = ["InviteDispatch"]


class InviteDispatch:
    """The owner of one INVITE usage's dialogs."""

    def __init__(self, usage: InviteUsage) -> None:
        self.usage = usage
        usage.dialog_owner = self

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """A request within the dialog, other than ACK and CANCEL."""
        request = transaction.request
        leg = self.usage.find_dialog(request)
        if leg is None or (self.usage.held_bye is not None and request.method != "BYE"):
            transaction.respond(481, now=now)
        elif not leg.dialog.accept_sequence(request):
            transaction.respond(500, now=now, reason="CSeq out of order")
        else:
            route = _ROUTES.get(request.method, InviteDispatch._other)
            route(self, transaction, leg, now=now)

    def ack_received(self, request: Request, *, now: float) -> None:
        """The ACK of our 2xx to the INVITE or a re-INVITE; a copy changes nothing."""
        usage = self.usage
        if usage.server is not None and usage.server.ack_received(request, now=now):
            if usage.held_bye is not None and usage.leg is not None:
                usage.send_bye(usage.leg, now=now, headers=usage.held_bye)
                usage.end_without_event(now=now)
            return
        usage.remote_modification.ack_received(request, now=now)

    def _bye(self, transaction: ServerTransaction, leg: InviteDialog, *, now: float) -> None:
        usage = self.usage
        transaction.respond(200, now=now)
        if usage.state is not InviteState.CONFIRMED and usage.client is not None:
            # BYE in an early dialog ends that fork only (RFC 3261 section 15); a final response
            # to the INVITE will tell of the call.
            return
        if usage.server is not None and not usage.server.answered:
            usage.server.terminate(now=now)
        reason = next(iter(transaction.request.reasons), None)
        usage.end_usage(
            Cause.REMOTE,
            now=now,
            status=(reason.cause or 0) if reason is not None else 0,
            reason=reason.text if reason is not None else "",
            request=transaction.request,
        )

    def _invite(self, transaction: ServerTransaction, leg: InviteDialog, *, now: float) -> None:
        usage = self.usage
        server = usage.server
        if server is not None and not server.answered:
            # RFC 3261 section 14.2: the first INVITE has no final response yet.
            seconds = str(int(usage.layer.random() * 11))
            transaction.respond(500, now=now, headers=(("Retry-After", seconds),))
            return
        glare = usage.local_modification.inviting or usage.state is not InviteState.CONFIRMED
        usage.remote_modification.receive_request(transaction, leg, glare=glare, now=now)

    def _update(self, transaction: ServerTransaction, leg: InviteDialog, *, now: float) -> None:
        self.usage.remote_modification.receive_request(transaction, leg, glare=False, now=now)

    def _prack(self, transaction: ServerTransaction, leg: InviteDialog, *, now: float) -> None:
        if self.usage.server is None:
            transaction.respond(481, now=now)
        else:
            self.usage.server.prack_received(transaction, now=now)

    def _options(self, transaction: ServerTransaction, leg: InviteDialog, *, now: float) -> None:
        transaction.respond(200, now=now, headers=self.usage.refresh_fields(transaction.flow))

    def _refer(self, transaction: ServerTransaction, leg: InviteDialog, *, now: float) -> None:
        usage = self.usage
        values = refer_values(transaction.request)
        if values is None:
            transaction.respond(400, now=now, reason="No single usable Refer-To")
            return
        subscription = NotifierUsage(
            transaction, dialog=leg.dialog, layer=usage.layer, table=usage.table, now=now
        )
        if not usage.add_dialog_usage(subscription):
            subscription.reject(503, now=now)
            return
        usage.emit_event(
            ReferReceived(
                subscription,
                usage,
                transaction.request,
                values.refer_to,
                values.replaces,
                transaction.request.referred_by,
            )
        )

    def _notify(self, transaction: ServerTransaction, leg: InviteDialog, *, now: float) -> None:
        usage = self.usage
        event = transaction.request.event
        for sharer in usage.dialog_usages:
            if sharer.matches_request(transaction.request):
                sharer.request_received(transaction, now=now)
                return
        if event is None:
            transaction.respond(400, now=now, reason="Missing Event header field")
        elif event.package == "refer":
            # No REFER of ours knows of this one (RFC 6665 section 4.1.3).
            transaction.respond(481, now=now)
        elif event.package not in usage.layer.config.events:
            transaction.respond(489, now=now)
        else:
            self._other(transaction, leg, now=now)

    def _subscribe(self, transaction: ServerTransaction, leg: InviteDialog, *, now: float) -> None:
        usage = self.usage
        event = transaction.request.event
        for sharer in usage.dialog_usages:
            if sharer.matches_request(transaction.request):
                sharer.request_received(transaction, now=now)
                return
        if event is None or event.package not in usage.layer.config.events:
            transaction.respond(489, now=now)
            return
        subscription = NotifierUsage(
            transaction, dialog=leg.dialog, layer=usage.layer, table=usage.table, now=now
        )
        if not usage.add_dialog_usage(subscription):
            subscription.reject(503, now=now)
            return
        usage.emit_event(
            SubscribeReceived(subscription, transaction.request, transaction.flow, usage)
        )

    def _other(self, transaction: ServerTransaction, leg: InviteDialog, *, now: float) -> None:
        usage = self.usage
        exchange = ServerExchange(transaction, layer=usage.layer, now=now)
        usage.emit_event(InDialogRequestReceived(usage, exchange, transaction.request))


_ROUTES = {
    "BYE": InviteDispatch._bye,
    "INVITE": InviteDispatch._invite,
    "UPDATE": InviteDispatch._update,
    "PRACK": InviteDispatch._prack,
    "REFER": InviteDispatch._refer,
    "NOTIFY": InviteDispatch._notify,
    "SUBSCRIBE": InviteDispatch._subscribe,
    "OPTIONS": InviteDispatch._options,
}
