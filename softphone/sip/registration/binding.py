"""Reads the registrar's response (RFC 3261 section 10.2.4, RFC 3608, 3327, 5626, 5627)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from softphone.sip.auth import Authenticator
from softphone.sip.message import DELTA_LIMIT, MalformedMessage, NameAddr, Response, SipUri, digits
from softphone.sip.transport import KeepAliveTerms


class RegisterOutcome(Enum):
    """What a final response to REGISTER means for the next step."""

    GRANTED = "granted"
    TOO_BRIEF = "too brief"
    WITHOUT_OUTBOUND = "without outbound"
    REFUSED = "refused"
    LATER = "later"


# Temporary failures: overload, time-outs, routing trouble at a proxy, and 430 of RFC 5626.  After
# any other 4xx or 6xx the same request would fail again.
_PASSING = frozenset({408, 429, 430, 480, 491, 500, 502, 503, 504, 580})


def judge_register_status(status: int) -> RegisterOutcome:
    """Classify the final status of a REGISTER (RFC 3261 section 10.2, RFC 5626 section 11)."""
    if 200 <= status < 300:
        return RegisterOutcome.GRANTED
    if status == 423:
        return RegisterOutcome.TOO_BRIEF
    if status == 439:
        return RegisterOutcome.WITHOUT_OUTBOUND
    return RegisterOutcome.LATER if status in _PASSING else RegisterOutcome.REFUSED


@dataclass(frozen=True)
class Binding:
    """The binding that the registrar granted.

    `contact` is our Contact as sent; `expires` is in seconds, `expires_at` a time on the clock of
    `now`; `service_route` (RFC 3608) is the route set of requests outside dialogs.  `public_gruu`
    and `temporary_gruu` (RFC 5627) are None if not given; `others` are the AOR's other contacts.
    """

    contact: NameAddr
    expires: float
    expires_at: float
    service_route: tuple[NameAddr, ...] = ()
    path: tuple[NameAddr, ...] = ()
    public_gruu: SipUri | None = None
    temporary_gruu: SipUri | None = None
    outbound: bool = False
    others: tuple[NameAddr, ...] = ()

    @cached_property
    def dialog_contact(self) -> NameAddr:
        """Our Contact in dialogs: the flow of the binding, or the public GRUU."""
        uri = self.contact.uri
        if self.outbound and isinstance(uri, SipUri):
            # RFC 5626 section 4.3: the proxies keep the dialog on this flow.  A GRUU would need
            # each of them to look it up within dialogs, and not all that assign GRUUs do.
            return NameAddr(None, uri.with_parameter("ob"))
        return NameAddr(None, self.public_gruu or uri)


def read_binding(response: Response, *, contact: NameAddr, asked: int, now: float) -> Binding:
    """Read the binding of `contact` from a 2xx; without an expiry in it, `asked` seconds hold.

    `expires` is 0 if the response lists other contacts only: ours was not accepted.
    """
    listed = response.contacts
    ours = _find(listed, contact)
    expires = _expires_of(ours, response, asked) if ours or not listed else 0
    return Binding(
        contact=contact,
        expires=float(expires),
        expires_at=now + expires,
        service_route=response.service_routes,
        path=response.paths,
        public_gruu=_gruu(ours, "pub-gruu"),
        temporary_gruu=_gruu(ours, "temp-gruu"),
        outbound=response.requires("outbound"),
        others=tuple(other for other in listed if other is not ours),
    )


def read_keep_alive_terms(response: Response) -> KeepAliveTerms:
    """Read the keep-alive terms from outbound, Flow-Timer and keep (RFC 5626, RFC 6223)."""
    keep = response.top_via.parameter("keep")
    seconds = digits(keep, DELTA_LIMIT) if keep else None
    return KeepAliveTerms(
        outbound=response.requires("outbound") or response.flow_timer is not None,
        flow_timer=None if response.flow_timer is None else float(response.flow_timer),
        keep=None if seconds is None else float(seconds),
    )


def why_refused(response: Response, credentials: Authenticator | None) -> str:
    """Return the text that explains a refusal to the user.

    For 401 and 407 it says why the challenge was not answered; otherwise it is the reason phrase
    with up to two Warning texts.
    """
    if response.status not in (401, 407):
        words = "; ".join(warning.text for warning in response.warnings[:2] if warning.text)
        return f"{response.reason} ({_printable(words)})" if words else response.reason
    if credentials is None or credentials.refusal is None:
        return "the registrar asks for credentials, and there are none"
    return credentials.refusal.reason


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:200])


def _find(listed: tuple[NameAddr, ...], contact: NameAddr) -> NameAddr | None:
    """Find our contact among those listed, by URI, else by instance and reg-id.

    Some servers rewrite its address to the one that they see, so a single contact counts as ours.
    """
    for one in listed:
        if contact.uri.equivalent(one.uri):
            return one
    instance, reg_id = contact.parameter("+sip.instance"), contact.parameter("reg-id")
    for one in listed:
        same_flow = one.parameter("reg-id") in (None, reg_id)
        if instance and one.parameter("+sip.instance") == instance and same_flow:
            return one
    return listed[0] if len(listed) == 1 else None


def _expires_of(ours: NameAddr | None, response: Response, asked: int) -> int:
    stated = ours.parameter("expires") if ours is not None else None
    seconds = digits(stated, DELTA_LIMIT) if stated else None
    if seconds is None:
        seconds = response.expires
    # A registrar may only shorten the time asked for (RFC 3261 section 10.2.1.1); an early refresh
    # does no harm.
    return asked if seconds is None else min(seconds, asked)


def _gruu(ours: NameAddr | None, name: str) -> SipUri | None:
    text = ours.parameter(name) if ours is not None else None
    try:
        return SipUri.parse(text) if text else None
    except MalformedMessage:
        return None
