"""Explains why a call or registration was refused, as a sentence with advice.

Uses a response's status, its Warning and Reason header fields and the fields that go with the
status (RFC 3261 sections 20.43 and 21, RFC 3326), and our own reasons.  Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from softphone.diagnostics.redact import mask
from softphone.events import CallEnded, EndedBy
from softphone.security import Shortfall
from softphone.sip.message import Response

_STATUS: Mapping[int, str] = {
    400: "the server calls our request malformed; its phrase says which part",
    401: "the server did not accept our credentials: check username, password and realm, and that "
    "the account allows an algorithm the server offers",
    402: "the server wants payment first",
    403: "the server understood and forbids it: check that the account may do this, and that its "
    "client certificate belongs to it",
    404: "there is no such user at that server: check the address",
    405: "the far end does not take this method",
    406: "the far end cannot answer in a form that we accept",
    407: "the proxy did not accept our credentials: check username, password and realm, and that "
    "the account allows an algorithm the proxy offers",
    408: "the far end did not answer in time: it may be unreachable",
    410: "that user is gone for good",
    412: "what we wanted to change has changed meanwhile",
    413: "the server finds our request's body too large",
    414: "the server finds the address too long",
    415: "the far end does not understand our body's type",
    416: "the server does not understand that kind of address: use sip: or sips:",
    420: "the far end does not support an extension that we require",
    421: "the far end insists on an extension that we did not offer",
    422: "the session timer that we ask for is too short for the far end",
    423: "the registration time that we ask for is too short for the server",
    428: "the server wants a signed identity (STIR)",
    430: "the connection that the far end registered over is gone",
    433: "the far end refuses anonymous calls",
    437: "the server does not accept the signed identity's certificate",
    438: "the signed identity does not verify",
    439: "the first proxy does not support outbound (RFC 5626)",
    480: "the far end is not there now: not registered, or does not want to be disturbed",
    481: "the far end does not know this call any more",
    482: "the request came back to where it had been: check the server's routing",
    483: "the request passed too many servers: check the routing for a loop",
    484: "the number is incomplete",
    485: "the address fits several users",
    486: "the far end is busy",
    487: "the call was given up before it was answered",
    488: "the far end does not accept our session description: it may have no codec in common with "
    "us, or demand or lack SRTP, or lack our crypto suites",
    489: "the server does not know this event package",
    491: "both sides changed the call at once",
    493: "the far end cannot decrypt the body",
    494: "the server demands a security agreement (RFC 3329)",
    500: "the server failed",
    501: "the far end does not know this method",
    502: "a server behind the first one failed",
    503: "the server is overloaded or down",
    504: "a server behind the first one did not answer in time",
    505: "the server speaks another version of SIP",
    513: "the server finds the message too large",
    555: "the server has no push service for us",
    580: "a precondition of the call failed",
    600: "the far end is busy everywhere",
    603: "the far end declined the call",
    604: "there is no such user anywhere",
    606: "the far end accepts no session description like ours: no codec or security in common",
    607: "the far end does not want calls from this address",
    608: "an intermediary rejected the call by policy",
}

_CLASS: Mapping[int, str] = {
    3: "the far end is to be found elsewhere",
    4: "the far end could not serve this request",
    5: "the server failed",
    6: "the call was refused everywhere",
}

# RFC 3261 section 20.43.
_WARNING: Mapping[int, str] = {
    300: "incompatible network protocol",
    301: "incompatible network address formats",
    302: "incompatible transport protocol: compare RTP/SAVP (SRTP) and RTP/AVP on both sides",
    303: "incompatible bandwidth units",
    304: "media type not available",
    305: "incompatible media format: no codec in common",
    306: "an attribute was not understood",
    307: "a parameter of the session description was not understood",
    330: "multicast not available",
    331: "unicast not available",
    370: "insufficient bandwidth",
}

# CUCM's Warning texts in a 403 to REGISTER, in lower case.
_REGISTRAR: Mapping[str, str] = {
    "registration is active for another client": "the device is signed in elsewhere: sign out "
    "there first, have the administrator reset it, or, where its user agrees, end that "
    "registration: set take_over = true in the account's [device]",
    "tls authentication failure": "either the server got no client certificate from us (none is "
    "in tls.certificate): name one there; or it does not know ours as this device's or user's: "
    "enroll it again (CAPF), and compare tls.certificate and device.name",
    "device security mismatch": "the device's security profile and our transport differ: use "
    "sips: for a secure device, transport=tcp for one that is not",
    "sip oauth registration port mismatch": "a device with a token has a port of its own, most "
    "often 5090, and one with a certificate another: compare persona and port",
    "unknown device": "the server has no such device: compare device.name, letter by letter",
}

# All causes of ITU-T Q.850, as gateways write them into Reason (RFC 3326).
_Q850: Mapping[int, str] = {
    1: "unallocated number",
    2: "no route to the transit network",
    3: "no route to the destination",
    4: "send special information tone",
    5: "misdialed trunk prefix",
    6: "channel unacceptable",
    7: "call awarded in an established channel",
    8: "preemption",
    9: "preemption, circuit reserved",
    14: "ported number",
    16: "normal clearing",
    17: "user busy",
    18: "no user responding",
    19: "no answer",
    20: "subscriber absent",
    21: "call rejected",
    22: "number changed",
    23: "redirection to a new destination",
    24: "rejected because of a feature at the destination",
    25: "exchange routing error",
    26: "non-selected user clearing",
    27: "destination out of order",
    28: "invalid number format",
    29: "facility rejected",
    30: "response to a status enquiry",
    31: "normal, unspecified",
    34: "no circuit available",
    38: "network out of order",
    39: "permanent connection out of service",
    40: "permanent connection operational",
    41: "temporary failure",
    42: "switching equipment congestion",
    43: "access information discarded",
    44: "requested circuit not available",
    46: "precedence call blocked",
    47: "resource unavailable",
    49: "quality of service not available",
    50: "facility not subscribed",
    53: "outgoing calls barred in the closed user group",
    55: "incoming calls barred in the closed user group",
    57: "bearer capability not authorized",
    58: "bearer capability not available",
    62: "access information and subscriber class contradict each other",
    63: "service not available, unspecified",
    65: "bearer capability not implemented",
    66: "channel type not implemented",
    69: "facility not implemented",
    70: "only restricted digital information is available",
    79: "service not implemented",
    81: "invalid call reference",
    82: "channel does not exist",
    83: "a suspended call exists, but not this one",
    84: "call identity in use",
    85: "no call suspended",
    86: "the call was cleared already",
    87: "not a member of the closed user group",
    88: "incompatible destination",
    90: "no such closed user group",
    91: "invalid transit network selection",
    95: "invalid message, unspecified",
    96: "mandatory information element missing",
    97: "message type not implemented",
    98: "message not compatible with the call state, or not implemented",
    99: "information element not implemented",
    100: "invalid information element contents",
    101: "message not compatible with the call state",
    102: "recovery on timer expiry",
    103: "parameter not implemented, passed on",
    110: "message with an unrecognized parameter, discarded",
    111: "protocol error",
    127: "interworking, unspecified",
}


def explain_response(response: Response, *, offered_suites: Sequence[str] = ()) -> str:
    """Explain why a request got this final response, with advice.

    `offered_suites` are the crypto suites of the refused offer, when it offered SRTP.
    The peer's own words are quoted: sanitized, masked and shortened.
    """
    status = response.status
    meaning = _STATUS.get(status) or _CLASS.get(status // 100, "it did not succeed")
    sentences = [f"{status} {_clean(response.reason)}".rstrip() + f": {meaning}"]
    detail = _DETAIL.get(status)
    if detail is not None:
        sentences += detail(response)
    sentences += _warnings(response)
    sentences += _reasons(response)
    if status in (488, 606) and offered_suites:
        sentences.append(f"we offered SRTP with {', '.join(offered_suites)}")
    if response.retry_after is not None:
        sentences.append(f"try again after {response.retry_after.delta} s")
    return "; ".join(sentences)


def explain_registrar(text: str, status: int = 0) -> str:
    """Give advice on a registrar's Warning text, or else on its status.

    "" when neither is known, and for 503, since a lost connection is also reported as 503.
    """
    lowered = text.lower()
    known = (advice for words, advice in _REGISTRAR.items() if words in lowered)
    return next(known, "" if status == 503 else _STATUS.get(status, ""))


def explain_no_answer(reason: str) -> str:
    """Explain a request that was given up without a response, by its `reason`."""
    if not reason:
        return "the connection was closed, or could not be made"
    return reason if reason[1:2].isupper() else reason[:1].lower() + reason[1:]


def explain_change(status: int, reason: str, *, answered: bool) -> str:
    """Explain why a session change failed; when not `answered`, the status is our own."""
    if answered:
        return f"the far end refused the change: {status} {reason}"
    return f"the far end did not answer the change: {explain_no_answer(reason)}"


def explain_transfer(status: int, reason: str, *, answered: bool) -> str:
    """Explain why a transfer failed or is uncertain; when not `answered`, the status is our own."""
    if answered:
        return f"the transfer was refused: {status} {reason}"
    return f"the far end did not say what became of the transfer: {explain_no_answer(reason)}"


def explain_early_end(ended: CallEnded) -> str:
    """Explain how a call ended before it was answered."""
    how = f"{ended.status} {ended.reason}".strip()
    if ended.by is EndedBy.TRANSPORT:
        how = explain_no_answer(ended.reason)
    return f"the call ended before it was up: {how}"


def explain_shortfalls(shortfalls: Sequence[Shortfall]) -> str:
    """Explain why we refused or ended a call ourselves, with advice."""
    if not shortfalls:
        return "nothing is missing"
    return "; ".join(f"{shortfall.explanation} ({shortfall.hint})" for shortfall in shortfalls)


def _warnings(response: Response) -> list[str]:
    found = []
    for warning in response.warnings[:4]:
        meaning = _WARNING.get(warning.code) or explain_registrar(warning.text)
        agent = _clean(warning.agent)
        known = f" ({meaning})" if meaning else ""
        found.append(f'{agent} warns {warning.code}{known}: "{_clean(warning.text)}"')
    return found


def _reasons(response: Response) -> list[str]:
    found = []
    for reason in response.reasons[:4]:
        protocol = _clean(reason.protocol)
        meaning = None
        if protocol.upper() == "Q.850" and reason.cause is not None:
            meaning = describe_q850(reason.cause)
        said = " ".join(
            part
            for part in (
                f"{reason.cause}" if reason.cause is not None else "",
                f"({meaning})" if meaning else "",
                f'"{_clean(reason.text)}"' if reason.text else "",
            )
            if part
        )
        found.append(f"the cause given is {protocol} {said}".rstrip())
    return found


def describe_q850(cause: int) -> str:
    """Return the meaning of a cause of ITU-T Q.850, in words."""
    return _Q850.get(cause, "a cause that Q.850 does not name")


def _listed(name: str, said: str) -> Callable[[Response], list[str]]:
    """Make a function that lists the values of a response's list header field."""

    def detail(response: Response) -> list[str]:
        values = ", ".join(response.headers.get_all(name))
        return [f"{said} {_clean(values)}"] if values else []

    return detail


def _challenge(response: Response) -> list[str]:
    found = []
    for challenge in (*response.www_challenges, *response.proxy_challenges)[:4]:
        realm = challenge.parameter("realm")
        algorithm = challenge.parameter("algorithm") or "MD5"
        what = f"{_clean(challenge.scheme)} {_clean(algorithm)}"
        found.append(f'it asked for {what} in the realm "{_clean(realm or "")}"')
    return found


def _elsewhere(response: Response) -> list[str]:
    contacts = ", ".join(_clean(str(contact.uri)) for contact in response.contacts[:4])
    return [f"it names {contacts}"] if contacts else []


_DETAIL: Mapping[int, Callable[[Response], list[str]]] = {
    300: _elsewhere,
    301: _elsewhere,
    302: _elsewhere,
    305: _elsewhere,
    401: _challenge,
    407: _challenge,
    405: _listed("Allow", "it takes"),
    415: _listed("Accept", "it takes"),
    420: _listed("Unsupported", "it does not support"),
    421: _listed("Require", "it requires"),
    422: _listed("Min-SE", "its shortest in seconds is"),
    423: _listed("Min-Expires", "its shortest in seconds is"),
    489: _listed("Allow-Events", "it knows"),
    494: _listed("Security-Server", "it demands"),
}


def _clean(text: str) -> str:
    """A peer's text: masked, without control characters, at most 200 characters."""
    shown = "".join(c if c.isprintable() else "?" for c in mask(text[:1000]))
    return shown if len(shown) <= 200 else shown[:197] + "..."
