"""Rules that bind dialogs and transactions to a flow: the Contact, and which peers may send.

A Contact leads back to its flow (RFC 3261 section 8.1.1.8, RFC 3581, RFC 5630).  Every hop of a
message knows its tags, branch and Call-ID, so these authenticate no sender.  A dialog or
transaction set up over a verified TLS connection may be changed only over that connection, or over
another one verified as the same peer (RFC 3261 section 26.3.2, RFC 5626, RFC 5923).  Without TLS,
only the sender's host is checked, on any port and transport.

RFC 3581 is implemented in three places: the Contact here;
`softphone.sip.transaction.server.with_received` adds received and rport to the Via of a request;
`softphone.sip.transport.flow_table.FlowTable.learn_public_address` reads them from a response.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from softphone.sans_io import Address, Flow, PeerIdentity, Target, Transport
from softphone.sip.message import NameAddr, SipUri, Uri


def contact_for(
    flow: Flow, *, user: str | None, public: Address | None = None, secure: bool = False
) -> NameAddr:
    """Return the Contact of `user` at our end of `flow`.

    `public` is our address as the peer sees it; without it, the flow's local address is used.
    `secure` gives a sips URI; otherwise the transport parameter names TLS or TCP.
    """
    host, port = public or flow.local
    implied = Transport.TLS if secure else Transport.UDP
    named = flow.transport not in (implied, Transport.UDP)
    parameters = (("transport", str(flow.transport)),) if named else ()
    return NameAddr(None, SipUri("sips" if secure else "sip", user, None, host, port, parameters))


def via_value(flow: Flow, branch: str) -> str:
    """Return the Via value of a request that leaves on `flow` (RFC 3261 18.1.1, RFC 3581)."""
    host, port = flow.local
    place = f"[{host}]" if ":" in host else host
    return f"SIP/2.0/{flow.transport.upper()} {place}:{port};branch={branch};rport"


def flow_is_allowed(bound: Flow | Target, flow: Flow, *, hosts: Iterable[str] = ()) -> bool:
    """Whether a message on `flow` may change a dialog or transaction bound to `bound`.

    `hosts` are further hosts that may do so where `bound` is not TLS.  Only IP addresses among
    them match an address: host names are not resolved.
    """
    if bound is flow or bound == flow:
        return True
    if bound.transport is not Transport.TLS:
        return comes_from_host(bound, flow, hosts=hosts)
    if flow.transport is not Transport.TLS:
        return False
    if isinstance(bound, Target):
        return True  # It has no connection yet, so no peer has been verified.
    if bound.identity is None:
        return comes_from_host(bound, flow)  # A client that showed no certificate.
    return flow.identity is not None and _same_peer(bound.identity, flow.identity)


def comes_from_host(bound: Flow | Target, flow: Flow, *, hosts: Iterable[str] = ()) -> bool:
    """Whether the remote host of `flow` is that of `bound` or one of `hosts`."""
    host = flow.remote[0]
    return same_host(_host_of(bound), host) or any(same_host(one, host) for one in hosts)


def leads_to_same_peer(bound: Flow | Target, flow: Flow) -> bool:
    """Whether `bound` and `flow` lead to the same peer.

    Compares verified certificates where `bound` has one, otherwise the hosts.
    """
    if bound is flow or bound == flow:
        return True
    known = bound.identity if isinstance(bound, Flow) else None
    if known is not None:
        return flow.identity is not None and _same_peer(known, flow.identity)
    return same_host(_host_of(bound), flow.remote[0])


def hosts_of_uris(uris: Iterable[Uri]) -> Iterable[str]:
    """Yield the host and the maddr of each SIP URI (RFC 3261 section 19.1.1)."""
    for uri in uris:
        if isinstance(uri, SipUri):
            yield uri.host
            if (maddr := uri.parameter("maddr")) is not None:
                yield maddr


def same_host(one: str, other: str) -> bool:
    """Whether two hosts are the same string or the same IP address in different spellings.

    Brackets and IPv6 zones are ignored; an IPv4-mapped IPv6 address equals its IPv4 address.
    """
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
    """Return the names that a certificate identifies, lower-cased except user URIs (RFC 5922).

    A common name counts only without other names.  A certificate with user URIs identifies
    those users only, not the rest of their host.
    """
    names = frozenset(name.lower() for name in identity.names)
    users = frozenset(name for name in identity.names if name.startswith("uri:") and "@" in name)
    if users:
        return users
    return frozenset(name for name in names if not name.startswith("cn:")) or names
