"""The SIP transport layer, sans-IO: server location, open flows, keep-alives, peer checks.

The package makes decisions only.  `softphone.net` opens sockets and asks DNS; `softphone.trust`
verifies certificates.  Stream framing is in `softphone.sip.message`, its time limit in
`softphone.sip.endpoint`, retransmission in `softphone.sip.transaction`.

RFC 3263 and RFC 7984 (server location in dual-stack networks) with RFC 2782 (SRV) and RFC 3403
(NAPTR), RFC 5626 and RFC 6223 (outbound and keep-alive), RFC 3581 and RFC 5630 (the Contact of a
flow), RFC 5923 and RFC 3261 section 26.3.2 (which flows may send within a dialog).
"""

from __future__ import annotations

from softphone.sip.transport.flow_rules import (
    comes_from_host,
    contact_for,
    flow_is_allowed,
    hosts_of_uris,
    leads_to_same_peer,
    same_host,
    via_value,
)
from softphone.sip.transport.flow_table import FlowTable, FlowUser
from softphone.sip.transport.keepalive import (
    FlowDead,
    KeepAlive,
    KeepAliveConfig,
    KeepAliveTerms,
    Probe,
)
from softphone.sip.transport.server_location import (
    AddressRecord,
    DnsQuestion,
    Failover,
    LookupPolicy,
    NaptrRecord,
    Record,
    RecordType,
    SrvRecord,
    is_numeric,
    locate_server,
    order_servers,
)

__all__ = [
    "AddressRecord",
    "DnsQuestion",
    "Failover",
    "FlowDead",
    "FlowTable",
    "FlowUser",
    "KeepAlive",
    "KeepAliveConfig",
    "KeepAliveTerms",
    "LookupPolicy",
    "NaptrRecord",
    "Probe",
    "Record",
    "RecordType",
    "SrvRecord",
    "comes_from_host",
    "contact_for",
    "flow_is_allowed",
    "hosts_of_uris",
    "is_numeric",
    "leads_to_same_peer",
    "locate_server",
    "order_servers",
    "same_host",
    "via_value",
]
