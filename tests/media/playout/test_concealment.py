"""What is heard of missing frames: no clicks, a fade, quiet noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from softphone.media.audio.tones import power_level
from softphone.media.playout import Concealment, FrameStatus, JitterBufferBank
from softphone.media.playout.concealment import LOUDEST_NOISE
from softphone.media.playout.frame import ReceivedPackets
from softphone_codecs import find_codec

SAMPLES = 160
ROW = np.array([0], dtype=np.int32)
TONE = (8000 * np.sin(2 * np.pi * 437 * np.arange(SAMPLES * 40) / 8000)).astype(np.int16)


def run(pattern: str, sound: NDArray[np.int16] = TONE) -> NDArray[np.int16]:
    """What comes of frames that are played (x), concealed (-) or silent (.)."""
    concealment = Concealment(1, SAMPLES)
    names = {"x": FrameStatus.PLAYED, "-": FrameStatus.CONCEALED, ".": FrameStatus.SILENT}
    out = []
    for at, kind in enumerate(pattern):
        pcm = sound[None, SAMPLES * at : SAMPLES * (at + 1)].copy()
        if kind != "x":
            pcm[:] = 30_000  # what stands there must not be heard
        concealment.apply(ROW, pcm, np.array([names[kind]], dtype=np.uint8))
        out.append(pcm[0])
    return np.concatenate(out)


def steepest(pcm: NDArray[np.int16]) -> int:
    return int(np.abs(np.diff(pcm.astype(np.int64))).max())


def test_what_is_played_is_not_touched() -> None:
    assert np.array_equal(run("x" * 10), TONE[: SAMPLES * 10])


@pytest.mark.parametrize("pattern", ["xxx-xxx", "xxx--xxx", "xxx-----xxx", "xxx-----.....xxx"])
def test_no_edge_of_a_gap_clicks(pattern: str) -> None:
    assert steepest(run(pattern)) <= 2 * steepest(TONE)


def test_one_missing_frame_is_nearly_as_loud_as_its_neighbors() -> None:
    out = run("xxx-xx")
    assert power_level(out[3 * SAMPLES : 4 * SAMPLES]) > power_level(TONE) - 3.0


def test_a_long_gap_fades_within_three_frames() -> None:
    out = run("xxx" + "-" * 5 + "." * 10)
    levels = [power_level(out[SAMPLES * at : SAMPLES * (at + 1)]) for at in range(18)]
    assert levels[3] > levels[4] > levels[5]
    assert all(level < -50.0 for level in levels[6:])


def test_the_noise_after_a_fade_is_no_louder_than_the_quietest_moments() -> None:
    generator = np.random.default_rng(1)
    hiss = (generator.standard_normal(SAMPLES * 60) * 10.0).astype(np.int16)
    out = run("x" * 40 + "." * 20, hiss)
    after = np.sqrt(np.mean(np.square(out[45 * SAMPLES :], dtype=np.float64)))
    assert 5.0 <= after <= LOUDEST_NOISE
    loud = run("x" * 20 + "." * 20, TONE)
    rest = np.sqrt(np.mean(np.square(loud[30 * SAMPLES :], dtype=np.float64)))
    assert rest <= LOUDEST_NOISE


def test_before_the_first_packet_there_is_digital_silence() -> None:
    assert not run(".....").any()


def test_the_energy_of_each_frame_is_told() -> None:
    concealment = Concealment(2, SAMPLES)
    pcm = np.array([[100] * SAMPLES, [-200] * SAMPLES], dtype=np.int16)
    energy = concealment.apply(
        np.array([0, 1], dtype=np.int32), pcm, np.full(2, FrameStatus.PLAYED, dtype=np.uint8)
    )
    assert energy.tolist() == [10_000.0, 40_000.0]


def test_rows_do_not_touch_one_another() -> None:
    concealment = Concealment(3, SAMPLES)
    rows = np.array([2, 0], dtype=np.int32)
    played = np.full(2, FrameStatus.PLAYED, dtype=np.uint8)
    concealment.apply(rows, np.stack([TONE[:SAMPLES], np.zeros(SAMPLES, dtype=np.int16)]), played)
    pcm = np.ones((2, SAMPLES), dtype=np.int16)
    concealment.apply(rows, pcm, np.array([FrameStatus.CONCEALED] * 2, dtype=np.uint8))
    assert power_level(pcm[0]) > -20.0
    assert not pcm[1].any()


def test_a_row_that_is_reset_remembers_nothing() -> None:
    concealment = Concealment(1, SAMPLES)
    concealment.apply(ROW, TONE[None, :SAMPLES].copy(), np.array([1], dtype=np.uint8))
    concealment.reset(0)
    pcm = np.ones((1, SAMPLES), dtype=np.int16)
    concealment.apply(ROW, pcm, np.array([FrameStatus.CONCEALED], dtype=np.uint8))
    assert not pcm.any()


def test_frames_shorter_than_the_memory_are_concealed_too() -> None:
    concealment = Concealment(1, 320)
    concealment.apply(ROW, TONE[None, :SAMPLES].copy(), np.array([1], dtype=np.uint8))
    pcm = np.zeros((1, SAMPLES), dtype=np.int16)
    concealment.apply(ROW, pcm, np.array([FrameStatus.CONCEALED], dtype=np.uint8))
    assert power_level(pcm[0]) > -20.0


def test_nothing_to_conceal_is_nothing() -> None:
    concealment = Concealment(1, SAMPLES)
    none = np.zeros(0, dtype=np.int32)
    energy = concealment.apply(
        none, np.zeros((0, SAMPLES), dtype=np.int16), np.zeros(0, dtype=np.uint8)
    )
    assert energy.size == 0


def test_a_splice_does_not_click() -> None:
    concealment = Concealment(1, SAMPLES)
    played = np.array([FrameStatus.PLAYED], dtype=np.uint8)
    first, second = TONE[None, :SAMPLES].copy(), -TONE[None, 333 : 333 + SAMPLES]
    concealment.apply(ROW, first, played)
    concealment.apply(ROW, second, played, np.array([True]))
    assert steepest(np.concatenate((first[0], second[0]))) <= 2 * steepest(TONE)


def test_a_source_that_changes_in_mid_tone_does_not_click() -> None:
    bank = JitterBufferBank(1)
    bank.open_row(0, clock_rate_hz=8000, frame_ticks=160, octets_per_tick=1, silence=0xFF)
    concealment = Concealment(1, SAMPLES)
    law = find_codec("PCMU")
    encoded, _ = law.encode(TONE.reshape(-1, SAMPLES))
    out = []
    for tick in range(40):
        changed = tick >= 20
        now = 0.02 * tick
        bank.insert_packets(
            ReceivedPackets(
                row=ROW,
                sequence=np.array([tick + 999 * changed], dtype=np.uint16),
                timestamp=np.array([160 * tick + 77_777 * changed], dtype=np.uint32),
                ssrc=np.array([1 + changed], dtype=np.uint32),
                payload_type=np.zeros(1, dtype=np.uint8),
                data=encoded[tick : tick + 1],
                offset=np.zeros(1, dtype=np.int32),
                length=np.full(1, SAMPLES, dtype=np.int32),
                arrival=np.array([now]),
            )
        )
        frames = bank.next_frames(ROW, now=now + 0.005)
        pcm = law.decode(bank.payload(ROW, frames.slot, SAMPLES), frames.length)
        concealment.apply(ROW, pcm, frames.status, frames.spliced)
        out.append(pcm[0])
    assert int(bank.resynchronized[0]) == 1
    sound = np.concatenate(out[4:])
    assert steepest(sound) <= 2 * steepest(TONE) + 512
    assert power_level(np.concatenate(out[30:])) == pytest.approx(power_level(TONE), abs=0.2)
