"""RFC 3264 section 10: its example exchanges, answered and matched by our session."""

from __future__ import annotations

import pytest

from softphone.events import Direction
from softphone.sdp import (
    CodecCapability,
    LocalMediaLine,
    MediaCapability,
    OfferAnswerSession,
    SessionDescription,
)

PCMU, PCMA = (
    CodecCapability("PCMU", 8000, payload_type=0),
    CodecCapability("PCMA", 8000, payload_type=8),
)
G722 = CodecCapability("G722", 8000, payload_type=9)
H261, MPV = (
    CodecCapability("H261", 90000, payload_type=31),
    CodecCapability("MPV", 90000, payload_type=32),
)

ALICE = """v=0
o=alice 2890844526 2890844526 IN IP4 host.anywhere.com
s=
c=IN IP4 host.anywhere.com
t=0 0
m=audio 49170 RTP/AVP 0
a=rtpmap:0 PCMU/8000
m=video 51372 RTP/AVP 31
a=rtpmap:31 H261/90000
m=video 53000 RTP/AVP 32
a=rtpmap:32 MPV/90000
"""


def bob(*, video: bool = True) -> OfferAnswerSession:
    capabilities = [MediaCapability("audio", (PCMU, PCMA, G722), telephone_event=True)]
    if video:
        capabilities.append(MediaCapability("video", (MPV,)))
    return OfferAnswerSession(capabilities, address="192.0.2.9", session_id=2890844730)


def test_10_1_bob_takes_the_audio_and_the_second_video_stream():
    session = bob()
    offered = session.choose_lines(session.apply_offer(SessionDescription.parse(ALICE.encode())))
    answer = session.make_answer(
        {line.index: LocalMediaLine(line.media, 49920 + 2 * line.index) for line in offered}
    )
    assert [(media.media, media.port, media.formats) for media in answer.media] == [
        ("audio", 49920, ("0",)),
        ("video", 0, ("31",)),
        ("video", 49924, ("32",)),
    ]


def test_10_1_alice_understands_that_answer():
    alice = OfferAnswerSession(
        [MediaCapability("audio", (PCMU,)), MediaCapability("video", (H261, MPV))],
        address="host.anywhere.com",
        session_id=2890844526,
    )
    alice.make_offer(
        [
            LocalMediaLine("audio", 49170),
            LocalMediaLine("video", 51372),
            LocalMediaLine("video", 53000),
        ]
    )
    agreed = alice.apply_answer(
        SessionDescription.parse(
            b"v=0\no=bob 2890844730 2890844730 IN IP4 host.example.com\ns=\n"
            b"c=IN IP4 host.example.com\nt=0 0\nm=audio 49920 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"
            b"m=video 0 RTP/AVP 31\nm=video 53000 RTP/AVP 32\na=rtpmap:32 MPV/90000\n"
        )
    )
    assert [(media.index, media.codec.name) for media in agreed] == [(0, "PCMU"), (2, "MPV")]
    assert agreed[0].remote_address == ("host.example.com", 49920)


def test_10_1_bob_later_adds_the_first_stream_in_one_direction_and_his_version_rises():
    session = bob(video=False)
    chosen = session.choose_lines(session.apply_offer(SessionDescription.parse(ALICE.encode())))
    first = session.make_answer({line.index: LocalMediaLine("audio", 49920) for line in chosen})
    offer = session.make_offer([LocalMediaLine("audio", 65422)])
    assert offer.origin.session_version == first.origin.session_version + 1
    assert [(media.media, media.port) for media in offer.media] == [
        ("audio", 65422),
        ("video", 0),
        ("video", 0),
    ]


def test_10_2_one_of_n_codecs_is_chosen_by_the_answer():
    alice = OfferAnswerSession(
        [MediaCapability("audio", (PCMU, G722, PCMA))], address="192.0.2.1", session_id=1
    )
    alice.make_offer([LocalMediaLine("audio", 62986)])
    (agreed,) = alice.apply_answer(
        SessionDescription.parse(
            b"v=0\no=bob 1 1 IN IP4 192.0.2.2\ns=\nc=IN IP4 192.0.2.2\nt=0 0\n"
            b"m=audio 54344 RTP/AVP 0 9\na=rtpmap:0 PCMU/8000\na=rtpmap:9 G722/8000\n"
        )
    )
    assert [codec.name for codec in agreed.codecs] == ["PCMU", "G722"]


@pytest.mark.parametrize(
    ("offered", "possible"),
    [
        ("sendonly", {"recvonly", "inactive"}),
        ("recvonly", {"sendonly", "inactive"}),
        ("sendrecv", {"sendrecv", "sendonly", "recvonly", "inactive"}),
        ("inactive", {"inactive"}),
    ],
)
def test_6_1_an_answers_direction_is_one_that_the_offer_allows(offered, possible):
    found = set()
    for wished in Direction:
        session = bob()
        text = ALICE.replace("a=rtpmap:0 PCMU/8000", f"a={offered}")
        session.apply_offer(SessionDescription.parse(text.encode()))
        answer = session.make_answer({0: LocalMediaLine("audio", 49920, direction=wished)})
        found.add(answer.direction_of(answer.media[0]).value)
    assert found == possible


def test_8_3_2_a_payload_type_is_never_given_to_another_codec():
    session = OfferAnswerSession(
        [MediaCapability("audio", (CodecCapability("iLBC", 8000), CodecCapability("SPEEX", 8000)))],
        address="192.0.2.9",
        session_id=1,
    )
    head = (
        "v=0\no=a 1 {} IN IP4 192.0.2.1\ns=\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 97\n"
    )
    numbers = []
    for version, name in enumerate(("iLBC", "SPEEX", "iLBC")):
        text = head.format(version) + f"a=rtpmap:97 {name}/8000\n"
        session.apply_offer(SessionDescription.parse(text.encode()))
        session.make_answer({0: LocalMediaLine("audio", 5000)})
        codec = session.negotiated[0].codec
        numbers.append((codec.name, codec.send_payload_type, codec.receive_payload_type))
    assert numbers == [("iLBC", 97, 97), ("SPEEX", 97, 96), ("iLBC", 97, 97)]
