"""What a call's connection and its far end are worth, read off flows and messages."""

from __future__ import annotations

from softphone.sans_io import Flow, PeerIdentity
from softphone.security import (
    KeyExchange,
    MediaSecurity,
    SecurityLevel,
    SecurityPolicy,
    SecurityState,
    Shortfall,
    SignalingSecurity,
)
from softphone.sip import Request, Response, SipUri, Uri

__all__ = ["certificate_names", "direct_far_end", "flow_shortfalls", "signaling_security"]

_NULL_CIPHER = "NULL"


def signaling_security(flow: Flow | None) -> SignalingSecurity:
    """The security of the connection that carries a dialog; none for no flow or a clear one."""
    identity = None if flow is None else flow.identity
    if identity is None:
        return SignalingSecurity()
    return SignalingSecurity(
        protocol=identity.protocol,
        cipher=identity.cipher,
        peer_identity=identity.subject,
        verdict=identity.verdict,
        revocation=identity.revocation,
        encrypted=_NULL_CIPHER not in identity.cipher.upper(),
    )


def certificate_names(identity: PeerIdentity, uri: SipUri) -> bool:
    """Whether a verified certificate names the user, or the host, of `uri` (RFC 5922 7.1).

    A certificate with user URIs speaks for those users only.
    """
    user = uri.user or ""
    host = uri.host.lower().strip("[]")
    users = [name for name in identity.names if name.startswith("uri:") and "@" in name]
    if users:
        named = (name.partition(":")[2].partition(":")[2].rpartition("@") for name in users)
        # The user part is case-sensitive, the host is not (RFC 3261 section 19.1.4).
        return any(one == user and at.lower() == host for one, _, at in named)
    return any(
        name.partition(":")[2].lower().removeprefix("sips:").removeprefix("sip:") == host
        for name in identity.names
        if name.startswith(("dns:", "ip:", "uri:"))
    )


def direct_far_end(
    message: Request | Response, flow: Flow | None, *, caller: Uri | None
) -> SecurityLevel | None:
    """The far end's level where nobody stands between it and us, else None.

    That is so when the message came over a verified connection and through no proxy (one Via, no
    Record-Route).  When they called us, `caller` is who they say they are, and their certificate
    must speak for it.  When we called, `caller` is None: the connection was verified against the
    URI that we called.
    """
    if flow is None or flow.identity is None or message.record_routes:
        return None
    if isinstance(message, Request) and len(message.vias) != 1:
        return None
    if caller is not None and not (
        isinstance(caller, SipUri) and certificate_names(flow.identity, caller)
    ):
        return None
    return signaling_security(flow).level


def flow_shortfalls(policy: SecurityPolicy, flow: Flow, *, fips: bool) -> tuple[Shortfall, ...]:
    """Why no call over `flow` could meet the policy, whatever its media and its far end are.

    Asked before an INVITE leaves: an offer holds keys, and a connection in clear shows them.
    """
    best = MediaSecurity("audio", "RTP/SAVP", policy.suites[0], KeyExchange.SDES)
    state = SecurityState(signaling_security(flow), (best,), SecurityLevel.ENCRYPTED, fips)
    return policy.judge(state)
