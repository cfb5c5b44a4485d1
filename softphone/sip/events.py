"""The events of an `Endpoint`: frozen dataclasses, named in the past tense.

Each event holds its usage, subscription or exchange, so that the owner can be found from the event
alone.  The events are generic in those classes only because this module lies below theirs;
`softphone.sip.endpoint.SipEvent` is the union with the classes filled in.
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
    """A flow is open: accepted (target None), or opened for `target`."""

    flow: Flow
    target: Target | None


@dataclass(frozen=True, slots=True)
class FlowClosed:
    """A flow has ended, or a Target could not be connected; `reason` None is a clean end."""

    flow: Flow | Target
    reason: str | None


@dataclass(frozen=True, slots=True)
class PongReceived:
    """The peer answered a CRLF keep-alive on this flow (RFC 5626 section 3.5.1)."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class MessageRejected:
    """Bytes that are no valid SIP message, or a message that cannot be served, were rejected.

    `status_hint` is the status of the response, or the fitting one if none was sent.
    """

    flow: Flow
    status_hint: int
    reason: str


@dataclass(frozen=True, slots=True)
class StrangerIgnored:
    """A message with the tags of a dialog came on a flow that may not send it, and was ignored.

    Reported once for each dialog; a request is answered 481.  `peer` is the far end of the dialog,
    `flow` the flow of the message.
    """

    flow: Flow
    call_id: str
    peer: NameAddr


# Exchanges: requests outside an INVITE usage or a subscription ----------------------------------


@dataclass(frozen=True, slots=True)
class ResponseReceived(Generic[X]):
    """A response to our request came; digest challenges were answered before, where possible."""

    exchange: X
    response: Response
    final: bool


@dataclass(frozen=True, slots=True)
class RequestFailed(Generic[X]):
    """Our request got no final response: 408 for a time-out, 503 for a lost or unopened flow."""

    exchange: X
    status_hint: int
    reason: str


@dataclass(frozen=True, slots=True)
class RequestReceived(Generic[X]):
    """A request outside any dialog came; answer it with `endpoint.respond`."""

    exchange: X
    request: Request
    flow: Flow


# INVITE usages -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProvisionalReceived(Generic[U]):
    """A provisional response other than 100 came; `to_tag` names its early dialog ("" if none).

    If it is reliable (RFC 3262) and `role` is OFFER, answer with `usage.prack(answer)`; any other
    reliable one is acknowledged already.
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
    """Our INVITE has failed.  `response` is None after a time-out (408) or a lost flow (503).

    `contacts` are those of a 3xx; `canceled` says that we canceled the call; `unauthorized` says
    why a challenge was not answered, in a sentence for the user.
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
    """A usage has ended after it was confirmed, or before we answered an incoming INVITE.

    `status` (of SIP), `reason` and `q850_cause` come from the Reason header field of a BYE (RFC
    3326), if it had one, or say what failed.  `request` is the far end's BYE.
    """

    usage: U
    cause: Cause
    status: int = 0
    reason: str = ""
    q850_cause: int = 0
    request: Request | None = None


@fast_init
@dataclass(frozen=True, slots=True)
class InviteReceived(Generic[U]):
    """An initial INVITE came.  `role` None means that the caller wants our offer.

    `replaces` is the local usage that Replaces names (RFC 3891); accepting this usage ends it.
    """

    usage: U
    request: Request
    flow: Flow
    body: Body | None
    role: BodyRole | None
    replaces: U | None = None


@dataclass(frozen=True, slots=True)
class InviteCanceled(Generic[U]):
    """The caller canceled the INVITE before our final response; 487 was sent.

    `status`, `reason` and `q850_cause` come from the Reason header field (RFC 3326), else 0 and "".
    """

    usage: U
    status: int = 0
    reason: str = ""
    q850_cause: int = 0


@fast_init
@dataclass(frozen=True, slots=True)
class AckReceived(Generic[U]):
    """The ACK for our 2xx came, with the answer if the offer was ours.

    After a re-INVITE it is reported only if the offer was ours; `role` None then means that the ACK
    had no answer.
    """

    usage: U
    body: Body | None
    role: BodyRole | None


@dataclass(frozen=True, slots=True)
class PrackReceived(Generic[U]):
    """The PRACK for our reliable provisional response came (RFC 3262).

    `role` ANSWER answers our offer.  OFFER is a new offer: answer it with
    `usage.answer_modification(body)`.
    """

    usage: U
    body: Body | None
    role: BodyRole | None


@dataclass(frozen=True, slots=True)
class ModificationReceived(Generic[U]):
    """A re-INVITE or UPDATE came that needs our answer (`role` OFFER) or our offer (None)."""

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
    """Our re-INVITE or UPDATE has failed; the session is as it was.

    `response` is None if none came.
    """

    usage: U
    status: int
    reason: str
    response: Response | None


@dataclass(frozen=True, slots=True)
class InDialogRequestReceived(Generic[U, X]):
    """INFO, MESSAGE, NOTIFY or another request came within the dialog; answer with `respond`."""

    usage: U
    exchange: X
    request: Request


@dataclass(frozen=True, slots=True)
class SessionRefreshed(Generic[U]):
    """The session was refreshed without an offer/answer change (RFC 4028, RFC 3311).

    `request` is the far end's request, `response` the response to ours (`by_us`).
    """

    usage: U
    by_us: bool
    request: Request | None = None
    response: Response | None = None


# Subscriptions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SubscribeReceived(Generic[U, S]):
    """A new SUBSCRIBE came; answer with `subscription.accept(...)` or `.reject(...)`.

    `usage` is the call in whose dialog it came, or None.
    """

    subscription: S
    request: Request
    flow: Flow
    usage: U | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionRefreshed(Generic[S]):
    """The subscriber refreshed; a NOTIFY with the full state must follow (RFC 6665 4.2.1.2)."""

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
    """A NOTIFY of our subscription came and was answered 200.

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
    """A subscription has ended, ours or the far end's.

    `reason` is that of Subscription-State (RFC 6665 section 4.1.3) or of the failure.  `status` is
    that of the response that ended it, 0 if none did, or our own if none came (`answered` False).
    `retry_after` is the wait that the notifier asked for, in seconds.
    """

    subscription: S
    status: int
    reason: str
    retry_after: float | None = None
    answered: bool = True

    @property
    def final(self) -> bool:
        """Whether the reason says not to subscribe again (RFC 6665 section 4.1.3)."""
        return self.reason.lower() in ("rejected", "noresource", "invariant")


@dataclass(frozen=True, slots=True)
class ReferReceived(Generic[U, S]):
    """A REFER came: it asks us to contact `refer_to` (RFC 3515).

    Answer with `subscription.accept()` (202, then report progress by
    `subscription.notify_progress`) or `subscription.reject(status)`.  `replaces` is the Replaces
    value in the Refer-To URI.  `usage` is the call in whose dialog it came, or None.
    """

    subscription: S
    usage: U | None
    request: Request
    refer_to: NameAddr
    replaces: str | None
    referred_by: NameAddr | None
