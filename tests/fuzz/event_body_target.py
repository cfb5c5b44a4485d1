"""Fuzz targets of what NOTIFY, PUBLISH and INFO carry, but for XML that has targets of its own."""

from __future__ import annotations

from contextlib import suppress

from softphone.call.leg.dtmf import PLAIN, RELAY, parse_dtmf_info
from softphone.sip.event_packages import (
    DialogInfoTable,
    parse_dialog_info,
    parse_voice_report,
    print_dialog_info,
    print_voice_report,
)
from softphone.sip.event_packages.cisco_service_control import ServiceControl
from softphone.sip.event_packages.dialog_info import MOST_DIALOGS
from softphone.sip.event_packages.message_waiting import message_summary
from softphone.sip.event_packages.pidf import parse_pidf, print_pidf
from softphone.sip.message import MalformedMessage
from softphone.sip.message.parser import parse_sipfrag_status

BODIES = [
    b'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="1" state="full"'
    b' entity="sip:a@h"><dialog id="d" direction="recipient"><remote><identity display="B">'
    b"sip:b@h</identity></remote><state>early</state></dialog></dialog-info>",
    b'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:a@h"><tuple id="1"><status>'
    b"<basic>open</basic></status><note>here</note></tuple></presence>",
    b"VQSessionReport: CallTerm\r\nCallID: 1\r\nLocalID: <sip:a@h>\r\nRemoteID: <sip:b@h>\r\n"
    b"OrigID: <sip:a@h>\r\nLocalAddr:IP=192.0.2.1 PORT=5000 SSRC=1\r\nRemoteAddr:IP=192.0.2.2"
    b" PORT=5002 SSRC=0x2\r\nLocalMetrics:\r\nTimestamps:START=2004-10-10T18:23:43Z\r\n"
    b"PacketLoss:NLR=5.0 JDR=2.0\r\nQualityEst:MOSLQ=4.2\r\n",
    b"Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/2)\r\n",
    b"action=check-version\r\nRegisterCallId={1@h}\r\nConfigVersionStamp={a-b}\r\n",
    b"Signal=5\r\nDuration=160\r\n",
    b"SIP/2.0 200 OK\r\nTo: <sip:b@h>\r\n",
]


def check_bodies(data: bytes) -> None:
    """A value of each kind, or MalformedMessage; what is read can be written, and read again."""
    with suppress(MalformedMessage):
        info, table = parse_dialog_info(data), DialogInfoTable()
        table.apply(info)
        assert len(table.dialogs) <= MOST_DIALOGS
        parse_dialog_info(print_dialog_info(info).data)
    with suppress(MalformedMessage):
        presence = parse_pidf(data)
        parse_pidf(print_pidf("sip:a@h", presence).data)
    with suppress(MalformedMessage):
        print_voice_report(parse_voice_report(data))
    waiting = message_summary(data)
    assert waiting is None or 0 <= waiting.new <= 999_999
    ServiceControl.parse(data)
    status = parse_sipfrag_status(data)
    assert status is None or 100 <= status[0] <= 699
    for kind in (RELAY, PLAIN):
        found = parse_dtmf_info(kind, data)
        assert found is not None
        assert found[1] >= 0
