from __future__ import annotations

import numpy as np

from softphone.media.frame import FrameStatus
from softphone.media.voice import LONGEST_PAUSE, Voice
from softphone_codecs.opus import OPUS, OpusCodec, OpusSettings
from softphone_codecs.stateful import PayloadRefused
from tests.support.voice import voice as speech

PLAYED, CONCEALED, SILENT = FrameStatus.PLAYED, FrameStatus.CONCEALED, FrameStatus.SILENT


class Counting:
    """A decoder of one octet a frame, which it counts up from."""

    def __init__(self) -> None:
        self.concealed: list[bytes | None] = []

    def decode(self, data: bytes) -> np.ndarray:
        if data[0] == 255:
            raise PayloadRefused("no")
        return np.full(len(data) * 4, data[0], dtype=np.int16)

    def conceal(self, samples: int, following: bytes | None = None) -> np.ndarray:
        self.concealed.append(following)
        return np.full(samples, -1, dtype=np.int16)


def test_a_packet_of_several_frames_is_played_frame_by_frame():
    voice = Voice(Counting(), conceals=True)
    first = voice.play(PLAYED, b"\x05\x05\x05", 4)
    rest = [voice.play(CONCEALED, b"", 4) for _ in range(2)]
    assert [frame.pcm.tolist() for frame in (first, *rest)] == [[5] * 4] * 3
    assert voice.play(CONCEALED, b"", 4).pcm.tolist() == [-1] * 4


def test_a_packet_that_comes_before_the_last_one_is_over_is_spliced():
    voice = Voice(Counting(), conceals=True)
    voice.play(PLAYED, b"\x05\x05", 4)
    frame = voice.play(PLAYED, b"\x06", 4)
    assert frame.spliced
    assert frame.pcm.tolist() == [6] * 4
    assert voice.play(CONCEALED, b"", 4).pcm.tolist() == [-1] * 4


def test_a_short_packet_is_made_up_to_a_frame():
    voice = Voice(Counting(), conceals=True)
    assert voice.play(PLAYED, b"\x05", 6).pcm.tolist() == [5] * 4 + [-1] * 2


def test_a_refused_payload_is_counted_and_concealed():
    voice = Voice(Counting(), conceals=True)
    voice.play(PLAYED, b"\x05", 4)
    assert voice.play(PLAYED, b"\xff", 4).pcm.tolist() == [-1] * 4
    assert voice.refused == 1
    assert voice.decoder.concealed == [None]


def test_a_pause_is_filled_for_a_while_and_only_after_sound():
    voice = Voice(Counting(), conceals=True)
    assert voice.play(SILENT, b"", 4).pcm is None
    voice.play(PLAYED, b"\x05", 4)
    filled = [voice.play(SILENT, b"", 4).pcm is not None for _ in range(LONGEST_PAUSE + 5)]
    assert sum(filled) == LONGEST_PAUSE
    assert not filled[-1]


def test_a_decoder_that_cannot_conceal_leaves_it_to_others():
    voice = Voice(Counting(), conceals=False)
    voice.play(PLAYED, b"\x05", 4)
    assert voice.play(CONCEALED, b"\x06", 4).pcm is None


def test_opus_recovers_a_lost_packet_from_the_one_behind_it():
    codec = OpusCodec(OpusSettings(bitrate=24000, expected_loss=30, dtx=False))
    pcm = speech(3 * 48000)
    encoder = codec.encoder("useinbandfec=1")
    packets = [encoder.encode(pcm[at : at + 960]) for at in range(0, pcm.size - 959, 960)]
    whole = np.concatenate([_feed(packets, lost=set(), recover=False)])
    lost = set(range(20, len(packets) - 1, 5))
    recovered, guessed = (_feed(packets, lost=lost, recover=r) for r in (True, False))
    at = np.concatenate([np.arange(960 * n, 960 * (n + 1)) for n in sorted(lost)])
    assert _error(recovered[at], whole[at]) < 0.6 * _error(guessed[at], whole[at])


def _feed(packets, *, lost, recover):
    voice = Voice(OPUS.decoder(), conceals=True)
    frames = []
    for number, packet in enumerate(packets):
        if number in lost:
            behind = packets[number + 1] if recover else b""
            frames.append(voice.play(CONCEALED, behind, 960).pcm)
        else:
            frames.append(voice.play(PLAYED, packet, 960).pcm)
    return np.concatenate(frames).astype(float)


def _error(one, other):
    return float(np.sqrt(np.mean((one - other) ** 2)))
