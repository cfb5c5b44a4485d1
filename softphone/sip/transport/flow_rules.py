"""Rules that tie dialogs and transactions to a flow: the Contact, and who may send within them.

A Contact leads back to its flow (RFC 3261 section 8.1.1.8, RFC 3581, RFC 5630).  Tags, branches and
Call-IDs are no secrets to whoever carried them, so what was set up over a verified TLS connection
is changed only over that connection or over another one that was verified to be the same peer's
(RFC 3261 section 26.3.2, RFC 5626, RFC 5923).  In clear nobody proves anything: what is left to
hold a sender to is the host that it writes from, whatever its port and transport.

Of RFC 3581, only the Contact is here: received and rport are put into a request's Via by
`softphone.sip.transaction.server.with_received`, and read from a response's by
`softphone.sip.transport.flow_table.FlowTable.learn_public_address`.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from softphone.sans_io import Address, Flow, PeerIdentity, Target, Transport
from softphone.sip.message import NameAddr, Request, SipUri, Uri


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


def flow_is_allowed(bound: Flow | Target, flow: Flow, *, hosts: Iterable[str] = ()) -> bool:
    """Whether what comes on `flow` may change what is bound to `bound`.

    `hosts` are those, beside that of `bound`, that may do so in clear; names among them, which
    nobody looked up, match nothing.
    """
    if bound == flow:
        return True
    if bound.transport is not Transport.TLS:
        return comes_from_host(bound, flow, hosts=hosts)
    if flow.transport is not Transport.TLS:
        return False
    # A Target has not been connected to yet: nobody was verified.
    known = bound.identity if isinstance(bound, Flow) else None
    return known is None or (flow.identity is not None and _same_peer(known, flow.identity))


def comes_from_host(bound: Flow | Target, flow: Flow, *, hosts: Iterable[str] = ()) -> bool:
    """Whether `flow` comes from the host of `bound`, or one of `hosts`."""
    host = flow.remote[0]
    return same_host(_host_of(bound), host) or any(same_host(one, host) for one in hosts)


def leads_to_same_peer(bound: Flow | Target, flow: Flow) -> bool:
    """Whether whoever is at the other end of `bound` is at that of `flow`, too.

    That is for a certificate to say where one was verified; elsewhere only the address tells.
    """
    if bound == flow:
        return True
    known = bound.identity if isinstance(bound, Flow) else None
    if known is not None:
        return flow.identity is not None and _same_peer(known, flow.identity)
    return same_host(_host_of(bound), flow.remote[0])


def hosts_of_path(request: Request) -> Iterable[str]:
    """The hosts that a request passed, ours excluded: what the next one saw, else what they said.

    The sender behind a NAT is known by `received` (RFC 3261 section 18.2.1).
    """
    return (via.received or via.host for via in request.vias)


def hosts_of_uris(uris: Iterable[Uri]) -> Iterable[str]:
    """The hosts that URIs name, those in maddr too (RFC 3261 section 19.1.1)."""
    for uri in uris:
        if isinstance(uri, SipUri):
            yield uri.host
            if (maddr := uri.parameter("maddr")) is not None:
                yield maddr


def same_host(one: str, other: str) -> bool:
    """Whether two hosts are one address, however it is written; a name is no address."""
    if one == other:
        return True
    address = _address(one)
    return address is not None and address == _address(other)


def _address(host: str) -> object | None:
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _host_of(place: Flow | Target) -> str:
    return place.remote[0] if isinstance(place, Flow) else place.host


def _same_peer(one: PeerIdentity, other: PeerIdentity) -> bool:
    return one.fingerprint == other.fingerprint or bool(_names(one) & _names(other))


def _names(identity: PeerIdentity) -> frozenset[str]:
    """What the certificate is for; a common name counts only where it stands alone (RFC 5922).

    One with user URIs speaks for those users, and not for others on the same host.
    """
    names = frozenset(name.lower() for name in identity.names)
    users = frozenset(name for name in identity.names if name.startswith("uri:") and "@" in name)
    if users:
        return users
    return frozenset(name for name in names if not name.startswith("cn:")) or names
