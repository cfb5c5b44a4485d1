"""Offer and answer as a whole: every line that is sent, and every field that is agreed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import LocalProtocolError
from softphone.events import Direction
from softphone.sdp import (
    CodecCapability,
    LocalMediaLine,
    MediaCapability,
    NegotiatedCodec,
    NegotiatedMedia,
    NegotiatedTelephoneEvent,
    OfferAnswerSession,
    OfferedMedia,
    UnreadableCrypto,
)
from tests.sdp.test_offer_answer import AUDIO, H264, LINE, OPUS, VIDEO, crypto, remote, session

FULL = MediaCapability(
    "audio",
    (CodecCapability("PCMU", 8000, payload_type=0), OPUS),
    telephone_event=True,
    comfort_noise=True,
    ptimes_ms=(20, 40),
    extended_reports="voip-metrics",
)
TEXT = MediaCapability("text", (CodecCapability("t140", 1000),))
CRYPTO = "AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40


def lines_of(description) -> list[str]:
    return description.encode().decode().splitlines()


def places(description) -> list[tuple[str, int]]:
    return [(media.media, media.port) for media in description.media]


# What is sent


@pytest.mark.parametrize(("address", "family"), [("192.0.2.1", "IP4"), ("2001:db8::1", "IP6")])
def test_an_offer_is_sent_line_by_line_as_follows(address, family):
    local = replace(
        LINE, profile="RTP/SAVP", crypto=(crypto(1),), rtcp_port=4009, ssrc=7, cname="us"
    )
    offer = session(FULL, address=address).make_offer([replace(local, rtcp_mux=True)])
    assert lines_of(offer) == [
        "v=0",
        f"o=- 42 1 IN {family} {address}",
        "s=-",
        f"c=IN {family} {address}",
        "t=0 0",
        "m=audio 4000 RTP/SAVP 0 96 101 97 13",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 useinbandfec=1",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=rtpmap:97 telephone-event/48000",
        "a=fmtp:97 0-15",
        "a=rtpmap:13 CN/8000",
        "a=ptime:20",
        f"a=crypto:1 {CRYPTO}",
        "a=rtcp:4009",
        "a=rtcp-mux",
        "a=rtcp-xr:voip-metrics",
        "a=ssrc:7 cname:us",
        "a=sendrecv",
    ]


def test_a_session_may_have_a_name_and_a_user():
    named = OfferAnswerSession(
        (AUDIO,), address="192.0.2.1", session_id=9, username="us", session_name="a call"
    )
    assert named.local is None
    assert lines_of(named.make_offer([LINE]))[1:3] == ["o=us 9 1 IN IP4 192.0.2.1", "s=a call"]


def test_an_offer_without_a_profile_has_the_first_that_we_can_do():
    (media,) = session(replace(AUDIO, profiles=("RTP/AVPF", "RTP/AVP"))).make_offer([LINE]).media
    assert media.protocol == "RTP/AVPF"


def test_an_answer_is_sent_line_by_line_as_follows():
    bob = session(FULL)
    bob.apply_offer(
        remote(
            "m=audio 6000 RTP/SAVP 111 13 0 110",
            "a=rtpmap:111 opus/48000/2",
            "a=rtpmap:110 telephone-event/48000",
            "a=rtcp-mux",
        )
    )
    local = LocalMediaLine(
        "audio", 5000, direction=Direction.SENDONLY, crypto=(crypto(3),), rtcp_mux=True
    )
    assert lines_of(bob.make_answer({0: local}))[4:] == [
        "t=0 0",
        "m=audio 5000 RTP/SAVP 111 110",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 useinbandfec=1",
        "a=rtpmap:110 telephone-event/48000",
        "a=fmtp:110 0-15",
        "a=ptime:20",
        f"a=crypto:3 {CRYPTO}",
        "a=rtcp-mux",
        "a=rtcp-xr:voip-metrics",
        "a=sendonly",
    ]


def test_comfort_noise_is_answered_beside_a_codec_of_its_rate():
    bob = session(FULL)
    bob.apply_offer(remote("m=audio 6000 RTP/AVP 0 13", "a=rtcp-mux"))
    answer = bob.make_answer({0: LocalMediaLine("audio", 5000)})
    assert answer.media[0].formats == ("0", "13")
    assert "a=rtpmap:13 CN/8000" in lines_of(answer)
    assert "a=rtcp-mux" not in lines_of(answer)
    assert bob.negotiated[0].comfort_noise == 13


@pytest.mark.parametrize(
    ("capability", "formats"),
    [
        (replace(FULL, comfort_noise=False), ("0 13",)),
        (FULL, ("0",)),
        (FULL, ("0 98", "a=rtpmap:98 CN/8000")),
        (FULL, ("0 13", "a=rtpmap:13 CN/16000")),
        (FULL, ("111 13", "a=rtpmap:111 opus/48000/2")),
    ],
)
def test_comfort_noise_is_not_agreed_where_one_side_lacks_it_or_at_another_rate(
    capability, formats
):
    bob = session(capability)
    bob.apply_offer(remote(f"m=audio 6000 RTP/AVP {formats[0]}", *formats[1:]))
    bob.make_answer({0: LocalMediaLine("audio", 5000)})
    assert bob.negotiated[0].comfort_noise is None


def test_comfort_noise_of_an_answer_has_the_number_that_we_offered():
    alice = session(FULL)
    alice.make_offer([LINE])
    (agreed,) = alice.apply_answer(remote("m=audio 6000 RTP/AVP 0 13"), final=False)
    assert agreed.comfort_noise == 13
    (agreed,) = alice.apply_answer(remote("m=audio 6000 RTP/AVP 0"))
    assert agreed.comfort_noise is None


# What is agreed


RICH = (
    "b=AS:80",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 stereo=1",
    "a=rtpmap:110 telephone-event/48000",
    "a=fmtp:110 0-11",
    "a=ptime:40",
    "a=rtcp:6009",
    "a=rtcp-xr:voip-metrics rcvr-rtt=all",
    f"a=crypto:2 {CRYPTO}",
)
KEY_2 = f"2 {CRYPTO}"


def wire(lines) -> tuple[str, ...]:
    """Crypto lines as they are sent: no two objects of the same key are equal."""
    return tuple(line.to_wire() for line in lines)


def plain(line: NegotiatedMedia) -> NegotiatedMedia:
    return replace(
        line, local_crypto=wire(line.local_crypto), remote_crypto=wire(line.remote_crypto)
    )


def agreed_line(**more) -> NegotiatedMedia:
    """What both sides of `RICH` agree on; `more` are the fields that differ."""
    codec = NegotiatedCodec("opus", 48000, 2, 111, 111, "stereo=1", "useinbandfec=1")
    line = NegotiatedMedia(
        index=1,
        media="audio",
        profile="RTP/SAVP",
        remote_address=("198.51.100.1", 6000),
        remote_rtcp=("198.51.100.1", 6009),
        local_port=5000,
        direction=Direction.RECVONLY,
        codec=codec,
        codecs=(codec,),
        telephone_event=NegotiatedTelephoneEvent(48000, 110, 110, "0-11"),
        comfort_noise=None,
        ptime_ms=40,
        rtcp_mux=False,
        local_crypto=(KEY_2,),
        remote_crypto=(KEY_2,),
        remote_hold=True,
        bandwidth=80_000,
        extended_reports=("voip-metrics", "rcvr-rtt"),
        remote_session=("7", 9),
    )
    return replace(line, **more)


def test_what_is_agreed_by_our_answer_has_every_field_of_the_offer():
    bob = session(FULL, VIDEO)
    offer = remote(
        "m=video 0 RTP/AVP 97", "m=audio 6000 RTP/SAVP 111 110 0", *RICH, "a=sendonly", version=9
    )
    (offered,) = bob.apply_offer(offer)
    pcmu = NegotiatedCodec("PCMU", 8000, 1, 0, 0)
    assert replace(offered, crypto=wire(offered.crypto)) == OfferedMedia(
        index=1,
        media="audio",
        profile="RTP/SAVP",
        remote_address=("198.51.100.1", 6000),
        direction=Direction.RECVONLY,
        codecs=(agreed_line().codec, pcmu),
        crypto=(KEY_2,),
        current=False,
    )
    bob.make_answer({1: LocalMediaLine("audio", 5000, crypto=(crypto(2),), rtcp_mux=True)})
    assert [plain(line) for line in bob.negotiated] == [agreed_line()]


def test_what_is_agreed_by_their_answer_has_every_field_of_it():
    alice = session(VIDEO, FULL)
    ours = LocalMediaLine("audio", 4000, profile="RTP/SAVP", crypto=(crypto(2),))
    alice.make_offer([LocalMediaLine("video", 4002), ours])
    answer = remote(
        "m=video 0 RTP/AVP 97", "m=audio 6000 RTP/SAVP 111 0 110", *RICH, "a=sendonly", version=9
    )
    opus = replace(agreed_line().codec, receive_payload_type=96)
    expected = agreed_line(
        local_port=4000,
        codec=opus,
        codecs=(opus, NegotiatedCodec("PCMU", 8000, 1, 0, 0)),
        telephone_event=NegotiatedTelephoneEvent(48000, 110, 97, "0-11"),
    )
    (agreed,) = alice.apply_answer(answer)
    assert plain(agreed) == expected
    assert alice.negotiated == (agreed,)


def test_a_crypto_line_before_the_first_m_line_is_told_and_never_used():
    misplaced = remote(f"a=crypto:4 {CRYPTO}", "m=audio 6000 RTP/SAVP 0")
    bob, alice = session(), session()
    (offered,) = bob.apply_offer(misplaced)
    alice.make_offer([replace(LINE, profile="RTP/SAVP", crypto=(crypto(4),))])
    (agreed,) = alice.apply_answer(misplaced)
    for lines in (offered.crypto, agreed.remote_crypto):
        assert [(type(line), line.tag) for line in lines] == [(UnreadableCrypto, None)]


def test_a_profile_in_small_letters_is_known_and_echoed():
    bob, alice = session(), session()
    bob.apply_offer(remote("m=audio 6000 rtp/avp 0"))
    answer = bob.make_answer({0: LocalMediaLine("audio", 5000)})
    assert answer.media[0].protocol == "rtp/avp"
    alice.make_offer([LINE])
    assert len(alice.apply_answer(remote("m=audio 6000 rtp/avp 0"))) == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "agreed", "held"),
    [
        (Direction.SENDRECV, "sendrecv", Direction.SENDRECV, False),
        (Direction.SENDONLY, "sendrecv", Direction.SENDONLY, False),
        (Direction.SENDRECV, "recvonly", Direction.SENDONLY, False),
        (Direction.SENDRECV, "sendonly", Direction.RECVONLY, True),
        (Direction.SENDONLY, "sendonly", Direction.INACTIVE, True),
        (Direction.SENDRECV, "inactive", Direction.INACTIVE, True),
    ],
)
def test_the_direction_of_an_answer_is_what_both_allow(ours, theirs, agreed, held):
    alice = session()
    alice.make_offer([replace(LINE, direction=ours)])
    (line,) = alice.apply_answer(remote("m=audio 6000 RTP/AVP 0", f"a={theirs}"))
    assert (line.direction, line.remote_hold) == (agreed, held)


def test_feedback_of_a_codec_is_what_both_name():
    alice = session(VIDEO)
    alice.make_offer([LocalMediaLine("video", 4002, profile="RTP/AVPF")])
    (agreed,) = alice.apply_answer(
        remote(
            "m=video 6000 RTP/AVPF 97",
            "a=rtpmap:97 H264/90000",
            "a=fmtp:97 packetization-mode=1;profile-level-id=42e01f",
            "a=rtcp-fb:97 nack pli",
            "a=rtcp-fb:97 goog-remb",
        )
    )
    fmtp = "packetization-mode=1;profile-level-id=42e01f"
    assert agreed.codec == NegotiatedCodec("H264", 90000, 1, 97, 96, fmtp, H264.fmtp, ("nack pli",))


def test_a_codec_without_a_number_does_not_take_the_others_with_it():
    bob = session(replace(AUDIO, codecs=(OPUS, replace(OPUS, name="other")), telephone_event=False))
    for number in range(128):
        bob.apply_offer(remote(f"m=audio 6000 RTP/AVP {number}", f"a=rtpmap:{number} opus/48000/2"))
        bob.make_answer({0: LocalMediaLine("audio", 5000)})
    both = ("a=rtpmap:96 other/48000/2", "a=rtpmap:97 opus/48000/2")
    (offered,) = bob.apply_offer(remote("m=audio 6000 RTP/AVP 96 97", *both))
    assert [codec.name for codec in offered.codecs] == ["opus"]


def test_before_the_first_exchange_there_is_none_to_take_back():
    with pytest.raises(LocalProtocolError, match="no exchange"):
        session().undo_exchange()


# Telephone events


def test_events_are_not_agreed_where_we_cannot_send_them_or_the_remote_has_none():
    for capability, more in ((replace(AUDIO, telephone_event=False), " 101"), (AUDIO, "")):
        bob = session(capability)
        lines = (f"m=audio 6000 RTP/AVP 0{more}", "a=rtpmap:101 telephone-event/8000")
        bob.apply_offer(remote(*lines))
        answer = bob.make_answer({0: LocalMediaLine("audio", 5000)})
        assert bob.negotiated[0].telephone_event is None
        assert answer.media[0].formats == ("0",)


@pytest.mark.parametrize("first", ["101 110", "110 101"])
def test_events_of_an_answer_have_the_rate_of_its_codec_whatever_comes_first(first):
    alice = session(FULL)
    alice.make_offer([LINE])
    rates = ("a=rtpmap:101 telephone-event/8000", "a=rtpmap:110 telephone-event/48000")
    opus = ("a=rtpmap:111 opus/48000/2", *rates)
    (agreed,) = alice.apply_answer(remote(f"m=audio 6000 RTP/AVP 111 {first}", *opus), final=False)
    assert agreed.telephone_event == NegotiatedTelephoneEvent(48000, 110, 97)
    (agreed,) = alice.apply_answer(remote(f"m=audio 6000 RTP/AVP 0 {first}", *rates))
    assert agreed.telephone_event == NegotiatedTelephoneEvent(8000, 101, 101)


def test_events_at_a_rate_that_we_did_not_offer_are_not_sent():
    alice = session(AUDIO)
    alice.make_offer([LINE])
    lines = ("m=audio 6000 RTP/AVP 0 110", "a=rtpmap:110 telephone-event/48000")
    (agreed,) = alice.apply_answer(remote(*lines))
    assert agreed.telephone_event is None


# Places


def test_a_stream_that_is_offered_alone_leaves_the_others_place_with_port_0():
    alice = session(AUDIO, VIDEO)
    alice.make_offer([LINE])
    alice.apply_answer(remote("m=audio 6000 RTP/AVP 0"))
    offer = alice.make_offer([LocalMediaLine("video", 4002)])
    assert places(offer) == [("audio", 0), ("video", 4002)]
    alice.rollback()
    assert places(alice.make_offer([])) == [("audio", 0)]


def test_an_offer_of_nothing_has_no_m_line():
    assert session().make_offer([]).media == ()


def test_a_place_that_is_free_is_taken_once_and_what_is_left_goes_behind():
    bob = session(AUDIO, VIDEO, TEXT)
    bob.apply_offer(remote("m=image 6004 udptl t38", "m=audio 6000 RTP/AVP 0"))
    bob.make_answer({1: LocalMediaLine("audio", 5000)})
    video, text = LocalMediaLine("video", 5002), LocalMediaLine("text", 5004)
    assert places(bob.make_offer([video, text, replace(LINE, port=5000)])) == [
        ("video", 5002),
        ("audio", 5000),
        ("text", 5004),
    ]


def test_a_place_that_is_told_comes_before_those_that_are_found():
    alice = session(AUDIO, VIDEO)
    video = LocalMediaLine("video", 4002, index=0)
    assert places(alice.make_offer([LINE, video])) == [("video", 4002), ("audio", 4000)]


def test_a_stream_that_an_answer_refused_is_offered_again_in_its_place():
    alice = session(AUDIO, VIDEO)
    video = LocalMediaLine("video", 4002)
    first = alice.make_offer([LINE, video])
    for _ in range(2):
        alice.apply_answer(remote("m=audio 6000 RTP/AVP 0", "m=video 0 RTP/AVP 96"))
        again = alice.make_offer([LINE, video])
        assert again.encode() == first.encode()


def test_a_second_stream_of_a_kind_has_a_place_of_its_own():
    alice = session()
    alice.make_offer([LINE])
    alice.apply_answer(remote("m=audio 6000 RTP/AVP 0"))
    offer = alice.make_offer([LINE, replace(LINE, port=4010)])
    assert places(offer) == [("audio", 4000), ("audio", 4010)]


def test_a_place_counts_as_current_only_for_its_own_kind():
    bob = session(AUDIO, VIDEO)
    bob.apply_offer(remote("m=audio 6000 RTP/AVP 0"))
    bob.make_answer({0: LocalMediaLine("audio", 5000)})
    h264 = ("m=video 6002 RTP/AVP 97", "a=rtpmap:97 H264/90000", f"a=fmtp:97 {H264.fmtp}")
    offered = bob.apply_offer(remote(*h264, "m=audio 6000 RTP/AVP 0"))
    assert [(line.media, line.current) for line in offered] == [("video", False), ("audio", False)]


def test_the_answer_has_one_line_of_each_kind_in_the_order_of_the_offer():
    bob = session(AUDIO, VIDEO)
    h264 = ("m=video 6002 RTP/AVP 97", "a=rtpmap:97 H264/90000", f"a=fmtp:97 {H264.fmtp}")
    offered = bob.apply_offer(remote("m=audio 6000 RTP/AVP 0", *h264, "m=audio 6004 RTP/SAVP 0"))
    chosen = bob.choose_lines(offered)
    assert [line.index for line in chosen] == [1, 2]
    bob.make_answer({2: LocalMediaLine("audio", 5000), 1: LocalMediaLine("video", 5002)})
    assert [line.index for line in bob.negotiated] == [1, 2]


# Profiles that we do not know


@pytest.mark.parametrize(
    ("lines", "media", "unknown"),
    [
        (("m=audio 6000 UDP/TLS/RTP/SAVPF 0",), "audio", "UDP/TLS/RTP/SAVPF"),
        (("m=audio 6000 X 0", "m=audio 6002 Y 0"), "audio", "X"),
        (("m=audio 6000 X 0", "m=audio 6002 rtp/avp 0"), "audio", ""),
        (("m=audio 0 X 0", "m=audio 6002 Y 0"), "audio", "Y"),
        (("m=audio 0 X 0",), "audio", ""),
        (("m=video 6000 X 0",), "audio", ""),
        (("m=image 6000 udptl t38",), "image", "udptl"),
        ((), "audio", ""),
    ],
)
def test_the_profile_that_nobody_here_knows_is_told(lines, media, unknown):
    assert session().unknown_profile(remote(*lines), media) == unknown
