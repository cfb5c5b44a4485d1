"""A description of one party that is passed on to another (RFC 7088)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import LocalProtocolError
from softphone.events import Direction
from softphone.sdp import (
    AnswerMismatch,
    CodecCapability,
    LocalMediaLine,
    MediaCapability,
    OfferAnswerSession,
    SessionDescription,
    relayed_answer,
    same_stream,
    sending_lines,
)

PCMU = CodecCapability("PCMU", 8000, payload_type=0)
HEAD = "v=0\r\no=- 7 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNk"
FIRST, SECOND = (f"a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n" for tag in (1, 2))
MUSIC = HEAD + "m=audio 4000 RTP/SAVP 0 8\r\na=sendrecv\r\na=ptime:30\r\n" + FIRST + SECOND


def parse(text):
    return SessionDescription.parse(text.encode())


@pytest.fixture
def session():
    """A session with audio and video that was agreed."""
    h264 = CodecCapability("H264", 90000, payload_type=97)
    made = OfferAnswerSession(
        [MediaCapability("audio", (PCMU,)), MediaCapability("video", (h264,))],
        address="192.0.2.1",
        session_id=5,
    )
    made.make_offer([LocalMediaLine("audio", 40000), LocalMediaLine("video", 40002)])
    made.apply_answer(
        parse(HEAD + "m=audio 5000 RTP/AVP 0\r\nm=video 5002 RTP/AVP 97\r\na=rtpmap:97 H264/90000")
    )
    return made


def test_the_stream_passes_as_it_is_and_the_rest_stays_ours(session):
    (line,) = sending_lines(parse(MUSIC), "audio")
    before = session.local
    offer = session.relay_offer(line.offered({2}))
    assert offer.origin.session_version == before.origin.session_version + 1
    assert (offer.origin.session_id, offer.connection) == ("5", before.connection)
    audio, video = offer.media
    assert (audio.port, audio.connection.address, audio.formats) == (4000, "192.0.2.9", ("0", "8"))
    assert [str(one) for one in audio.attributes] == [
        "ptime:30",
        f"crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{KEY}",
        "sendonly",
    ]
    assert video.port == 0
    with pytest.raises(LocalProtocolError):
        session.relay_offer(line.offered(()))
    session.rollback()
    assert session.local is before
    assert len(session.negotiated) == 2


def test_our_own_media_takes_its_place_again(session):
    (line,) = sending_lines(parse(MUSIC), "audio")
    session.relay_offer(line.offered({1}))
    answer = session.apply_relayed_answer(
        parse(HEAD + "m=audio 5000 RTP/SAVP 0\r\nm=video 0 RTP/AVP 97\r\n")
    )
    assert answer.port == 5000
    assert session.local.media[0].port == line.media.port
    offer = session.make_offer([LocalMediaLine("audio", 40000), LocalMediaLine("video", 40002)])
    assert [(each.media, each.port) for each in offer.media] == [("audio", 40000), ("video", 40002)]
    assert offer.origin.session_version == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("m=audio 5000 RTP/SAVP 0\r\n", "has not the m-lines"),
        ("m=video 0 RTP/AVP 97\r\nm=audio 5000 RTP/SAVP 0\r\n", "has not the m-lines"),
        ("m=audio 5000 RTP/SAVP 0\r\nm=video 5002 RTP/AVP 97\r\n", "takes up"),
        ("m=audio 0 RTP/SAVP 0\r\nm=video 0 RTP/AVP 97\r\n", "refuses the audio"),
        ("m=audio 5000 RTP/SAVPF 0\r\nm=video 0 RTP/AVP 97\r\n", "answers RTP/SAVP with"),
    ],
)
def test_an_answer_that_does_not_fit_still_completes_the_exchange(session, answer, words):
    (line,) = sending_lines(parse(MUSIC), "audio")
    session.relay_offer(line.offered({1}))
    with pytest.raises(AnswerMismatch, match=words):
        session.apply_relayed_answer(parse(HEAD + answer))
    assert not session.offer_pending
    session.make_offer([LocalMediaLine("audio", 40000)])


def test_what_was_not_relayed_has_no_relayed_answer(session):
    with pytest.raises(LocalProtocolError):
        session.apply_relayed_answer(parse(MUSIC))
    empty = OfferAnswerSession([MediaCapability("audio", (PCMU,))], address="::1", session_id=1)
    (line,) = sending_lines(parse(MUSIC), "audio")
    with pytest.raises(LocalProtocolError):
        empty.relay_offer(line.offered(()))
    with pytest.raises(LocalProtocolError, match="no text stream to replace"):
        session.relay_offer(replace(line.offered(()), media="text"))


@pytest.mark.parametrize(
    ("direction", "answered"),
    [("", "recvonly"), ("a=recvonly\r\n", "recvonly"), ("a=inactive\r\n", "inactive")],
)
def test_the_answer_has_the_m_lines_of_the_offer_and_receives_at_most(direction, answered):
    offer = parse(HEAD + "m=video 6000 RTP/AVP 97\r\n" + MUSIC.removeprefix(HEAD))
    answer = parse(HEAD + direction + "m=audio 5000 RTP/SAVP 0\r\n" + FIRST)
    made = relayed_answer(offer, 1, answer, answer.media[0])
    assert [(each.media, each.port) for each in made.media] == [("video", 0), ("audio", 5000)]
    assert made.media[1].direction is Direction(answered)
    assert made.media[1].connection.address == "192.0.2.9"
    assert list(made.media[1].attribute_values("crypto")) == [FIRST[9:-2]]
    assert parse(made.encode().decode()) == made


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (MUSIC, True),
        (MUSIC.replace("sendrecv", "sendonly").replace(SECOND, ""), True),
        (MUSIC.replace("0 8", "0"), True),
        (MUSIC.replace("4000", "4002"), False),
        (MUSIC.replace("c=IN IP4 192.0.2.9", "c=IN IP4 192.0.2.8"), False),
        (MUSIC.replace(FIRST, "").replace(SECOND, ""), False),
        (MUSIC.replace(KEY, KEY[::-1]), False),
        (MUSIC + "m=video 6000 RTP/AVP 97\r\n", False),
        (HEAD, False),
    ],
)
def test_a_stream_is_the_same_by_its_address_port_and_keys(text, same):
    assert same_stream(parse(text), parse(MUSIC), 0) is same
