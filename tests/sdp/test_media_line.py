"""One m-line, read and written."""

from __future__ import annotations

import pytest

from softphone.events import Direction
from softphone.sdp import CodecCapability, LocalMediaLine, MediaCapability, SessionDescription
from softphone.sdp.media_line import (
    event_codec,
    intersect_directions,
    may_answer,
    media_address_fault,
    media_line,
    refused_line,
    remote_address,
    remote_direction,
    remote_extended_reports,
    remote_rtcp,
    stream_attributes,
)

CAPABILITY = MediaCapability("audio", (CodecCapability("PCMU", 8000, payload_type=0),))


def remote(*lines: str) -> SessionDescription:
    head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n"
    return SessionDescription.parse((head + "".join(f"{line}\r\n" for line in lines)).encode())


def test_the_remote_address_needs_a_connection_of_the_internet():
    described = remote("m=audio 4000 RTP/AVP 0")
    assert remote_address(described, described.media[0]) is None
    described = remote("c=ATM NSAP 47.0091", "m=audio 4000 RTP/AVP 0")
    assert remote_address(described, described.media[0]) is None
    described = remote("c=IN IP4 192.0.2.2", "m=audio 4000 RTP/AVP 0")
    assert remote_address(described, described.media[0]) == ("192.0.2.2", 4000)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("c=IN IP4 0.0.0.0", "m=audio 4 RTP/AVP 0"), Direction.SENDONLY),
        (("c=IN IP4 0.0.0.0", "m=audio 4 RTP/AVP 0", "a=recvonly"), Direction.INACTIVE),
        (("c=IN IP4 0.0.0.0", "m=audio 4 RTP/AVP 0", "a=sendonly"), Direction.SENDONLY),
        (("c=IN IP4 10.0.0.1", "m=audio 4 RTP/AVP 0", "a=recvonly"), Direction.RECVONLY),
        (("m=audio 4 RTP/AVP 0",), Direction.SENDRECV),
    ],
)
def test_an_unspecified_address_does_not_receive(lines, expected):
    described = remote(*lines)
    assert remote_direction(described, described.media[0]) is expected


@pytest.mark.parametrize("one", list(Direction))
@pytest.mark.parametrize("other", list(Direction))
def test_a_direction_is_within_both(one, other):
    result = intersect_directions(one, other)
    assert result.sends is (one.sends and other.sends)
    assert result.receives is (one.receives and other.receives)


@pytest.mark.parametrize(
    ("attribute", "mux", "expected"),
    [
        ("a=x", False, ("10.0.0.1", 4001)),
        ("a=rtcp:5000", False, ("10.0.0.1", 5000)),
        ("a=rtcp:5000 IN IP4 10.0.0.2", False, ("10.0.0.2", 5000)),
        ("a=rtcp:bad", False, ("10.0.0.1", 4001)),
        ("a=rtcp:0", False, ("10.0.0.1", 4001)),
        ("a=rtcp:5000", True, ("10.0.0.1", 4000)),
    ],
)
def test_where_rtcp_goes(attribute, mux, expected):
    media = remote("m=audio 4000 RTP/AVP 0", attribute).media[0]
    assert remote_rtcp(media, ("10.0.0.1", 4000), mux=mux) == expected


@pytest.mark.parametrize(
    ("session", "media", "asked"),
    [
        ((), (), ()),
        ((), ("a=rtcp-xr:rcvr-rtt=all:1500 Voip-Metrics",), ("rcvr-rtt", "voip-metrics")),
        (("a=rtcp-xr:voip-metrics",), (), ("voip-metrics",)),
        (("a=rtcp-xr:voip-metrics",), ("a=rtcp-xr:",), ()),
        (("a=rtcp-xr:voip-metrics",), ("a=rtcp-xr:rcvr-rtt=sender",), ("rcvr-rtt",)),
        ((), ("a=rtcp-xr",), ()),
        ((), ("a=rtcp-xr:" + "pkt-loss-rle " * 100,), ("pkt-loss-rle",)),
    ],
)
def test_extended_reports_are_asked_for_by_line_or_by_session(session, media, asked):
    description = remote(*session, "m=audio 4000 RTP/AVP 0", *media)
    assert remote_extended_reports(description, description.media[0]) == asked


def test_the_last_port_has_no_next_one():
    media = remote("m=audio 65535 RTP/AVP 0").media[0]
    assert remote_rtcp(media, ("10.0.0.1", 65535), mux=False) == ("10.0.0.1", 65535)


@pytest.mark.parametrize(
    ("offered", "answered", "allowed"),
    [
        ("RTP/SAVP", "RTP/SAVP", True),
        ("RTP/SAVP", "rtp/savp", True),
        ("RTP/SAVP", "RTP/AVP", True),
        ("RTP/SAVPF", "RTP/AVP", True),
        ("RTP/SAVPF", "RTP/SAVP", True),
        ("RTP/AVP", "RTP/SAVP", False),
        ("RTP/AVP", "RTP/AVPF", False),
        ("RTP/SAVP", "UDP/TLS/RTP/SAVP", False),
        ("RTP/SAVP", "udptl", False),
    ],
)
def test_an_answer_may_have_less_of_a_profile_and_never_more(offered, answered, allowed):
    assert may_answer(offered, answered) is allowed


def test_our_line_says_what_belongs_to_the_stream():
    local = LocalMediaLine("audio", 4000, rtcp_port=4005, rtcp_mux=True, ssrc=7, cname="me")
    capability = MediaCapability(
        "audio", CAPABILITY.codecs, maxptime_ms=60, extended_reports="voip-metrics"
    )
    rest = stream_attributes(local, capability, Direction.SENDONLY, mux=True)
    codecs = [(CAPABILITY.codecs[0], 0), (event_codec(8000), 101)]
    media = media_line(local, "RTP/AVP", codecs, rest)
    assert media.formats == ("0", "101")
    assert [str(attribute) for attribute in media.attributes] == [
        "rtpmap:0 PCMU/8000",
        "rtpmap:101 telephone-event/8000",
        "fmtp:101 0-15",
        "ptime:20",
        "maxptime:60",
        "rtcp:4005",
        "rtcp-mux",
        "rtcp-xr:voip-metrics",
        "ssrc:7 cname:me",
        "sendonly",
    ]
    assert refused_line(media).port == 0
    assert refused_line(media).attributes == ()


def test_the_usual_rtcp_port_and_video_packet_times_are_not_said():
    local = LocalMediaLine("video", 4000, rtcp_port=4001)
    rest = stream_attributes(local, CAPABILITY, Direction.SENDRECV, mux=False)
    assert [str(attribute) for attribute in rest] == ["sendrecv"]


@pytest.mark.parametrize(
    ("host", "ours", "said"),
    [
        ("198.51.100.1", "192.0.2.1", None),
        ("2001:db8::2", "2001:db8::1", None),
        ("media.example.com", "192.0.2.1", "is a name"),
        ("fe80::1%eth0", "fe80::2", "has a zone"),
        ("2001:db8::2", "192.0.2.1", "is not of our own address family"),
    ],
)
def test_media_goes_to_addresses_of_our_own_family(host, ours, said):
    fault = media_address_fault(host, ours)
    assert (fault is None) if said is None else (said in fault)
