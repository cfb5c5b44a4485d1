"""A Contact that leads back to a flow (RFC 3261 section 8.1.1.8, RFC 3581, RFC 5630)."""

from __future__ import annotations

from softphone.sans_io import Address, Flow, Transport
from softphone.sip.message import NameAddr, SipUri

__all__ = ["contact_for"]


def contact_for(
    flow: Flow, *, user: str | None, public: Address | None = None, secure: bool = False
) -> NameAddr:
    """The Contact of `user` at our end of `flow`, at its public address where that is known.

    `secure` makes it a sips URI; otherwise TLS is named by its transport parameter.
    """
    host, port = public or flow.local
    scheme = "sips" if secure else "sip"
    uri = SipUri(scheme, user, None, host, port)
    if flow.transport is not Transport.UDP and not (secure and flow.transport is Transport.TLS):
        uri = uri.with_parameter("transport", flow.transport.value)
    return NameAddr(None, uri)
