"""Session descriptions, parsed and printed (RFC 8866)."""

from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.events import Direction
from softphone.sdp import (
    Attribute,
    Bandwidth,
    Connection,
    DescriptionLimits,
    MalformedDescription,
    MediaDescription,
    Origin,
    SessionDescription,
    TimeDescription,
)

CUCM = (
    b"v=0\r\n"
    b"o=CiscoSystemsCCM-SIP 2000 1 IN IP4 10.1.1.1\r\n"
    b"s=SIP Call\r\n"
    b"c=IN IP4 10.1.1.2\r\n"
    b"b=AS:64\r\n"
    b"t=0 0\r\n"
    b"m=audio 24580 RTP/SAVP 0 101\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"\r\n"
    b"a=rtpmap:0 PCMU/8000\r\n"
    b"a=ptime:20\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\n"
    b"a=fmtp:101 0-15\r\n"
)
HEAD = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n"


def parse(*lines: str, head: bytes = HEAD) -> SessionDescription:
    return SessionDescription.parse(head + "".join(f"{line}\r\n" for line in lines).encode())


def test_a_description_of_cucm_is_read_and_printed_unchanged():
    description = SessionDescription.parse(CUCM)
    assert description.origin == Origin("CiscoSystemsCCM-SIP", "2000", 1, address="10.1.1.1")
    assert description.session_name == "SIP Call"
    assert description.bandwidth == (Bandwidth("AS", 64),)
    (audio,) = description.media
    assert (audio.media, audio.port, audio.protocol) == ("audio", 24580, "RTP/SAVP")
    assert audio.formats == ("0", "101")
    assert list(audio.attribute_values("rtpmap")) == ["0 PCMU/8000", "101 telephone-event/8000"]
    assert description.connection_of(audio) == Connection("10.1.1.2")
    assert description.encode() == CUCM


def test_every_kind_of_line_is_kept():
    text = (
        b"v=0\r\no=jdoe 3724394400 3724394405 IN IP6 2001:db8::1\r\ns=Call\r\ni=about\r\n"
        b"u=https://www.example.com/\r\ne=j.doe@example.com\r\np=+1 617 555-6011\r\n"
        b"c=IN IP4 233.252.0.1/127/3\r\nb=TIAS:64000\r\nt=3724394400 3724398000\r\n"
        b"r=604800 3600 0 90000\r\nz=2882844526 -1h\r\na=tool:x\r\n"
        b"m=video 49170/2 RTP/AVP 31\r\ni=slides\r\nc=IN IP6 ff00::db8:0:101/3\r\n"
        b"b=AS:128\r\na=recvonly\r\n"
        b"m=image 0 udptl t38\r\n"
    )
    description = SessionDescription.parse(text)
    assert description.encode() == text
    assert description.times == (TimeDescription(3724394400, 3724398000, ("604800 3600 0 90000",)),)
    assert description.connection == Connection("233.252.0.1", suffix="/127/3")
    assert description.media[0].port_count == 2
    assert description.media[0].title == "slides"
    assert description.media[1].formats == ("t38",)


def test_line_feeds_alone_end_lines_too():
    assert SessionDescription.parse(CUCM.replace(b"\r\n", b"\n")) == SessionDescription.parse(CUCM)


def test_missing_name_and_time_are_forgiven():
    description = SessionDescription.parse(b"v=0\no=- 1 1 IN IP4 10.0.0.1\n")
    assert (description.session_name, description.times) == ("-", (TimeDescription(),))


def test_a_user_name_with_spaces_is_forgiven():
    description = SessionDescription.parse(b"v=0\r\no=My Phone 1 2 IN IP4 10.0.0.1\r\ns=-\r\n")
    assert (description.origin.username, description.origin.session_id) == ("My Phone", "1")


def test_obsolete_keys_are_discarded():
    description = parse("k=clear:secret", "m=audio 4 RTP/AVP 0", "k=clear:secret")
    assert b"secret" not in description.encode()
    assert "secret" not in repr(description)


def test_the_direction_of_a_stream_is_its_own_then_the_sessions_then_sendrecv():
    description = parse(
        "a=recvonly", "m=audio 4 RTP/AVP 0", "m=audio 6 RTP/AVP 0", "a=inactive", "a=sendrecv"
    )
    first, second = description.media
    assert description.direction_of(first) is Direction.RECVONLY
    assert description.direction_of(second) is Direction.INACTIVE
    plain = parse("m=audio 4 RTP/AVP 0")
    assert plain.direction_of(plain.media[0]) is Direction.SENDRECV


def test_the_connection_of_a_stream_is_its_own_then_the_sessions():
    description = parse(
        "c=IN IP4 10.0.0.1", "m=audio 4 RTP/AVP 0", "m=audio 6 RTP/AVP 0", "c=IN IP6 ::1"
    )
    hosts = [description.connection_of(media).address for media in description.media]
    assert hosts == ["10.0.0.1", "::1"]


@pytest.mark.parametrize(
    ("line", "held"),
    [("IN IP4 0.0.0.0", True), ("IN IP6 ::", True), ("IN IP4 10.0.0.1", False)],
)
def test_an_unspecified_address_is_hold(line, held):
    assert parse(f"c={line}").connection.on_hold is held


def test_a_host_name_may_be_an_address():
    assert parse("c=IN IP4 media.example.com").connection.address == "media.example.com"


def test_other_network_types_are_kept_as_they_are():
    assert str(parse("c=ATM NSAP 47.0091").connection) == "ATM NSAP 47.0091"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["x=1"], "not a letter of SDP"),
        (["no line"], "not a letter of SDP"),
        (["", "a=x"], "not a letter of SDP"),
        (["v=0"], "second v="),
        (["s=again"], "second s="),
        (["o=- 1 1 IN IP4 10.0.0.1"], "second o="),
        (["c=IN IP4 10.0.0.1", "c=IN IP4 10.0.0.2"], "second c="),
        (["c=IN IP4"], "three fields"),
        (["c=IN IP5 10.0.0.1"], "unknown address type"),
        (["c=IN IP4 ::1"], "no IP4 address"),
        (["c=IN IP4 999.0.0.1"], "no IP4 address"),
        (["c=IN IP6 fe80::1%eth0"], "zone"),
        (["c=IN IP4 10.0.0.1/x"], "multicast"),
        (["b=64"], "no type"),
        (["b=AS:-1"], "not a number"),
        (["b=AS:١٢"], "not a number"),
        (["t=0"], "two fields"),
        (["t=0 99999999999999999999999"], "not a number"),
        (["a="], "no name"),
        (["a=fm tp:0"], "no name"),
        (["m=audio"], "not its fields"),
        (["m=audio 4 RTP/AVP"], "not its fields"),
        (["m=audio x RTP/AVP 0"], "no port"),
        (["m=audio -1 RTP/AVP 0"], "no port"),
        (["m=audio 65536 RTP/AVP 0"], "not a number from 0 to 65535"),
        (["m=audio 4 RTP/AVP 4294967296"], "not a number from 0 to 127"),
        (["m=audio 4 RTP/AVP 128"], "not a number from 0 to 127"),
        (["m=audio 4 RTP/AVP ٣"], "not a number from 0 to 127"),
        (["m=audio 4 RTP/AVP 0x1"], "not a number from 0 to 127"),
        (["m=image 4 udptl t38;x"], "no token"),
        (["m=audio 4 RTP/AVP 0", "t=0 0"], "cannot stand behind"),
        (["m=audio 4 RTP/AVP 0", "o=- 1 1 IN IP4 10.0.0.1"], "cannot stand behind"),
    ],
)
def test_a_line_that_cannot_be_acted_on_refuses_the_description(lines, reason):
    with pytest.raises(MalformedDescription, match=reason):
        parse(*lines)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "begins with v=0"),
        (b"\r\n\r\n", "begins with v=0"),
        (b" \r\nv=0\r\n", "letter of SDP"),
        (b"v=0\r\n\r\no=- 1 1 IN IP4 10.0.0.1\r\n", "letter of SDP"),
        (b"s=-\r\n", "begins with v=0"),
        (b"v=1\r\n", "begins with v=0"),
        (b"v=0\r\ns=-\r\n", "no o="),
        (b"v=0\r\no=- 1 IN IP4 10.0.0.1\r\n", "six fields"),
        (b"v=0\r\no=- 1 x IN IP4 10.0.0.1\r\n", "version"),
        (b"v=0\r\nr=1 2\r\n", "belongs behind"),
        (HEAD + b"a=fmtp\0:\r\n", "NUL"),
        (HEAD + b"a=x\ry\r\n", "CR"),
    ],
)
def test_a_description_without_its_frame_is_refused(data, reason):
    with pytest.raises(MalformedDescription, match=reason):
        SessionDescription.parse(data)


@pytest.mark.parametrize("blank", [b"\r\n", b"\n", b"\r\n\r\n"])
def test_blank_lines_before_the_first_line_are_passed_over(blank):
    assert SessionDescription.parse(blank + HEAD) == SessionDescription.parse(HEAD)


def test_a_line_behind_blank_ones_keeps_its_number():
    with pytest.raises(MalformedDescription, match="line 4: "):
        SessionDescription.parse(b"\r\nv=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nnonsense\r\n")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (DescriptionLimits(size=10), "larger than 10"),
        (DescriptionLimits(lines=3), "more than 3 lines"),
        (DescriptionLimits(line_length=12), "longer than 12"),
        (DescriptionLimits(media=0), "more than 0 m="),
        (DescriptionLimits(attributes=2), "more than 2 a="),
        (DescriptionLimits(formats=1), "too many"),
    ],
)
def test_limits_hold(limits, reason):
    with pytest.raises(MalformedDescription, match=reason):
        SessionDescription.parse(CUCM, limits=limits)


def test_the_largest_description_is_read_in_linear_time():
    data = HEAD + b"m=audio 4 RTP/AVP 0\r\n" + b"a=x:y\r\n" * 511 + b"b=A:1\r\n" * 1500
    assert len(SessionDescription.parse(data).media[0].bandwidth) == 1500


def test_bytes_that_are_not_utf8_are_replaced():
    assert SessionDescription.parse(b"v=0\no=- 1 1 IN IP4 1.1.1.1\ns=\xff\n").session_name == "�"


def test_a_line_end_in_a_field_of_ours_is_not_printed():
    description = SessionDescription(Origin("-", "1", 1), session_name="x\r\na=inactive")
    with pytest.raises(LocalProtocolError):
        description.encode()


@pytest.mark.parametrize("name", ["crypto", "Crypto", "ice-pwd"])
def test_secret_attributes_are_not_shown(name):
    media = MediaDescription("audio", 4, "RTP/SAVP", ("0",), attributes=(Attribute(name, "xyz"),))
    assert "xyz" not in repr(media)
    assert "xyz" in str(media.attributes[0])


def test_attributes_are_found_by_name():
    media = MediaDescription(
        "audio", 4, "RTP/AVP", ("0",), attributes=(Attribute("rtcp-mux"), Attribute("a", "1"))
    )
    assert media.has_attribute("rtcp-mux")
    assert not media.has_attribute("ptime")
    assert list(media.attribute_values("rtcp-mux")) == []
    assert media.connection is None
