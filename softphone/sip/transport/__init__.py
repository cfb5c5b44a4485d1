"""softphone.sip.transport."""

from __future__ import annotations

from softphone.sip.transport.flow_rules import contact_for, may_speak
from softphone.sip.transport.flow_table import FlowTable, FlowUser
from softphone.sip.transport.keepalive import FlowDead, KeepAlive, KeepAliveConfig, Probe, Terms
from softphone.sip.transport.server_location import (
    AddressRecord,
    Failover,
    LookupPolicy,
    NaptrRecord,
    Question,
    Record,
    RecordType,
    SrvRecord,
    is_numeric,
    locate,
    order_servers,
)

__all__ = [
    "AddressRecord",
    "Failover",
    "FlowDead",
    "FlowTable",
    "FlowUser",
    "KeepAlive",
    "KeepAliveConfig",
    "LookupPolicy",
    "NaptrRecord",
    "Probe",
    "Question",
    "Record",
    "RecordType",
    "SrvRecord",
    "Terms",
    "contact_for",
    "is_numeric",
    "locate",
    "may_speak",
    "order_servers",
]
