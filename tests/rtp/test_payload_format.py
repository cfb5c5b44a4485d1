"""The two payload formats keep the same contract: what goes in comes out, and losses are told."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from softphone.rtp import (
    Depacketizer,
    EncodedFrame,
    H264Depacketizer,
    H264Packetizer,
    Packetizer,
    Vp8Depacketizer,
    Vp8Packetizer,
)
from softphone.rtp.h264 import join_nal_units

KEY_H264 = join_nal_units([b"\x67abc", b"\x68d", b"\x65" + b"slice" * 1000])
KEY_VP8 = b"\x10" + b"frame" * 1000

formats = pytest.mark.parametrize(
    ("packetizer", "make", "frame"),
    [
        (H264Packetizer(size=200), H264Depacketizer, KEY_H264),
        (Vp8Packetizer(size=200), Vp8Depacketizer, KEY_VP8),
    ],
)


@formats
def test_a_frame_survives(
    packetizer: Packetizer, make: Callable[[], Depacketizer], frame: bytes
) -> None:
    depacketizer = make()
    payloads = packetizer.packetize(frame)
    assert len(payloads) > 20
    assert all(len(payload) <= 200 for payload in payloads)
    assert [depacketizer.add_payload(payload) for payload in payloads] == [None] * len(payloads)
    assert depacketizer.finish_frame() == EncodedFrame(frame, key=True)
    assert depacketizer.finish_frame() is None


@formats
def test_every_single_loss_is_told_and_the_next_frame_is_whole(
    packetizer: Packetizer, make: Callable[[], Depacketizer], frame: bytes
) -> None:
    payloads = packetizer.packetize(frame)
    for lost in range(len(payloads)):
        depacketizer = make()
        for number, payload in enumerate(payloads):
            if number != lost:
                depacketizer.add_payload(payload, gap=number == lost + 1)
        broken = depacketizer.finish_frame(gap=lost == len(payloads) - 1)
        assert broken is None or not broken.complete
        for payload in payloads:
            depacketizer.add_payload(payload)
        assert depacketizer.finish_frame() == EncodedFrame(frame, key=True)


@formats
def test_what_is_held_is_bounded(
    packetizer: Packetizer, make: Callable[..., Depacketizer], frame: bytes
) -> None:
    depacketizer = make(limit=1000)
    reasons = [depacketizer.add_payload(payload) for payload in packetizer.packetize(frame)]
    assert any(reason is not None and "1000" in reason for reason in reasons)
    broken = depacketizer.finish_frame()
    assert broken is None or (not broken.complete and len(broken.data) <= 1000)


@formats
def test_shuffled_and_repeated_payloads_never_make_a_complete_wrong_frame(
    packetizer: Packetizer, make: Callable[[], Depacketizer], frame: bytes
) -> None:
    chance = random.Random(6184)
    payloads = packetizer.packetize(frame)
    for _ in range(200):
        depacketizer = make()
        order = chance.choices(payloads, k=len(payloads))
        for payload in order:
            depacketizer.add_payload(payload)
        told = depacketizer.finish_frame()
        assert told is None or not told.complete or told.data != frame
