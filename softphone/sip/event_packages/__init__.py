"""Readers and writers for the bodies of event packages and of Cisco remote call control.

Parses and writes documents and, for key presses, matches digits against patterns.  The
subscriptions, NOTIFY and REFER requests that carry the bodies are in `softphone.sip.subscription`,
PUBLISH is in `softphone.sip.publication`; `softphone.personas`, `softphone.account` and
`softphone.call` act on the contents.

RFC 3842 (message waiting), RFC 4235 (dialog states), RFC 3863 (presence), RFC 4730 (KPML) and
RFC 6035 section 4.6 (vq-rtcpxr).
`cisco_remotecc` and `cisco_service_control` follow no RFC: they read and write what CUCM and its
phones send.
"""

from __future__ import annotations

from softphone.sip.event_packages.cisco_remotecc import (
    DialogName,
    RemoteRequest,
    dialog_named,
    first_requests,
    read_requests,
    remote_request,
    remote_response,
    response_code,
    soft_key,
    text_parts,
)
from softphone.sip.event_packages.dialog_info import (
    DIALOG,
    DIALOG_INFO,
    DialogInfo,
    DialogInfoTable,
    parse_dialog_info,
    print_dialog_info,
)
from softphone.sip.event_packages.kpml import KPML, DigitBuffer, KeyPress, KpmlSubscription
from softphone.sip.event_packages.message_waiting import message_summary
from softphone.sip.event_packages.pidf import PIDF, PRESENCE, parse_pidf, print_pidf
from softphone.sip.event_packages.voice_quality_report import (
    EVENT_PACKAGE,
    LONGEST_VALUE,
    REPORT_TYPE,
    VoiceQualityReport,
    VoiceReportKind,
    VoiceReportMetrics,
    parse_voice_report,
    print_voice_report,
)

__all__ = [
    "DIALOG",
    "DIALOG_INFO",
    "EVENT_PACKAGE",
    "KPML",
    "LONGEST_VALUE",
    "PIDF",
    "PRESENCE",
    "REPORT_TYPE",
    "DialogInfo",
    "DialogInfoTable",
    "DialogName",
    "DigitBuffer",
    "KeyPress",
    "KpmlSubscription",
    "RemoteRequest",
    "VoiceQualityReport",
    "VoiceReportKind",
    "VoiceReportMetrics",
    "dialog_named",
    "first_requests",
    "message_summary",
    "parse_dialog_info",
    "parse_pidf",
    "parse_voice_report",
    "print_dialog_info",
    "print_pidf",
    "print_voice_report",
    "read_requests",
    "remote_request",
    "remote_response",
    "response_code",
    "soft_key",
    "text_parts",
]
