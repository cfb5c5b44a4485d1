"""Who may speak within a dialog or transaction: the flow rule (RFC 3261 26.3.2, RFC 5626, 5923).

Tags, branches and Call-IDs are no secrets to whoever carried them.  What was set up over a
verified TLS connection is changed only over that connection or over another one that was verified
to be the same peer's; in clear there is nothing to hold a sender to.
"""

from __future__ import annotations

from softphone.sans_io import Flow, PeerIdentity, Target, Transport

__all__ = ["may_speak"]


def may_speak(bound: Flow | Target, flow: Flow) -> bool:
    """Whether what comes on `flow` may change what is bound to `bound`."""
    if bound == flow or bound.transport is not Transport.TLS:
        return True
    if flow.transport is not Transport.TLS:
        return False
    # A Target has not been connected to yet: nobody was verified.
    known = bound.identity if isinstance(bound, Flow) else None
    return known is None or (flow.identity is not None and _same_peer(known, flow.identity))


def _same_peer(one: PeerIdentity, other: PeerIdentity) -> bool:
    return one.fingerprint == other.fingerprint or bool(_names(one) & _names(other))


def _names(identity: PeerIdentity) -> frozenset[str]:
    """What the certificate is for; a common name counts only where it stands alone (RFC 5922)."""
    names = frozenset(name.lower() for name in identity.names)
    return frozenset(name for name in names if not name.startswith("cn:")) or names
