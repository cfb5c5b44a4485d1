"""What an `Endpoint` reports: frozen dataclasses, in the past tense.

Each event holds the usage, subscription or exchange that it belongs to, so that its owner can be
found from the event alone.  The events are generic in those classes only because this module lies
below theirs; `softphone.sip.endpoint.SipEvent` is the union with every class filled in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from softphone.fast_dataclass import fast_init
from softphone.sans_io import Flow, Target
from softphone.sip.message import Body, BodyRole, NameAddr, Request, Response

__all__ = [
    "AckReceived",
    "Cause",
    "FlowClosed",
    "FlowOpened",
    "InDialogRequestReceived",
    "InviteAnswered",
    "InviteCanceled",
    "InviteEnded",
    "InviteReceived",
    "InviteRejected",
    "MessageRejected",
    "ModificationAnswered",
    "ModificationFailed",
    "ModificationReceived",
    "NotifyReceived",
    "PongReceived",
    "PrackReceived",
    "ProvisionalReceived",
    "ReferReceived",
    "RequestFailed",
    "RequestReceived",
    "ResponseReceived",
    "SessionRefreshed",
    "StrangerIgnored",
    "SubscribeReceived",
    "SubscriptionAccepted",
    "SubscriptionRefreshed",
    "SubscriptionTerminated",
]

U = TypeVar("U")
X = TypeVar("X")
S = TypeVar("S")


class Cause(StrEnum):
    """Why a usage has ended."""

    LOCAL = "local"
    REMOTE = "remote"
    TIMEOUT = "timeout"
    TRANSPORT = "transport"
    REPLACED = "replaced"
    FAILED = "failed"


# Flows -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FlowOpened:
    """A flow is open: accepted from outside (target None), or opened for `target`."""

    flow: Flow
    target: Target | None


@dataclass(frozen=True, slots=True)
class FlowClosed:
    """A flow has ended, or (Target) could not be opened; `reason` None is a clean end."""

    flow: Flow | Target
    reason: str | None


@dataclass(frozen=True, slots=True)
class PongReceived:
    """The peer answered a CRLF keep-alive on this flow (RFC 5626 section 3.5.1)."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class MessageRejected:
    """Bytes that are no SIP message, or one that cannot be served, were refused or dropped.

    `status_hint` is the status that was, or would have been, answered.
    """

    flow: Flow
    status_hint: int
    reason: str


@dataclass(frozen=True, slots=True)
class StrangerIgnored:
    """A message bears the tags of a dialog and is not its peer's: it changed nothing.

    It is reported once for each dialog; a request was answered 481.  `peer` is the dialog's far
    end, `flow` what the message came on.
    """

    flow: Flow
    call_id: str
    peer: NameAddr


# Exchanges: requests outside an INVITE usage or a subscription ----------------------------------


@dataclass(frozen=True, slots=True)
class ResponseReceived(Generic[X]):
    """A response to a request of ours; digest challenges have been answered before."""

    exchange: X
    response: Response
    final: bool


@dataclass(frozen=True, slots=True)
class RequestFailed(Generic[X]):
    """No final response: 408 for a time-out, 503 for a lost or unopened flow."""

    exchange: X
    status_hint: int
    reason: str


@dataclass(frozen=True, slots=True)
class RequestReceived(Generic[X]):
    """A request outside any dialog, which the application answers with `endpoint.respond`."""

    exchange: X
    request: Request
    flow: Flow


# INVITE usages -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProvisionalReceived(Generic[U]):
    """A provisional response other than 100 came; `to_tag` names its early dialog ("" if none).

    A reliable one (RFC 3262) whose `role` is OFFER waits for `usage.prack(answer)`; every other
    reliable one has been acknowledged already.
    """

    usage: U
    response: Response
    to_tag: str
    body: Body | None
    role: BodyRole | None
    reliable: bool


@fast_init
@dataclass(frozen=True, slots=True)
class InviteAnswered(Generic[U]):
    """A 2xx to our INVITE came.  If `role` is OFFER, `usage.acknowledge(answer)` must follow."""

    usage: U
    response: Response
    body: Body | None
    role: BodyRole | None


@dataclass(frozen=True, slots=True)
class InviteRejected(Generic[U]):
    """Our INVITE has failed.  `response` is None when nobody answered (408) or the flow died (503).

    `contacts` are those of a 3xx; `canceled` says that we gave the call up ourselves;
    `unauthorized` is why a challenge was not answered, in a sentence for the user.
    """

    usage: U
    status: int
    reason: str
    response: Response | None
    contacts: tuple[NameAddr, ...] = ()
    canceled: bool = False
    unauthorized: str = ""


@fast_init
@dataclass(frozen=True, slots=True)
class InviteEnded(Generic[U]):
    """A usage that had been confirmed, or was about to be, is over.

    `status` and `reason` come from a Reason header field (RFC 3326) where there was one.
    """

    usage: U
    cause: Cause
    status: int = 0
    reason: str = ""
    request: Request | None = None


@fast_init
@dataclass(frozen=True, slots=True)
class InviteReceived(Generic[U]):
    """A call comes in.  `role` None means that the caller wants our offer.

    `replaces` is the local usage that a Replaces header field names (RFC 3891); accepting this
    usage ends that one.
    """

    usage: U
    request: Request
    flow: Flow
    body: Body | None
    role: BodyRole | None
    replaces: U | None = None


@dataclass(frozen=True, slots=True)
class InviteCanceled(Generic[U]):
    """The caller gave up before we answered; 487 has been sent."""

    usage: U
    status: int = 0
    reason: str = ""


@fast_init
@dataclass(frozen=True, slots=True)
class AckReceived(Generic[U]):
    """The ACK to our 2xx came, with the answer if the offer was ours.

    After a re-INVITE it is told only where the offer was ours; `role` None then means that it was
    never answered.
    """

    usage: U
    body: Body | None
    role: BodyRole | None


@dataclass(frozen=True, slots=True)
class PrackReceived(Generic[U]):
    """A reliable provisional response of ours was acknowledged (RFC 3262).

    `role` ANSWER answers our offer.  OFFER is a new offer: answer it with
    `usage.answer_modification(body)`.
    """

    usage: U
    body: Body | None
    role: BodyRole | None


@dataclass(frozen=True, slots=True)
class ModificationReceived(Generic[U]):
    """A re-INVITE or UPDATE came that wants an answer (`role` OFFER) or our offer (None)."""

    usage: U
    request: Request
    body: Body | None
    role: BodyRole | None


@dataclass(frozen=True, slots=True)
class ModificationAnswered(Generic[U]):
    """Our re-INVITE or UPDATE was accepted.

    If `role` is OFFER (a re-INVITE without body), `usage.acknowledge(answer)` must follow.
    """

    usage: U
    response: Response
    body: Body | None
    role: BodyRole | None


@dataclass(frozen=True, slots=True)
class ModificationFailed(Generic[U]):
    """Our re-INVITE or UPDATE was refused; the session is as it was."""

    usage: U
    status: int
    reason: str
    response: Response | None


@dataclass(frozen=True, slots=True)
class InDialogRequestReceived(Generic[U, X]):
    """INFO, MESSAGE, NOTIFY or another request within the dialog: answer it with `respond`."""

    usage: U
    exchange: X
    request: Request


@dataclass(frozen=True, slots=True)
class SessionRefreshed(Generic[U]):
    """The session was refreshed, or something said of it, without a change (RFC 4028, RFC 3311).

    `request` is the far end's, `response` the one to ours.
    """

    usage: U
    by_us: bool
    request: Request | None = None
    response: Response | None = None


# Subscriptions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SubscribeReceived(Generic[U, S]):
    """Somebody subscribes: `subscription.accept(...)` or `.reject(...)`.

    `usage` is the call it came in, or None.
    """

    subscription: S
    request: Request
    flow: Flow
    usage: U | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionRefreshed(Generic[S]):
    """The subscriber asked again; a NOTIFY with the full state must follow (RFC 6665 4.2.1.2)."""

    subscription: S
    request: Request


@dataclass(frozen=True, slots=True)
class SubscriptionAccepted(Generic[S]):
    """Our SUBSCRIBE or REFER was accepted with a 2xx, for `expires` seconds (0: none)."""

    subscription: S
    response: Response
    expires: float


@dataclass(frozen=True, slots=True)
class NotifyReceived(Generic[S]):
    """A NOTIFY of one of our subscriptions; it has been answered with 200.

    For a REFER, `status` and `reason` are those of the sipfrag (RFC 3515 section 2.4.5), else 0
    and "".
    """

    subscription: S
    request: Request
    body: Body | None
    status: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionTerminated(Generic[S]):
    """A subscription is over, on either side.

    `reason` is that of Subscription-State (RFC 6665 section 4.1.3) or of the failure; `status`
    the response that ended it, if one did, or our own where nothing was `answered`; `retry_after`
    the seconds asked of us, if any.
    """

    subscription: S
    status: int
    reason: str
    retry_after: float | None = None
    answered: bool = True


@dataclass(frozen=True, slots=True)
class ReferReceived(Generic[U, S]):
    """Somebody asks us to contact another place (RFC 3515).

    Answer with `subscription.accept()` (202, and NOTIFY progress by `subscription.progress`) or
    `subscription.reject(status)`.  `usage` is the call it came in, or None.
    """

    subscription: S
    usage: U | None
    request: Request
    refer_to: NameAddr
    replaces: str | None
    referred_by: NameAddr | None
