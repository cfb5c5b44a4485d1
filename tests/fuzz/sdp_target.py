"""Fuzz target of SDP: parse, negotiate as answerer and as offerer, judge the crypto lines."""

from __future__ import annotations

from softphone.sdp import (
    AnswerMismatch,
    CodecCapability,
    LocalMediaLine,
    MalformedDescription,
    MediaCapability,
    OfferAnswerSession,
    SessionDescription,
)
from softphone.security import CryptoSuite
from softphone.srtp import choose_crypto

AUDIO = MediaCapability(
    "audio",
    (CodecCapability("PCMU", 8000), CodecCapability("opus", 48000, 2)),
    telephone_event=True,
)
VIDEO = MediaCapability("video", (CodecCapability("H264", 90000, fmtp="packetization-mode=1"),))
LINES = [LocalMediaLine("audio", 4000, rtcp_mux=True), LocalMediaLine("video", 4002)]

OFFER = (
    b"v=0\r\no=- 1 2 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nb=AS:64\r\nt=0 0\r\n"
    b"m=audio 6000 RTP/SAVP 0 111 101\r\na=rtpmap:111 opus/48000/2\r\n"
    b"a=rtpmap:101 telephone-event/48000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"Kx3v" * 10 + b"|2^31|1:4 WSH=64\r\n"
    b"a=rtcp:6001 IN IP4 192.0.2.7\r\na=rtcp-mux\r\na=sendonly\r\n"
    b"m=video 6002/2 RTP/AVPF 97\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:97 H264/90000\r\n"
    b"a=fmtp:97 packetization-mode=1;profile-level-id=42e01f\r\na=rtcp-fb:* ccm fir\r\n"
)
ANSWER = b"v=0\no=- 1 1 IN IP4 192.0.2.7\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio 6000 RTP/AVP 0\n"


def check_description(data: bytes) -> None:
    """Whatever the bytes are: a refusal by name, or a description that can be answered."""
    try:
        description = SessionDescription.parse(data)
    except MalformedDescription:
        return
    assert SessionDescription.parse(description.encode()) == description
    session = OfferAnswerSession([AUDIO, VIDEO], address="192.0.2.1", session_id=1)
    chosen = session.choose_lines(session.apply_offer(description))
    for line in chosen:
        choose_crypto(line.crypto, allowed=tuple(CryptoSuite))
    answer = session.make_answer({line.index: LocalMediaLine(line.media, 4000) for line in chosen})
    assert len(answer.media) == len(description.media)
    session = OfferAnswerSession([AUDIO, VIDEO], address="192.0.2.1", session_id=1)
    session.make_offer(LINES[: len(description.media)])
    try:
        session.apply_answer(description)
    except AnswerMismatch:
        session.rollback()
