from __future__ import annotations

from datetime import UTC, datetime

import pytest

from softphone.sip.message import (
    CSeq,
    EventValue,
    MalformedMessage,
    RAck,
    Reason,
    Replaces,
    SessionExpires,
    SubscriptionStateValue,
    Via,
)
from softphone.sip.message.headers import ContentType
from softphone.sip.message.typed_headers import (
    RetryAfter,
    WarningValue,
    parse_date,
    parse_delta_seconds,
)

PRINTED = [
    (Via, "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds"),
    (Via, "SIP/2.0/TLS [2001:db8::9]:5061;rport;received=192.0.2.1;branch=z9hG4bK1"),
    (Via, "SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en"),
    (CSeq, "0 INVITE"),
    (CSeq, "2147483647 X.y"),
    (RAck, "776656 1 INVITE"),
    (WarningValue, '307 isi.edu "Session parameter \\"foo\\" not understood"'),
    (Reason, 'Q.850;cause=16;text="Terminated"'),
    (Reason, "SIP;cause=200"),
    (Reason, "preemption"),
    (Replaces, "12345@149.112.118.3;to-tag=12345;from-tag=54321"),
    (Replaces, "a;to-tag=1;from-tag=2;early-only"),
    (SessionExpires, "1800"),
    (SessionExpires, "90;refresher=uas"),
    (SubscriptionStateValue, "active;expires=60"),
    (SubscriptionStateValue, "terminated;reason=noresource;retry-after=5"),
    (EventValue, "message-summary"),
    (EventValue, "dialog;id=7;call-id=x;include-session-description"),
    (RetryAfter, "18000;duration=3600"),
    (RetryAfter, "5"),
    (ContentType, "application/sdp"),
    (ContentType, 'multipart/mixed;boundary="a b"'),
]


@pytest.mark.parametrize(("kind", "text"), PRINTED)
def test_a_value_prints_as_it_was_parsed(kind, text):
    assert str(kind.parse(text)) == text


MALFORMED = [
    (Via, "SIP/2.0/UDP"),
    (Via, "SIP/7.0/UDP a"),
    (Via, "HTTP/2.0/UDP a"),
    (Via, "SIP/2.0/UDP a:0"),
    (Via, "SIP/2.0/UDP a:70000"),
    (Via, "SIP/2.0/UDP a:5060x"),
    (Via, "SIP/2.0/UDP [::1"),
    (Via, "SIP/2.0/UDP [::x]"),
    (Via, "SIP/2.0/UDP a;;,;,,"),
    (Via, "SIP/2.0/UDP a;branch="),
    (Via, "SIP/2.0/UDP a, SIP/2.0/UDP b"),
    (CSeq, "36893488147419103232 REGISTER"),
    (CSeq, "2147483648 INVITE"),
    (CSeq, "1"),
    (CSeq, "-1 INVITE"),
    (CSeq, "1_0 INVITE"),
    (CSeq, "٣ INVITE"),
    (CSeq, "1 INVITE x"),
    (CSeq, "9" * 4000 + " INVITE"),
    (RAck, "1 1"),
    (RAck, "4294967296 1 INVITE"),
    (RAck, "1 2147483648 INVITE"),
    (WarningValue, '1812 overture "In Progress"'),
    (WarningValue, "399 agent text"),
    (Reason, ";cause=1"),
    (Reason, "a b"),
    (Replaces, "a;to-tag=1"),
    (Replaces, "a"),
    (Replaces, ""),
    (SessionExpires, "x"),
    (SessionExpires, "1;refresher=me"),
    (SubscriptionStateValue, ""),
    (SubscriptionStateValue, "active;expires=x"),
    (SubscriptionStateValue, "a/b"),
    (EventValue, "a@b"),
    (RetryAfter, "soon"),
    (RetryAfter, "5 (open"),
    (ContentType, "application"),
    (ContentType, "application/sdp;x"[:-1]),
    (ContentType, "a/b/c"),
]


@pytest.mark.parametrize(("kind", "text"), MALFORMED)
def test_a_malformed_value_is_refused(kind, text):
    with pytest.raises(MalformedMessage):
        kind.parse(text)


def test_the_parts_of_a_via():
    via = Via.parse("SIP / 2.0 / UDP  first.example.com : 4000;ttl=16 ;rport; branch = z9hG4bKa7")
    assert (via.transport, via.host, via.port) == ("UDP", "first.example.com", 4000)
    assert via.branch == "z9hG4bKa7"
    assert via.parameter("rport") == ""
    assert via.rport is None
    assert via.received is None
    filled = via.with_parameter("received", "192.0.2.1").with_parameter("rport", "9988")
    assert (filled.received, filled.rport) == ("192.0.2.1", 9988)
    assert filled.parameter("TTL") == "16"
    assert filled.without_parameter("ttl").parameter("ttl") is None


def test_a_list_of_vias():
    values = Via.parse_list("SIP/2.0/UDP a;branch=z9hG4bK1,SIP/2.0/TCP [::1]:5060 ;x , SIP/2.0/X b")
    assert [via.host for via in values] == ["a", "::1", "b"]
    for text in ("", "SIP/2.0/UDP a,", "SIP/2.0/UDP a,,SIP/2.0/UDP b"):
        with pytest.raises(MalformedMessage):
            Via.parse_list(text)


def test_leading_zeros_and_wide_space_in_cseq():
    assert CSeq.parse("0009  \t INVITE") == CSeq(9, "INVITE")


def test_a_reason_keeps_only_what_it_knows():
    assert Reason.parse("SIP ;cause=x;foo=bar") == Reason("SIP", None, "")


def test_a_refresher_is_compared_without_case():
    assert SessionExpires.parse("90 ;Refresher=UAC") == SessionExpires(90, "uac")


def test_a_retry_after_may_have_a_comment():
    assert RetryAfter.parse("120 (I'm in a meeting) ;duration=60") == RetryAfter(120, 60)


def test_an_event_keeps_its_other_parameters():
    event = EventValue.parse("dialog; id=7;x=y")
    assert (event.package, event.id, event.parameters) == ("dialog", "7", (("x", "y"),))


def test_a_media_type_is_compared_in_lower_case():
    value = ContentType.parse("Application / SDP ; Charset=UTF-8")
    assert value.essence == "application/sdp"
    assert value.parameter("charset") == "UTF-8"


def test_overlarge_seconds_are_clamped():
    assert parse_delta_seconds("280297596632815") == 2**32 - 1
    assert parse_delta_seconds("1" + "0" * 1000) == 2**32 - 1
    assert parse_delta_seconds("007") == 7
    for text in ("", "-1", "1.5", "٣", "1_0"):
        with pytest.raises(MalformedMessage):
            parse_delta_seconds(text)


def test_a_date_is_in_gmt():
    text = "Sat, 13 Nov 2010 23:29:00 GMT"
    when = datetime(2010, 11, 13, 23, 29, tzinfo=UTC)
    assert parse_date(text) == when


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 01 Jan 2010 16:00:00 EST",
        "Fri, 31 Feb 2010 16:00:00 GMT",
        "Fri, 01 Jan 2010 25:00:00 GMT",
        "Fri, 01 Jan 0000 16:00:00 GMT",
        "Fri, 1 Jan 2010 16:00:00 GMT",
        "",
    ],
)
def test_a_malformed_date_is_refused(text):
    with pytest.raises(MalformedMessage):
        parse_date(text)
