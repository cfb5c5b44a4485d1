"""Formats and payload types."""

from __future__ import annotations

import pytest

from softphone.sdp import Attribute, CodecCapability, MediaCapability, MediaDescription
from softphone.sdp.codecs import (
    MediaFormat,
    PayloadTypes,
    codec_attributes,
    common_codecs,
    packet_time,
    read_formats,
)

PCMU, PCMA = (
    CodecCapability("PCMU", 8000, payload_type=0),
    CodecCapability("PCMA", 8000, payload_type=8),
)
OPUS = CodecCapability("opus", 48000, 2)


def media(*attributes: tuple[str, str], formats: tuple[str, ...] = ("0",)) -> MediaDescription:
    lines = tuple(Attribute(name, value) for name, value in attributes)
    return MediaDescription("audio", 4000, "RTP/AVP", formats, attributes=lines)


def test_static_payload_types_need_no_rtpmap():
    names = [fmt.name for fmt in read_formats(media(formats=("0", "8", "9", "18")))]
    assert names == ["PCMU", "PCMA", "G722", "G729"]


def test_a_dynamic_format_without_a_sound_rtpmap_is_left_out():
    found = read_formats(media(("rtpmap", "97 x"), ("fmtp", "97"), formats=("96", "97", "0", "0")))
    assert [fmt.payload_type for fmt in found] == [0]


def test_an_rtpmap_overrides_the_static_table():
    (fmt,) = read_formats(media(("rtpmap", "0 L16/16000")))
    assert (fmt.name, fmt.clock_rate) == ("L16", 16000)


def test_parameters_and_feedback_belong_to_their_format():
    (fmt,) = read_formats(
        media(
            ("rtpmap", "96 VP8/90000"),
            ("fmtp", "96 max-fr=30"),
            ("rtcp-fb", "96 nack pli"),
            ("rtcp-fb", "* ccm fir"),
            ("rtcp-fb", "97 nack"),
            formats=("96",),
        )
    )
    assert fmt == MediaFormat(96, "VP8", 90000, 1, "max-fr=30", ("nack pli", "ccm fir"))


def test_common_codecs_come_in_the_remotes_order_each_once():
    capability = MediaCapability("audio", (PCMU, PCMA))
    formats = read_formats(media(("rtpmap", "96 pcmu/8000"), formats=("8", "96", "0")))
    assert [(c.name, f.payload_type) for c, f in common_codecs(capability, formats)] == [
        ("PCMA", 8),
        ("PCMU", 96),
    ]


@pytest.mark.parametrize(
    ("theirs", "same"),
    [
        ("profile-level-id=42e01f;packetization-mode=1", True),
        ("profile-level-id=42801E;packetization-mode=1", True),
        ("profile-level-id=42e01f", False),
        ("profile-level-id=640028;packetization-mode=1", False),
        ("packetization-mode=1", True),
        ("packetization-mode=1;profile-level-id=zz", True),
    ],
)
def test_h264_is_told_apart_by_profile_and_packetization_mode(theirs, same):
    ours = CodecCapability("H264", 90000, fmtp="profile-level-id=42e01f;packetization-mode=1")
    capability = MediaCapability("video", (ours,))
    assert bool(common_codecs(capability, [MediaFormat(97, "h264", 90000, 1, theirs, ())])) is same


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ((), 20),
        ((("ptime", "20"),), 20),
        ((("ptime", "30"),), 20),
        ((("ptime", "60"),), 60),
        ((("ptime", "2000"),), 60),
        ((("ptime", "5"),), 10),
        ((("maxptime", "10"),), 10),
        ((("ptime", "60"), ("maxptime", "20")), 20),
        ((("ptime", "0"),), 20),
        ((("ptime", "-5"),), 20),
        ((("ptime", "99999999999999999999"),), 20),
        ((("ptime", "20.5"),), 20),
    ],
)
def test_the_packet_time_is_the_remotes_wish_within_what_we_can_send(attributes, expected):
    capability = MediaCapability("audio", (PCMU,), ptimes_ms=(20, 10, 60))
    assert packet_time(capability, media(*attributes)) == expected


def test_codec_attributes():
    values = 100, "VP8", 90000, 1, "max-fr=30", ("nack", "nack pli")
    assert [str(line) for line in codec_attributes(*values)] == [
        "rtpmap:100 VP8/90000",
        "fmtp:100 max-fr=30",
        "rtcp-fb:100 nack",
        "rtcp-fb:100 nack pli",
    ]


def test_a_number_is_never_given_to_another_codec():
    numbers = PayloadTypes()
    assert numbers.assign(PCMU) == 0
    assert numbers.assign(OPUS) == 96
    assert numbers.assign(OPUS, 111) == 111  # theirs is taken
    assert numbers.current_number(OPUS) == 111
    vp8 = CodecCapability("VP8", 90000)
    assert numbers.assign(vp8, 96) == 97  # 96 stays Opus for the session's life
    assert numbers.assign(vp8, 96) == 97
    assert numbers.assign(OPUS) == 111
    assert numbers.current_number(PCMA) is None


def test_a_session_can_run_out_of_numbers():
    numbers = PayloadTypes()
    for rate in range(32):
        assert numbers.assign(CodecCapability("x", rate)) == 96 + rate
    assert numbers.assign(CodecCapability("y", 1)) is None
