"""Offer and answer: one session a call leg, two of them back to back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import LocalProtocolError
from softphone.events import Direction
from softphone.sdp import (
    AnswerMismatch,
    CodecCapability,
    Crypto,
    KeyParameter,
    LocalMediaLine,
    MediaCapability,
    NegotiatedTelephoneEvent,
    OfferAnswerSession,
    SessionDescription,
)
from softphone.security import KeyMaterial

PCMU, PCMA = (
    CodecCapability("PCMU", 8000, payload_type=0),
    CodecCapability("PCMA", 8000, payload_type=8),
)
OPUS = CodecCapability("opus", 48000, 2, fmtp="useinbandfec=1")
H264 = CodecCapability("H264", 90000, fmtp="packetization-mode=1", feedback=("nack pli", "ccm fir"))
AUDIO = MediaCapability("audio", (PCMU, PCMA), telephone_event=True)
VIDEO = MediaCapability("video", (H264,))
LINE = LocalMediaLine("audio", 4000)


def session(*capabilities: MediaCapability, address: str = "192.0.2.1") -> OfferAnswerSession:
    return OfferAnswerSession(capabilities or (AUDIO,), address=address, session_id=42)


def wire(description: SessionDescription) -> SessionDescription:
    return SessionDescription.parse(description.encode())


def remote(*lines: str, version: int = 1) -> SessionDescription:
    head = (
        f"v=0\r\no=- 7 {version} IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n"
    )
    return SessionDescription.parse((head + "".join(f"{line}\r\n" for line in lines)).encode())


def answer(one: OfferAnswerSession, offer: SessionDescription, **more) -> SessionDescription:
    chosen = one.choose_lines(one.apply_offer(wire(offer)))
    media = {line.index: LocalMediaLine(line.media, 5000, **more) for line in chosen}
    return one.make_answer(media)


def connect(
    one: OfferAnswerSession, other: OfferAnswerSession, *media: LocalMediaLine, **more
) -> None:
    one.apply_answer(wire(answer(other, one.make_offer(media or (LINE,)), **more)))


def crypto(tag: int) -> Crypto:
    return Crypto(tag, "AES_CM_128_HMAC_SHA1_80", (KeyParameter(KeyMaterial(bytes(30))),))


def test_an_offer_says_all_that_we_can_do():
    description = session(replace(AUDIO, codecs=(PCMU, OPUS))).make_offer([LINE])
    (media,) = description.media
    assert description.encode().startswith(b"v=0\r\no=- 42 1 IN IP4 192.0.2.1\r\n")
    assert media.formats == ("0", "96", "101", "97")
    assert list(media.attribute_values("rtpmap")) == [
        "0 PCMU/8000",
        "96 opus/48000/2",
        "101 telephone-event/8000",
        "97 telephone-event/48000",
    ]


def test_two_sessions_agree_on_the_same_stream():
    alice, bob = session(), session(address="2001:db8::1")
    connect(alice, bob)
    (ours,), (theirs,) = alice.negotiated, bob.negotiated
    assert ours.codec.name == theirs.codec.name == "PCMU"
    assert ours.remote_address == ("2001:db8::1", 5000)
    assert theirs.remote_address == ("192.0.2.1", 4000)
    assert ours.remote_rtcp == ("2001:db8::1", 5001)
    assert (ours.local_port, theirs.local_port) == (4000, 5000)
    assert ours.telephone_event == NegotiatedTelephoneEvent(8000, 101, 101)
    assert ours.direction is theirs.direction is Direction.SENDRECV
    assert (alice.local.origin.address_type, bob.local.origin.address_type) == ("IP4", "IP6")


def test_an_answer_names_one_codec_so_that_the_remote_does_not_change_it():
    bob = session()
    description = answer(bob, remote("m=audio 6000 RTP/AVP 8 0 18 101", "a=rtpmap:101 x/8000"))
    assert description.media[0].formats == ("8",)
    assert bob.negotiated[0].codecs == (bob.negotiated[0].codec,)


def test_an_answer_with_several_codecs_may_bring_any_of_them():
    alice = session()
    alice.make_offer([LINE])
    (agreed,) = alice.apply_answer(remote("m=audio 6000 RTP/AVP 8 0"))
    assert [codec.name for codec in agreed.codecs] == ["PCMA", "PCMU"]
    assert agreed.codec.name == "PCMA"
    assert agreed.telephone_event is None


def test_payload_types_may_differ_by_direction():
    alice = session(replace(AUDIO, codecs=(OPUS,)))
    alice.make_offer([LINE])
    (agreed,) = alice.apply_answer(
        remote(
            "m=audio 6000 RTP/AVP 111 110",
            "a=rtpmap:111 OPUS/48000/2",
            "a=fmtp:111 maxaveragebitrate=20000",
            "a=rtpmap:110 telephone-event/48000",
            "a=fmtp:110 0-16",
        )
    )
    assert (agreed.codec.send_payload_type, agreed.codec.receive_payload_type) == (111, 96)
    assert agreed.codec.fmtp == "maxaveragebitrate=20000"
    assert agreed.codec.receive_fmtp == "useinbandfec=1"
    assert agreed.telephone_event == NegotiatedTelephoneEvent(48000, 110, 97, "0-16")


def test_telephone_events_follow_the_clock_rate_of_the_codec():
    bob = session(replace(AUDIO, codecs=(OPUS,)))
    answer(
        bob,
        remote(
            "m=audio 6000 RTP/AVP 111 101 110",
            "a=rtpmap:111 opus/48000/2",
            "a=rtpmap:101 telephone-event/8000",
            "a=rtpmap:110 telephone-event/48000",
        ),
    )
    assert bob.negotiated[0].telephone_event == NegotiatedTelephoneEvent(48000, 110, 110)


def test_telephone_events_at_another_clock_rate_are_better_than_none():
    bob = session(replace(AUDIO, codecs=(OPUS,)))
    answer(
        bob,
        remote(
            "m=audio 6000 RTP/AVP 111 101",
            "a=rtpmap:111 opus/48000/2",
            "a=rtpmap:101 telephone-event/8000",
        ),
    )
    assert bob.negotiated[0].telephone_event == NegotiatedTelephoneEvent(8000, 101, 101)


def test_numbers_stay_when_the_remote_offers_the_same_codec_by_another():
    bob = session(replace(AUDIO, codecs=(OPUS,), telephone_event=False))
    answer(bob, remote("m=audio 6000 RTP/AVP 111", "a=rtpmap:111 opus/48000/2"))
    answer(bob, remote("m=audio 6000 RTP/AVP 120", "a=rtpmap:120 opus/48000/2", version=2))
    codec = bob.negotiated[0].codec
    assert (codec.send_payload_type, codec.receive_payload_type) == (120, 120)
    assert bob.make_offer([LINE]).media[0].formats == ("120",)


def test_every_m_line_is_answered_in_its_place():
    bob = session()
    description = answer(
        bob,
        remote(
            "m=video 6002 RTP/AVP 97",
            "a=rtpmap:97 H264/90000",
            "m=audio 6000 RTP/AVP 0",
            "m=image 6004 udptl t38",
            "m=application 6006 UDP/TLS/RTP/SAVP 0",
        ),
    )
    assert [(m.media, m.port, m.protocol, m.formats) for m in description.media] == [
        ("video", 0, "RTP/AVP", ("97",)),
        ("audio", 5000, "RTP/AVP", ("0",)),
        ("image", 0, "udptl", ("t38",)),
        ("application", 0, "UDP/TLS/RTP/SAVP", ("0",)),
    ]
    assert [media.index for media in bob.negotiated] == [1]


@pytest.mark.parametrize(
    "lines",
    [
        ("m=audio 0 RTP/AVP 0",),
        ("m=audio 6000 RTP/AVP 18",),
        ("m=audio 6000 UDP/TLS/RTP/SAVP 0",),
        ("m=audio 6000 RTP/AVP 0", "c=ATM NSAP 47.0091"),
        ("m=audio 6000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"),
        ("m=video 6000 RTP/AVP 0",),
        (),
    ],
)
def test_an_offer_with_nothing_for_us_gives_nothing(lines):
    bob = session()
    assert bob.apply_offer(remote(*lines)) == ()
    assert all(media.port == 0 for media in bob.make_answer({}).media)
    assert bob.negotiated == ()


def test_of_a_secure_and_a_clear_line_the_secure_one_is_chosen():
    bob = session()
    offered = bob.apply_offer(
        remote("m=audio 6000 RTP/AVP 0", "m=audio 6002 RTP/SAVP 0", "a=crypto:1 X inline:AAAA")
    )
    assert [line.index for line in bob.choose_lines(offered)] == [1]
    assert offered[1].crypto[0].suite_name == "X"
    clear = bob.choose_lines(offered, worth=lambda line: None if line.secure else 0)
    assert [line.index for line in clear] == [0]
    assert bob.choose_lines(offered, worth=lambda line: None) == ()


def test_of_equal_lines_the_current_one_and_then_the_first_is_chosen():
    bob = session()
    offer = remote("m=audio 6000 RTP/AVP 0", "m=audio 6002 RTP/AVP 0")
    assert [line.index for line in bob.choose_lines(bob.apply_offer(offer))] == [0]
    bob.make_answer({1: LocalMediaLine("audio", 5000)})
    again = bob.apply_offer(offer)
    assert [(line.index, line.current) for line in again] == [(0, False), (1, True)]
    assert [line.index for line in bob.choose_lines(again)] == [1]


@pytest.mark.parametrize("profile", ["RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF"])
def test_the_profile_is_echoed(profile):
    bob = session()
    assert answer(bob, remote(f"m=audio 6000 {profile} 0")).media[0].protocol == profile
    assert bob.negotiated[0].profile == profile


def test_video_is_negotiated_as_data():
    alice, bob = session(AUDIO, VIDEO), session(AUDIO, VIDEO)
    connect(alice, bob, LINE, LocalMediaLine("video", 4002, profile="RTP/SAVPF"))
    assert [media.media for media in alice.negotiated] == ["audio", "video"]
    assert bob.negotiated[1].codec.feedback == ("nack pli", "ccm fir")
    assert bob.negotiated[1].profile == "RTP/SAVPF"


def test_only_feedback_that_both_name_is_agreed():
    bob = session(VIDEO)
    description = answer(
        bob,
        remote(
            "m=video 6000 RTP/AVPF 97",
            "a=rtpmap:97 H264/90000",
            "a=fmtp:97 packetization-mode=1",
            "a=rtcp-fb:* ccm fir",
            "a=rtcp-fb:* goog-remb",
        ),
    )
    assert list(description.media[0].attribute_values("rtcp-fb")) == ["97 ccm fir"]


def test_crypto_lines_are_carried_both_ways():
    alice, bob = session(), session()
    offer = alice.make_offer([replace(LINE, profile="RTP/SAVP", crypto=(crypto(1), crypto(2)))])
    alice.apply_answer(wire(answer(bob, offer, crypto=(crypto(2),))))
    (ours,), (theirs,) = alice.negotiated, bob.negotiated
    assert [line.tag for line in ours.local_crypto] == [1, 2]
    assert [line.tag for line in ours.remote_crypto] == [2]
    assert [line.tag for line in theirs.remote_crypto] == [1, 2]


def test_rtcp_is_multiplexed_only_when_both_want_it():
    for mine, theirs in ((True, True), (True, False), (False, True)):
        alice, bob = session(), session()
        connect(alice, bob, replace(LINE, rtcp_mux=mine), rtcp_mux=theirs)
        both = mine and theirs
        assert alice.negotiated[0].rtcp_mux is bob.negotiated[0].rtcp_mux is both
        assert alice.negotiated[0].remote_rtcp[1] == (5000 if both else 5001)


def test_hold_and_resume():
    alice, bob = session(), session()
    connect(alice, bob)
    connect(alice, bob, replace(LINE, direction=Direction.SENDONLY))
    assert bob.negotiated[0].direction is Direction.RECVONLY
    assert alice.negotiated[0].direction is Direction.SENDONLY
    assert bob.negotiated[0].remote_hold
    connect(alice, bob)
    assert bob.negotiated[0].direction is Direction.SENDRECV
    assert not bob.negotiated[0].remote_hold


def test_both_sides_on_hold_is_inactive():
    alice, bob = session(), session()
    connect(alice, bob, replace(LINE, direction=Direction.SENDONLY), direction=Direction.SENDONLY)
    assert alice.negotiated[0].direction is bob.negotiated[0].direction is Direction.INACTIVE


def test_the_old_hold_by_an_unspecified_address_does_not_send_there():
    bob = session()
    description = answer(bob, remote("m=audio 6000 RTP/AVP 0", "c=IN IP4 0.0.0.0"))
    assert bob.negotiated[0].direction is Direction.RECVONLY
    assert bob.negotiated[0].remote_hold
    assert description.direction_of(description.media[0]) is Direction.RECVONLY


def test_the_version_rises_only_when_something_changed():
    alice, bob = session(), session()
    versions = []
    for direction in ("sendrecv", "sendrecv", "sendonly", "sendonly", "sendrecv"):
        offer = alice.make_offer([replace(LINE, direction=Direction(direction))])
        versions.append((offer.origin.session_version, alice.offer_pending))
        alice.apply_answer(wire(answer(bob, offer)))
    assert versions == [(1, True), (1, True), (2, True), (2, True), (3, True)]
    assert bob.local.origin.session_version == 3
    alice.address = "192.0.2.99"
    assert alice.make_offer([LINE]).origin.session_version == 4


def test_a_refused_re_offer_leaves_everything_as_it_was():
    alice, bob = session(), session()
    connect(alice, bob)
    before = alice.negotiated, alice.local
    alice.make_offer([replace(LINE, direction=Direction.INACTIVE, port=4444)])
    alice.rollback()
    assert (alice.negotiated, alice.local) == before
    assert alice.make_offer([LINE]).origin.session_version == 3


def test_an_offer_that_we_refuse_leaves_everything_as_it_was():
    alice, bob = session(), session()
    connect(alice, bob)
    before = bob.negotiated
    bob.apply_offer(remote("m=audio 6000 RTP/AVP 0"))
    bob.rollback()
    assert bob.negotiated == before
    assert not bob.offer_pending


def test_an_answer_that_was_never_sent_is_taken_back_once():
    alice, bob = session(), session(AUDIO, VIDEO)
    connect(alice, bob)
    before = bob.negotiated, bob.local
    answer(bob, remote("m=audio 6000 RTP/AVP 8", "m=video 6002 RTP/AVP 97", version=2))
    assert (bob.negotiated, bob.local) != before
    bob.undo_exchange()
    assert (bob.negotiated, bob.local) == before
    with pytest.raises(LocalProtocolError, match="no exchange"):
        bob.undo_exchange()
    offer = bob.make_offer([LINE])
    assert len(offer.media) == 1
    assert offer.origin.session_version == 3
    with pytest.raises(LocalProtocolError, match="pending"):
        bob.undo_exchange()


def test_a_removed_stream_keeps_its_m_line():
    alice, bob = session(AUDIO, VIDEO), session(AUDIO, VIDEO)
    connect(alice, bob, LINE, LocalMediaLine("video", 4002))
    offer = alice.make_offer([LocalMediaLine("video", 4002)])
    assert [(media.media, media.port) for media in offer.media] == [("audio", 0), ("video", 4002)]
    alice.apply_answer(wire(answer(bob, offer)))
    assert [media.index for media in alice.negotiated] == [1]
    again = alice.make_offer([LocalMediaLine("video", 4002), LINE])
    assert [(media.media, media.port) for media in again.media] == [
        ("audio", 4000),
        ("video", 4002),
    ]


def test_m_lines_that_we_refused_stay_in_our_re_offers():
    bob = session()
    answer(bob, remote("m=video 6002 RTP/AVP 97", "m=audio 6000 RTP/AVP 0"))
    offer = bob.make_offer([LocalMediaLine("audio", 5000)])
    assert [(media.media, media.port) for media in offer.media] == [("video", 0), ("audio", 5000)]


def test_a_new_stream_goes_behind_the_others_or_where_it_is_told():
    alice, bob = session(AUDIO, VIDEO), session(AUDIO, VIDEO)
    connect(alice, bob)
    offer = alice.make_offer([LocalMediaLine("video", 4002), LINE])
    assert [media.media for media in offer.media] == ["audio", "video"]
    alice.rollback()
    offer = alice.make_offer([replace(LINE, index=1), LocalMediaLine("video", 4002, index=0)])
    assert [media.media for media in offer.media] == ["video", "audio"]


def test_fewer_m_lines_than_before_are_streams_removed():
    bob = session(AUDIO, VIDEO)
    answer(
        bob, remote("m=audio 6000 RTP/AVP 0", "m=video 6002 RTP/AVP 97", "a=rtpmap:97 H264/90000")
    )
    description = answer(bob, remote("m=audio 6010 RTP/AVP 0", version=9))
    assert len(description.media) == 1
    assert bob.negotiated[0].remote_address == ("198.51.100.1", 6010)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((), "0 m-lines"),
        (("m=audio 6000 RTP/SAVP 0", "m=audio 6000 RTP/SAVP 0"), "2 m-lines"),
        (("m=video 6000 RTP/SAVP 0",), "is not audio"),
        (("m=audio 6000 UDP/TLS/RTP/SAVP 0",), "answers RTP/SAVP with"),
        (("m=audio 6000 RTP/SAVPF 0",), "answers RTP/SAVP with"),
        (("m=audio 6000 RTP/SAVP 18",), "a codec that we offered"),
        (("m=audio 6000 RTP/SAVP 101", "a=rtpmap:101 telephone-event/8000"), "a codec"),
        (("m=audio 6000 RTP/SAVP 0", "c=ATM NSAP 47.0091"), "a c= line"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_the_offer_stays(lines, reason):
    alice = session()
    alice.make_offer([replace(LINE, profile="RTP/SAVP")])
    with pytest.raises(AnswerMismatch, match=reason):
        alice.apply_answer(remote(*lines))
    assert alice.offer_pending
    assert alice.negotiated == ()


def test_a_clear_answer_to_a_secure_offer_is_reported_as_it_is():
    alice = session()
    alice.make_offer([replace(LINE, profile="RTP/SAVP", crypto=(crypto(1),))])
    (agreed,) = alice.apply_answer(remote("m=audio 6000 RTP/AVP 0"))
    assert agreed.profile == "RTP/AVP"
    assert agreed.remote_crypto == ()


def test_an_answer_may_refuse_a_stream_and_not_take_up_a_removed_one():
    alice, bob = session(AUDIO, VIDEO), session(AUDIO, VIDEO)
    connect(alice, bob, LINE, LocalMediaLine("video", 4002))
    alice.make_offer([LINE])
    with pytest.raises(AnswerMismatch, match="was removed"):
        alice.apply_answer(
            remote("m=audio 6000 RTP/AVP 0", "m=video 6002 RTP/AVP 97", "a=rtpmap:97 H264/90000")
        )
    assert alice.apply_answer(remote("m=audio 0 RTP/AVP 0", "m=video 0 RTP/AVP 97")) == ()


def test_an_early_answer_leaves_the_offer_open():
    alice = session()
    alice.make_offer([LINE])
    (early,) = alice.apply_answer(remote("m=audio 6000 RTP/AVP 0"), final=False)
    assert early.remote_address == ("198.51.100.1", 6000)
    assert alice.offer_pending
    assert alice.negotiated == ()
    (final,) = alice.apply_answer(remote("m=audio 7000 RTP/AVP 8"))
    assert alice.negotiated == (final,)
    assert (final.remote_address[1], final.codec.name) == (7000, "PCMA")


def test_commands_out_of_order_are_refused():
    alice = session()
    with pytest.raises(LocalProtocolError, match="no offer of ours"):
        alice.apply_answer(remote("m=audio 6000 RTP/AVP 0"))
    with pytest.raises(LocalProtocolError, match="no offer to answer"):
        alice.make_answer({})
    alice.make_offer([LINE])
    with pytest.raises(LocalProtocolError, match="pending"):
        alice.make_offer([LINE])
    with pytest.raises(LocalProtocolError, match="pending"):
        alice.apply_offer(remote("m=audio 6000 RTP/AVP 0"))


def test_an_answer_takes_only_what_was_offered_as_what_it_was():
    bob = session(AUDIO, VIDEO)
    bob.apply_offer(remote("m=audio 6000 RTP/AVP 0", "m=image 6002 udptl t38"))
    with pytest.raises(LocalProtocolError, match=r"\[1\] cannot be answered"):
        bob.make_answer({1: LINE})
    with pytest.raises(LocalProtocolError, match="m-line 0 is not video"):
        bob.make_answer({0: LocalMediaLine("video", 5000)})


def test_an_offer_names_what_we_have_and_no_line_twice():
    alice = session()
    with pytest.raises(LocalProtocolError, match="no capability"):
        alice.make_offer([LocalMediaLine("video", 4000)])
    with pytest.raises(LocalProtocolError, match="cannot be taken"):
        alice.make_offer([replace(LINE, index=0), replace(LINE, index=0)])
    with pytest.raises(LocalProtocolError, match="cannot be taken"):
        alice.make_offer([replace(LINE, index=3)])


def test_a_remote_that_uses_up_every_number_gets_no_codec():
    bob = session(replace(AUDIO, codecs=(OPUS,), telephone_event=False), VIDEO)
    for number in range(128):
        answer(bob, remote(f"m=audio 6000 RTP/AVP {number}", f"a=rtpmap:{number} opus/48000/2"))
    other = session(
        replace(AUDIO, codecs=(OPUS, replace(OPUS, name="other")), telephone_event=False)
    )
    for number in range(128):
        answer(other, remote(f"m=audio 6000 RTP/AVP {number}", f"a=rtpmap:{number} opus/48000/2"))
    assert other.apply_offer(remote("m=audio 6000 RTP/AVP 96", "a=rtpmap:96 other/48000/2")) == ()
