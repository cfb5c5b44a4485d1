from __future__ import annotations

import numpy as np
import pytest

from softphone.media.bank import StatefulDecoder
from softphone.media.bank.stateful_decoder import LONGEST_PAUSE
from softphone.media.bank.stream_bank import MOST_PAYLOAD
from softphone.media.playout import FrameStatus, JitterBufferBank, JitterBufferConfig
from softphone.media.playout.frame import ReceivedPackets
from softphone_codecs import PayloadRefused
from softphone_codecs.opus import OPUS, OpusCodec, OpusSettings
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
    voice = StatefulDecoder(Counting(), conceals=True)
    first = voice.next_frame(PLAYED, b"\x05\x05\x05", 4)
    rest = [voice.next_frame(CONCEALED, b"", 4) for _ in range(2)]
    assert [frame.pcm.tolist() for frame in (first, *rest)] == [[5] * 4] * 3
    assert voice.next_frame(CONCEALED, b"", 4).pcm.tolist() == [-1] * 4


def test_a_packet_that_comes_before_the_last_one_is_over_is_spliced():
    voice = StatefulDecoder(Counting(), conceals=True)
    voice.next_frame(PLAYED, b"\x05\x05", 4)
    frame = voice.next_frame(PLAYED, b"\x06", 4)
    assert frame.spliced
    assert frame.pcm.tolist() == [6] * 4
    assert voice.next_frame(CONCEALED, b"", 4).pcm.tolist() == [-1] * 4


def test_a_short_packet_is_made_up_to_a_frame():
    voice = StatefulDecoder(Counting(), conceals=True)
    assert voice.next_frame(PLAYED, b"\x05", 6).pcm.tolist() == [5] * 4 + [-1] * 2


def test_a_refused_payload_is_counted_and_concealed():
    voice = StatefulDecoder(Counting(), conceals=True)
    voice.next_frame(PLAYED, b"\x05", 4)
    assert voice.next_frame(PLAYED, b"\xff", 4).pcm.tolist() == [-1] * 4
    assert voice.refused == 1
    assert voice.decoder.concealed == [None]


def test_a_pause_is_filled_for_a_while_and_only_after_sound():
    voice = StatefulDecoder(Counting(), conceals=True)
    assert voice.next_frame(SILENT, b"", 4).pcm is None
    voice.next_frame(PLAYED, b"\x05", 4)
    filled = [voice.next_frame(SILENT, b"", 4).pcm is not None for _ in range(LONGEST_PAUSE + 5)]
    assert sum(filled) == LONGEST_PAUSE
    assert not filled[-1]


def test_a_decoder_that_cannot_conceal_leaves_it_to_others():
    voice = StatefulDecoder(Counting(), conceals=False)
    voice.next_frame(PLAYED, b"\x05", 4)
    assert voice.next_frame(CONCEALED, b"\x06", 4).pcm is None


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
    voice = StatefulDecoder(OPUS.decoder(), conceals=True)
    frames = []
    for number, packet in enumerate(packets):
        if number in lost:
            behind = packets[number + 1] if recover else b""
            frames.append(voice.next_frame(CONCEALED, behind, 960).pcm)
        else:
            frames.append(voice.next_frame(PLAYED, packet, 960).pcm)
    return np.concatenate(frames).astype(float)


def _error(one, other):
    return float(np.sqrt(np.mean((one - other) ** 2)))


def over_the_buffer(packets, samples_each):
    """What is played of Opus packets that come in time, each of so many samples at 48 kHz."""
    bank = JitterBufferBank(1, JitterBufferConfig(slot_octets=MOST_PAYLOAD))
    bank.open_row(0, clock_rate_hz=48000, frame_ticks=960, octets_per_tick=0)
    voice, row, heard = (
        StatefulDecoder(OPUS.decoder(), conceals=True),
        np.zeros(1, dtype=np.int32),
        [],
    )
    sent = [((at + 1) * samples_each / 48000, at) for at in range(len(packets))]
    for tick in range(len(packets) * samples_each // 960 + 8):
        now = 0.02 * tick + 0.011
        while sent and sent[0][0] <= now:
            arrival, at = sent.pop(0)
            bank.insert_packets(one_arrival(packets[at], at, samples_each * at, arrival))
        frames = bank.next_frames(row, now=now)
        slot, length = int(frames.slot[0]), int(frames.length[0])
        played = frames.status[0] == PLAYED
        several = bank.take_joined(0, slot) if played else []
        data = bank.payload(row, frames.slot, MOST_PAYLOAD)[0, :length].tobytes() if length else b""
        frame = voice.next_frame(int(frames.status[0]), data, 960, several=several)
        heard += [] if frame.pcm is None else [frame.pcm]
    assert int(bank.late[0]) == voice.refused == 0
    return np.concatenate(heard)


def one_arrival(packet, sequence, timestamp, arrival):
    return ReceivedPackets(
        row=np.zeros(1, dtype=np.int32),
        sequence=np.array([sequence], dtype=np.uint16),
        timestamp=np.array([timestamp], dtype=np.uint32),
        ssrc=np.array([7], dtype=np.uint32),
        payload_type=np.array([111], dtype=np.uint8),
        data=np.frombuffer(packet, dtype=np.uint8)[None, :],
        offset=np.zeros(1, dtype=np.int32),
        length=np.array([len(packet)], dtype=np.int32),
        arrival=np.array([arrival]),
    )


def coded(samples_each, count, *, bitrate=32000):
    encoder = OpusCodec(OpusSettings(bitrate=bitrate, dtx=False)).encoder("")
    sound = speech(samples_each * count)
    if bitrate > 100_000:
        sound = np.random.default_rng(3).normal(0, 6000, sound.size).astype(np.int16)
    pieces = [sound[samples_each * at : samples_each * (at + 1)] for at in range(count)]
    return [encoder.encode(piece) for piece in pieces]


def coded_size(size):
    """A frame's length (RFC 6716 section 3.2.1)."""
    first = size if size < 252 else 252 + (size & 3)
    return bytes([first] if size < 252 else [first, (size - first) // 4])


def packed(packets, count):
    """So many frames a packet, of any size (RFC 6716 section 3.2.5, code 3)."""
    for group in zip(*[iter(packets)] * count, strict=True):
        sizes = b"".join(coded_size(len(each) - 1) for each in group[:-1])
        head = bytes([group[0][0] | 3, 0x80 | count])
        yield head + sizes + b"".join(each[1:] for each in group)


def straight(packets):
    decoder = OPUS.decoder()
    return np.concatenate([decoder.decode(packet) for packet in packets])


def same(heard, wanted):
    """libopus rounds by where its memory lies: one step is no difference."""
    assert heard.size >= wanted.size
    assert np.abs(heard[: wanted.size].astype(int) - wanted).max() <= 2
    assert np.abs(wanted.astype(int)).max() > 2000


@pytest.mark.parametrize("milliseconds", [2.5, 5, 10, 20, 40, 60, 120])
def test_opus_packets_of_every_length_are_played_whole(milliseconds):
    samples_each = round(48 * milliseconds)
    if milliseconds == 120:
        packets = list(packed(coded(960, 60), 6))
    else:
        packets = coded(samples_each, round(1200 / milliseconds))
    same(over_the_buffer(packets, samples_each), straight(packets))


def test_opus_packets_that_begin_within_a_frame_are_played_whole():
    packets = list(packed(coded(480, 90), 3))
    heard, wanted = over_the_buffer(packets, 1440), straight(packets)
    # The delay grows once in the beginning, by what the first packet lacks to a second frame.
    assert np.corrcoef(heard[5280:40480], wanted[4800:40000])[0, 1] > 0.98


def test_opus_packets_of_the_greatest_frame_are_played():
    packets = coded(960, 40, bitrate=510_000)
    assert max(map(len, packets)) > 1200
    same(over_the_buffer(packets, 960), straight(packets))
