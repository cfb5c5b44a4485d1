"""softphone.sip.transport."""

from __future__ import annotations

from softphone.sip.transport.flow_rules import contact_for, flow_is_allowed
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
    "contact_for",
    "flow_is_allowed",
    "is_numeric",
    "locate_server",
    "order_servers",
]
