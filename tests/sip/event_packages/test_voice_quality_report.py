"""Voice quality reports: the RFC's examples, our own, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.sip.event_packages import (
    EVENT_PACKAGE,
    REPORT_TYPE,
    VoiceQualityReport,
    VoiceReportKind,
    VoiceReportMetrics,
    parse_voice_report,
    print_voice_report,
)
from softphone.sip.message import MalformedMessage

METRICS = """\
Timestamps:START=2004-10-10T18:23:43Z STOP=2004-10-01T18:26:02Z
SessionDesc:PT=18 PD=G729 SR=8000 FD=20 FO=20 FPP=2 PPS=50
                FMTP="annexb=no" PLC=3 SSUP=on
JitterBuffer:JBA=3 JBR=2 JBN=40 JBM=80 JBX=120
PacketLoss:NLR=5.0 JDR=2.0
BurstGapLoss:BLD=0 BD=0 GLD=2.0 GD=500 GMIN=16
Delay:RTD=200 ESD=140 SOWD=200 IAJ=2 MAJ=10
Signal:SL=-21 NL=-50 RERL=55
QualityEst:RLQ=90 RCQ=85 EXTRI=90 MOSLQ=4.2 MOSCQ=4.3
  QoEEstAlg=P.564
"""
SESSION = """\
CallID: 6dg37f1890463
LocalID: Alice <sip:alice@example.org>
RemoteID: Bill <sip:bill@example.net>
OrigID: Alice <sip:alice@example.org>
LocalGroup: example-phone-55671
RemoteGroup: example-gateway-09871
LocalAddr: IP=10.10.1.100 PORT=5000 SSRC=1a3b5c7d
LocalMAC: 00:1f:5b:cc:21:0f
RemoteAddr:IP=11.1.1.150 PORT=5002 SSRC=0x2468abcd
RemoteMAC: 00:26:08:8e:95:02
"""
END = f"""\
VQSessionReport: CallTerm
{SESSION}LocalMetrics:
{METRICS}RemoteMetrics:
{METRICS}DialogID:38419823470834;to-tag=8472761;from-tag=9123dh311
"""
"""The report at the end of a session, as RFC 6035 section 4.7 has it."""
ALERT = f"""\
VQAlertReport: Type=NLR Severity=Critical Dir=local
{SESSION}LocalMetrics:
{METRICS}DialogID:38419823470834;to-tag=8472761;from-tag=9123dh311
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_example_of_an_end_is_read(ending: str) -> None:
    report = parse_voice_report(END.replace("\n", ending).encode())
    assert (report.kind, report.final) == (VoiceReportKind.SESSION, True)
    assert report.session["RemoteAddr"] == "IP=11.1.1.150 PORT=5002 SSRC=0x2468abcd"
    assert report.session["LocalGroup"] == "example-phone-55671"
    assert report.local.get("SessionDesc", "FMTP") == '"annexb=no"'
    assert report.local.get("QualityEst", "QoEEstAlg") == "P.564"
    assert report.local.get("Delay", "OWD") is report.local.get("Nothing", "OWD") is None
    assert report.remote is not None
    assert report.remote.get("BurstGapLoss", "GMIN") == "16"
    assert report.dialog == "38419823470834;to-tag=8472761;from-tag=9123dh311"
    assert parse_voice_report(print_voice_report(report)) == report


def test_the_example_of_an_alert_is_read() -> None:
    report = parse_voice_report(ALERT.encode())
    assert report.kind is VoiceReportKind.ALERT
    assert report.alert == {"TYPE": "NLR", "SEVERITY": "Critical", "DIR": "local"}
    assert report.remote is None
    assert parse_voice_report(print_voice_report(report)) == report


def test_an_interval_may_end_the_call_or_not() -> None:
    going = END.replace("VQSessionReport: CallTerm", "VQIntervalReport")
    assert not parse_voice_report(going.encode()).final
    assert parse_voice_report(END.replace("VQSession", "VQInterval").encode()).final


def test_what_extends_the_grammar_is_passed_over() -> None:
    extended = END.replace("Delay:RTD", "x-Wifi: a=b\nDelay:XYZ=4 and more RTD")
    assert parse_voice_report(extended.encode()) == parse_voice_report(END.encode())


def test_white_space_may_stand_around_an_equals_sign() -> None:
    spaced = END.replace("NLR=5.0 JDR=2.0", "NLR = 5.0\tJDR =2.0")
    assert parse_voice_report(spaced.encode()) == parse_voice_report(END.encode())


def test_numbers_are_as_large_as_the_grammar_has_them() -> None:
    large = END.replace("BD=0 GLD=2.0 GD=500", "BD=3600000 GLD=2.0 GD=3600000")
    large = large.replace("RLQ=90", "RLQ=120").replace("SR=8000", "SR=8000;16000")
    report = parse_voice_report(large.encode())
    assert report.local.get("BurstGapLoss", "GD") == "3600000"
    assert report.local.get("QualityEst", "RLQ") == "120"
    assert report.local.get("SessionDesc", "SR") == "8000;16000"
    assert parse_voice_report(print_voice_report(report)) == report


def test_what_the_examples_and_phones_leave_out_or_rename_is_read() -> None:
    """The last example of section 4.7 has "Metrics"; phones send no groups, and one START."""
    last = END.replace("LocalMetrics:", "Metrics:").replace("EXTRI=90", "EXTR=90")
    report = parse_voice_report(last.encode())
    assert report.local.get("QualityEst", "MOSCQ") == "4.3"
    lines = [one for one in END.splitlines() if "Group:" not in one]
    del lines[lines.index("RemoteMetrics:") + 1]
    phone = parse_voice_report("\n".join(lines).encode())
    assert phone.remote is not None
    assert phone.remote.get("Delay", "RTD") == "200"
    assert "LocalGroup" not in phone.session


def test_a_report_is_written_in_the_order_of_the_grammar() -> None:
    text = print_voice_report(parse_voice_report(END.encode())).decode()
    head = [line.partition(":")[0] for line in text.splitlines()]
    assert head[:12] == [
        "VQSessionReport", "CallID", "LocalID", "RemoteID", "OrigID", "LocalAddr", "RemoteAddr",
        "LocalGroup", "RemoteGroup", "LocalMAC", "RemoteMAC", "LocalMetrics",
    ]  # fmt: skip
    assert 'PT=18 PD=G729 SR=8000 PPS=50 FD=20 FO=20 FPP=2 FMTP="annexb=no" PLC=3 SSUP=on' in text
    alert = parse_voice_report(ALERT.encode())
    turned = replace(alert, alert=dict(reversed(alert.alert.items())))
    assert print_voice_report(turned) == print_voice_report(alert)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("VQSessionReport: CallTerm", "VQReport: CallTerm"),
        ("VQSessionReport: CallTerm", "VQSessionReport: Now"),
        ("VQSessionReport: CallTerm", "VQAlertReport: Type=NLR Severity=Bad Dir=local"),
        ("CallID: 6dg37f1890463\n", ""),
        ("CallID: 6dg37f1890463\n", "CallID:\n"),
        ("CallID: 6dg37f1890463\n", "CallID: a\nCallID: b\n"),
        ("CallID: 6dg37f1890463\n", "CallID: a\0b\n"),
        ("CallID: 6dg37f1890463\n", "CallID a\n"),
        ("CallID: 6dg37f1890463\n", "Call ID: a\n"),
        ("PORT=5000", "PORT=high"),
        ("SSRC=1a3b5c7d", "SSRC=xyz"),
        ("00:1f:5b:cc:21:0f", "00:1f:5b"),
        ("LocalMetrics:\n", ""),
        ("LocalMetrics:\n", "LocalMetrics: all\n"),
        ("RemoteMetrics:\n", "LocalMetrics:\n"),
        ("RemoteMetrics:\n", "RemoteMetrics:\nCallID: a\n"),
        ("START=2004-10-10T18:23:43Z ", ""),
        ("START=2004-10-10T18:23:43Z", "START=yesterday"),
        ("PT=18", "PT=128"),
        ("NLR=5.0", "NLR=500"),
        ("NLR=5.0 JDR", "NLR=5.0 NLR=5.0 JDR"),
        ("NLR=5.0 JDR=2.0", "NLR="),
        ("NLR=5.0 JDR=2.0", 'NLR="5'),
        ("BD=0 GLD", "BD=10000000 GLD"),
        ("RLQ=90", "RLQ=121"),
        ("SR=8000", "SR=8000;"),
        ("FPP=2", "FPP=100"),
        ("SSUP=on", "SSUP=maybe"),
        ('FMTP="annexb=no"', 'FMTP="annexb=no"PLC=3'),
        ("MOSLQ=4.2", "MOSLQ=42"),
        ("JBA=3", "JBA=4"),
        ("SL=-21", "SL=loud"),
    ],
)
def test_what_is_no_report_is_refused(old: str, new: str) -> None:
    assert old in END
    with pytest.raises(MalformedMessage, match="voice quality report"):
        parse_voice_report(END.replace(old, new, 1).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"\n\n", b"\xff", b"VQSessionReport\n" * 200, END.encode() + b"x-a: b\n" * 5000],
)
def test_what_is_none_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_voice_report(data)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_octets_raise_anything_else(tail: bytes) -> None:
    for data in (tail, END.encode()[:-60] + tail):
        try:
            parse_voice_report(data)
        except MalformedMessage:
            continue


def test_what_would_not_be_read_is_not_written() -> None:
    session = dict.fromkeys(("CallID", "LocalID", "RemoteID", "OrigID"), "x")
    address = "IP=::1 PORT=5000 SSRC=0x0000000a"
    session |= {"LocalAddr": address, "RemoteAddr": address, "LocalGroup": "a", "RemoteGroup": "b"}
    times = {"START": "2026-01-01T00:00:00Z", "STOP": "2026-01-01T00:01:00Z"}
    report = VoiceQualityReport(
        VoiceReportKind.SESSION, session, VoiceReportMetrics({"Timestamps": times})
    )
    assert parse_voice_report(print_voice_report(report)) == report
    for wrong in (
        replace(report, session=session | {"CallID": "a\r\nOrigID: b"}),
        replace(
            report, local=VoiceReportMetrics({"Timestamps": times, "Delay": {"RTD": "1 ESD=2"}})
        ),
        replace(report, dialog="a\r\nx: b"),
        replace(report, session={k: v for k, v in session.items() if k != "RemoteGroup"}),
        replace(report, remote=VoiceReportMetrics({"Delay": {"RTD": "1"}})),
        replace(report, kind=VoiceReportKind.ALERT, alert={"TYPE": "NLR"}),
    ):
        with pytest.raises(MalformedMessage):
            print_voice_report(wrong)


def test_names_are_those_of_the_registry() -> None:
    assert (EVENT_PACKAGE, REPORT_TYPE) == ("vq-rtcpxr", "application/vq-rtcpxr")
