"""Coded and decoded again: the picture is the same but for noise, and hostile frames give none."""

from __future__ import annotations

import random

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media.video import VideoDecoder, VideoEncoder
from softphone.media.video.picture import draw_pattern, pattern_number, psnr
from softphone.rtp import LARGEST_PAYLOAD, EncodedFrame, H264Packetizer
from softphone.rtp.h264 import split_nal_units

codecs = pytest.mark.parametrize("codec", ["H264", "VP8"])


def encoded(encoder: VideoEncoder, number: int, *, key: bool = False) -> EncodedFrame:
    frame = encoder.encode(draw_pattern(number, 320, 240), key=key, bitrate=600_000)
    assert frame is not None
    return frame


@codecs
def test_each_picture_comes_back_at_once_and_alike(codec: str) -> None:
    encoder, decoder = VideoEncoder(codec, rate=15, bitrate=600_000), VideoDecoder(codec)
    for number in range(20):
        frame = encoded(encoder, number, key=number == 10)
        assert frame.key is (number in (0, 10))
        (picture,) = decoder.decode(frame)
        assert pattern_number(picture) == number
        assert psnr(picture, draw_pattern(number, 320, 240)) > 28


@codecs
def test_a_key_frame_begins_for_whoever_comes_later(codec: str) -> None:
    encoder = VideoEncoder(codec, rate=15, bitrate=600_000)
    for number in range(5):
        encoded(encoder, number)
    (picture,) = VideoDecoder(codec).decode(encoded(encoder, 5, key=True))
    assert pattern_number(picture) == 5


@codecs
def test_less_is_sent_when_the_limit_falls(codec: str) -> None:
    encoder, noise = VideoEncoder(codec, rate=15, bitrate=1_000_000), np.random.default_rng(1)
    sizes = []
    for number in range(90):
        picture = draw_pattern(number, 320, 240)
        picture[40:200, 40:280] = noise.integers(60, 190, (160, 240))
        frame = encoder.encode(picture, key=False, bitrate=1_000_000 if number < 45 else 250_000)
        sizes.append(0 if frame is None else len(frame.data))
    assert sum(sizes[65:]) < 0.6 * sum(sizes[20:45])


def test_in_packetization_mode_0_each_slice_fits_into_a_packet() -> None:
    encoder = VideoEncoder("H264", fmtp="packetization-mode=0", rate=15, bitrate=4_000_000)
    picture = np.random.default_rng(1).integers(16, 235, (360, 320)).astype(np.uint8)
    frame = encoder.encode(picture, key=True, bitrate=4_000_000)
    assert frame is not None
    payloads = H264Packetizer(mode=0).packetize(frame.data)
    assert len(payloads) > 10
    assert max(map(len, payloads)) <= LARGEST_PAYLOAD
    assert {unit[0] & 31 for unit in split_nal_units(frame.data)} >= {5, 7, 8}


@codecs
def test_hostile_frames_give_no_picture_or_any_but_never_raise(codec: str) -> None:
    encoder, decoder = VideoEncoder(codec, rate=15, bitrate=600_000), VideoDecoder(codec)
    good, chance = encoded(encoder, 0, key=True), random.Random(1)
    for _ in range(200):
        data = bytearray(good.data)
        for _ in range(5):
            data[chance.randrange(min(80, len(data)))] = chance.randrange(256)
        decoder.decode(EncodedFrame(bytes(data[: chance.randrange(1, len(data))]), True))
    assert decoder.failures > 0
    assert pattern_number(VideoDecoder(codec).decode(good)[0]) == 0


@codecs
def test_a_picture_too_small_for_any_shape_of_ours_is_a_failure_like_others(codec: str) -> None:
    encoder, decoder = VideoEncoder(codec, rate=15, bitrate=600_000), VideoDecoder(codec)
    tiny = encoder.encode(np.zeros((3, 2), dtype=np.uint8), key=True, bitrate=600_000)
    assert tiny is not None
    assert decoder.decode(tiny) == []
    assert decoder.failures == 1
    assert (
        len(
            VideoDecoder(codec).decode(
                encoded(VideoEncoder(codec, rate=15, bitrate=600_000), 0, key=True)
            )
        )
        == 1
    )


def test_another_codec_and_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="H265"):
        VideoEncoder("H265", rate=15, bitrate=1)
    with pytest.raises(ConfigurationError, match="3x2"):
        VideoEncoder("VP8", rate=15, bitrate=1).encode(
            np.zeros((3, 3), np.uint8), key=False, bitrate=1
        )
