"""Fuzz target of SDP: parse, negotiate as answerer and as offerer, judge the crypto lines."""

from __future__ import annotations

from softphone.sdp import (
    AnswerMismatch,
    Codec,
    LocalMedia,
    MalformedDescription,
    MediaCapability,
    Session,
    SessionDescription,
)
from softphone.security import CryptoSuite
from softphone.srtp import choose

AUDIO = MediaCapability(
    "audio", (Codec("PCMU", 8000), Codec("opus", 48000, 2)), telephone_event=True
)
VIDEO = MediaCapability("video", (Codec("H264", 90000, fmtp="packetization-mode=1"),))
LINES = [LocalMedia("audio", 4000, rtcp_mux=True), LocalMedia("video", 4002)]


def check_description(data: bytes) -> None:
    """Whatever the bytes are: a refusal by name, or a description that can be answered."""
    try:
        description = SessionDescription.parse(data)
    except MalformedDescription:
        return
    assert SessionDescription.parse(description.encode()) == description
    session = Session([AUDIO, VIDEO], address="192.0.2.1", session_id=1)
    chosen = session.choose(session.receive_offer(description))
    for line in chosen:
        choose(line.crypto, allowed=tuple(CryptoSuite))
    answer = session.answer({line.index: LocalMedia(line.media, 4000) for line in chosen})
    assert len(answer.media) == len(description.media)
    session = Session([AUDIO, VIDEO], address="192.0.2.1", session_id=1)
    session.offer(LINES[: len(description.media)])
    try:
        session.receive_answer(description)
    except AnswerMismatch:
        session.rollback()
