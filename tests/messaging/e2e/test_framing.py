"""What two clients say inside TLS: any pieces, no more than allowed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import TransportError
from softphone.messaging.e2e import MOST_BODY, Frame
from softphone.messaging.e2e.framing import FrameKind, FrameReader

TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=50
)
FRAMES = st.lists(st.builds(Frame, st.just(FrameKind.MESSAGE), TEXT.filter(bool), TEXT), max_size=5)


@given(FRAMES, st.integers(1, 40))
def test_frames_come_whole_however_they_are_cut(frames, size):
    data = b"".join(frame.encode() for frame in frames)
    reader = FrameReader()
    found = []
    for at in range(0, len(data), size):
        found += reader.feed_bytes(data[at : at + size])
    assert found == frames


def framed(fields) -> bytes:
    data = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize(
    "data",
    [
        (1 << 31).to_bytes(4, "big"),
        framed(b"{"),
        framed(b"[" * 10_000),
        framed([]),
        framed({"kind": "message", "id": 1}),
        framed({"kind": "message", "id": ""}),
        framed({"kind": "ack", "id": "x" * 257}),
        framed({"kind": "message", "id": "1", "body": ["x"]}),
        framed({"kind": "message", "id": "1", "body": "a\x1b[2Jb"}),
        framed({"kind": "message", "id": "1", "body": "\ud800"}),
        framed({"kind": "message", "id": "\0", "body": "x"}),
        framed({"kind": "message", "id": "1", "body": "x" * (MOST_BODY + 1)}),
    ],
)
def test_what_is_no_frame_ends_the_session(data):
    with pytest.raises(TransportError):
        FrameReader().feed_bytes(data)


def test_a_kind_that_is_not_known_is_skipped():
    frame = Frame(FrameKind.ACK, "1")
    assert FrameReader().feed_bytes(framed({"kind": "typing"}) + frame.encode()) == [frame]


@given(st.binary(max_size=100))
def test_hostile_bytes_raise_nothing_else(data):
    try:
        FrameReader().feed_bytes(data)
    except TransportError:
        return


def test_a_frame_does_not_show_its_text():
    assert "secret" not in repr(Frame(FrameKind.MESSAGE, "1", "secret"))
