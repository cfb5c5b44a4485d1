"""Whatever two sessions can do and wish, they agree on mirrored streams or on none."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.events import Direction
from softphone.sdp import (
    CodecCapability,
    LocalMediaLine,
    MediaCapability,
    OfferAnswerSession,
    SessionDescription,
)

CODECS = [
    CodecCapability("PCMU", 8000, payload_type=0),
    CodecCapability("PCMA", 8000, payload_type=8),
    CodecCapability("opus", 48000, 2),
    CodecCapability("opus", 48000, 2, payload_type=111, fmtp="stereo=1"),
    CodecCapability("L16", 16000, payload_type=100),
]
PROFILES = st.sampled_from(["RTP/AVP", "RTP/SAVP"])
AUDIO = st.builds(
    lambda codecs, events, ptimes: MediaCapability(
        "audio", tuple(codecs), telephone_event=events, ptimes_ms=tuple(ptimes)
    ),
    st.lists(st.sampled_from(CODECS), min_size=1, unique=True),
    st.booleans(),
    st.lists(st.sampled_from([10, 20, 40]), min_size=1, unique=True),
)
VIDEO = MediaCapability("video", (CodecCapability("VP8", 90000, feedback=("nack",)),))
MOVES = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from(list(Direction)),
        st.sampled_from(list(Direction)),
        PROFILES,
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


def exchange(one: OfferAnswerSession, other: OfferAnswerSession, move) -> None:
    _, wish, counter_wish, profile, video, refuse = move
    media = [LocalMediaLine("audio", 4000, profile=profile, direction=wish)]
    if video:
        media.append(LocalMediaLine("video", 4002))
    offer = SessionDescription.parse(one.make_offer(media).encode())
    lines = other.choose_lines(other.apply_offer(offer))
    if refuse or not lines:
        one.rollback()
        other.rollback()
        return
    answer = other.make_answer(
        {line.index: LocalMediaLine(line.media, 5000, direction=counter_wish) for line in lines}
    )
    one.apply_answer(SessionDescription.parse(answer.encode()))


def check_mirrored(one: OfferAnswerSession, other: OfferAnswerSession) -> None:
    assert [media.index for media in one.negotiated] == [media.index for media in other.negotiated]
    for ours, theirs in zip(one.negotiated, other.negotiated, strict=True):
        assert ours.codec.name == theirs.codec.name
        assert ours.codec.send_payload_type == theirs.codec.receive_payload_type
        assert ours.codec.receive_payload_type == theirs.codec.send_payload_type
        assert ours.direction is theirs.direction.reversed
        assert (ours.telephone_event is None) is (theirs.telephone_event is None)
        assert ours.remote_address[1] == theirs.local_port
        assert ours.profile == theirs.profile


@settings(max_examples=120, deadline=None)
@given(AUDIO, AUDIO, st.booleans(), MOVES)
def test_streams_are_mirrored_through_any_run_of_exchanges(mine, theirs, video, moves):
    one = OfferAnswerSession((mine, VIDEO), address="192.0.2.1", session_id=1)
    other = OfferAnswerSession(
        (theirs, VIDEO) if video else (theirs,), address="2001:db8::2", session_id=2
    )
    lines = 0
    for move in moves:
        offerer, answerer = (one, other) if move[0] or not video else (other, one)
        exchange(offerer, answerer, move)
        check_mirrored(one, other)
        if one.local is not None:
            assert len(one.local.media) == len(other.local.media) >= lines
            lines = len(one.local.media)


@settings(max_examples=60, deadline=None)
@given(MOVES)
def test_a_version_means_one_text(moves):
    """Two descriptions with the same version are the same; another text has a higher one."""
    capability = MediaCapability("audio", tuple(CODECS[:2]))
    one = OfferAnswerSession((capability, VIDEO), address="192.0.2.1", session_id=1)
    other = OfferAnswerSession((capability, VIDEO), address="192.0.2.2", session_id=2)
    sent: dict[int, bytes] = {}
    for move in moves:
        exchange(one, other, move)
        version = one._sent.origin.session_version
        assert sent.setdefault(version, one._sent.encode()) == one._sent.encode()
        assert version == max(sent)
