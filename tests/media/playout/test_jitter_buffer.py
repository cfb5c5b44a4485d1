"""Jitter buffers on traces: what is heard, what is concealed, how long it waits."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media.playout import FrameStatus, JitterBufferBank
from softphone.media.playout.jitter_buffer import JitterBufferConfig
from softphone.media.playout.target_delay import REFRESH
from tests.support.trace import (
    FRAME,
    Sent,
    arrivals,
    delayed,
    frames_of,
    opened,
    play,
    sound_of,
    talk,
)

COUNT = 500
SECONDS = COUNT * FRAME


def in_order(marks: list[int]) -> bool:
    """Whether marks (the lower eight bits of sequence numbers) only go forward."""
    return all(1 <= (after - before) & 0xFF < 128 for before, after in pairwise(marks))


def test_a_perfect_stream_is_played_whole_with_one_to_two_frames_of_delay() -> None:
    played = play(talk(COUNT), SECONDS + 0.1)
    assert played.heard == [number & 0xFF for number in range(COUNT)]
    assert played.count("concealed") == 0
    assert played.count("inserted") == played.count("dropped") == 0
    assert all(0.02 <= delay <= 0.04 for delay in played.delays[5:COUNT])


@pytest.mark.parametrize("phase", [0.0, 0.001, 0.0101, 0.0199])
def test_the_phase_of_our_clock_against_theirs_does_not_matter(phase: float) -> None:
    played = play(talk(200), 4.1, phase=phase)
    assert played.count("played") == 200
    assert played.count("concealed") == played.count("inserted") == 0
    assert 0.0199 <= played.delays[100] <= 0.0401


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_exactly_what_is_lost_is_concealed(share: float) -> None:
    generator = np.random.default_rng(5)
    kept = [packet for packet in talk(COUNT) if generator.random() >= share]
    played = play(kept, SECONDS)
    assert played.count("played") == len(kept) - (kept[-1].sequence == COUNT - 1)
    assert abs(played.count("concealed") - (COUNT - len(kept))) <= 2
    assert played.count("late") == 0
    assert in_order(played.heard)
    assert max(played.delays) <= 0.04


def test_the_delay_grows_to_meet_jitter_and_stays_within_its_bound() -> None:
    generator = np.random.default_rng(6)
    packets = delayed(talk(COUNT), list(generator.uniform(0.0, 0.06, COUNT)))
    played = play(packets, SECONDS)
    assert played.count("concealed") + played.count("late") <= 0.02 * COUNT
    assert in_order(played.heard)
    settled = played.delays[100:]
    assert min(settled) >= 0.05
    assert max(settled) <= 0.06 + 1.5 * FRAME + 0.005


def test_rare_long_delays_are_not_waited_for() -> None:
    generator = np.random.default_rng(7)
    spikes = np.where(generator.random(COUNT) < 0.01, 0.15, 0.0)
    played = play(delayed(talk(COUNT), list(spikes)), SECONDS)
    assert np.median(played.delays) <= 0.02 + 1.5 * FRAME
    assert played.count("late") + played.count("concealed") <= 0.03 * COUNT


def test_the_delay_shrinks_when_the_jitter_is_over() -> None:
    generator = np.random.default_rng(8)
    count = 1000
    jitter = np.where(np.arange(count) < 300, generator.uniform(0.0, 0.1, count), 0.0)
    played = play(delayed(talk(count), list(jitter)), count * FRAME)
    assert played.delays[290] >= 0.08
    assert played.delays[-1] <= 0.05
    assert played.count("dropped") >= 2
    assert played.count("concealed") <= 10


def test_the_target_never_exceeds_the_maximum() -> None:
    generator = np.random.default_rng(9)
    packets = delayed(talk(COUNT), list(generator.uniform(0.0, 0.5, COUNT)))
    played = play(packets, SECONDS, bank=opened(JitterBufferConfig(maximum_delay=0.1)))
    assert max(played.targets) == pytest.approx(0.1)
    assert max(played.delays[50:]) <= 0.1 + 2.5 * FRAME
    assert played.count("late") > 0


def test_reordered_packets_are_played_in_order() -> None:
    generator = np.random.default_rng(10)
    swapped = np.where(generator.random(COUNT) < 0.2, 0.045, 0.0)
    played = play(delayed(talk(COUNT), list(swapped)), SECONDS + 0.2)
    assert in_order(played.heard)
    assert played.count("concealed") <= 8
    assert played.count("played") >= COUNT - 12


def test_duplicates_are_counted_and_change_nothing() -> None:
    packets = talk(COUNT)
    again = [replace(packet, arrival=packet.arrival + 0.005) for packet in packets]
    later = [replace(packet, arrival=packet.arrival + 0.3) for packet in packets[:400]]
    played = play(packets + again + later, SECONDS + 0.1)
    assert played.heard == [number & 0xFF for number in range(COUNT)]
    assert played.count("duplicates") == COUNT + 400
    assert max(played.delays[: COUNT - 1]) <= 0.04


@pytest.mark.parametrize("drift", [400e-6, -400e-6])
def test_the_drift_of_two_clocks_is_made_up_for_frame_by_frame(drift: float) -> None:
    count = 3000
    packets = delayed(talk(count), [FRAME * number * drift for number in range(count)])
    played = play(packets, count * FRAME)
    # 400 ppm of 60 s are 24 ms: a frame or two.
    moved = played.count("inserted") if drift > 0 else played.count("dropped")
    assert 1 <= moved <= 2
    assert played.count("concealed") <= 1
    assert in_order(played.heard)
    assert min(played.delays[10:]) >= 0.010
    assert max(played.delays) <= 0.055


def test_sequence_and_timestamp_wrap() -> None:
    played = play(talk(400, sequence=65_400, timestamp=(1 << 32) - 160 * 50), 8.1)
    assert played.count("played") == 400
    assert played.count("concealed") == 0
    assert played.count("resynchronized") == 0


def test_another_ssrc_takes_over_with_its_second_packet() -> None:
    first = talk(100)
    second = talk(100, start=2.0, sequence=40_000, timestamp=123_456, ssrc=8)
    played = play(first + second, 4.1)
    assert played.count("resynchronized") == 1
    assert played.count("played") == 199
    assert int(played.bank.ssrc[0]) == 8
    assert played.longest_gap() <= 3


def test_a_stray_ssrc_disturbs_nothing() -> None:
    strays = [Sent(FRAME * k + 0.001, 3 * k, 99 * k, 0xEE, ssrc=1000 + k % 5) for k in range(COUNT)]
    played = play(talk(COUNT) + strays, SECONDS + 0.1)
    assert played.heard == [number & 0xFF for number in range(COUNT)]
    assert played.count("resynchronized") == 0


def test_two_sources_at_once_do_not_chase_each_other() -> None:
    other = talk(COUNT, start=0.003, sequence=30_000, timestamp=5_000, ssrc=9)
    played = play(talk(COUNT) + other, SECONDS + 0.1)
    assert played.count("resynchronized") == 0
    assert played.heard == [number & 0xFF for number in range(COUNT)]


@pytest.mark.parametrize("jump", [1 << 24, -(1 << 24), 1 << 31])
def test_a_timestamp_that_jumps_is_followed(jump: int) -> None:
    packets = talk(100) + [
        replace(packet, timestamp=packet.timestamp + 16_000 + jump)
        for packet in talk(100, start=2.0, sequence=100)
    ]
    played = play(packets, 4.1)
    assert played.count("resynchronized") == 1
    assert played.count("played") >= 198
    assert played.longest_gap() <= 3


def spurts(*, clock_runs: bool) -> list[Sent]:
    """A second of talk, a second of silence, and so on; the RTP clock may stand still between."""
    packets: list[Sent] = []
    for tick in range(COUNT):
        if (tick // 50) % 2 == 0:
            number = len(packets)
            timestamp = 160 * (tick if clock_runs else number)
            packets.append(Sent(FRAME * tick, number, timestamp, number & 0xFF))
    return packets


@pytest.mark.parametrize("clock_runs", [True, False])
def test_a_pause_between_talk_spurts_is_no_loss(clock_runs: bool) -> None:
    packets = spurts(clock_runs=clock_runs)
    played = play(packets, SECONDS + 0.1)
    assert played.heard == [number & 0xFF for number in range(len(packets))]
    assert played.count("concealed") == 0
    assert played.count("late") == 0
    assert max(played.targets) <= 0.04


def test_a_pause_off_the_grid_of_frames_is_no_loss() -> None:
    packets = talk(50) + [
        replace(packet, timestamp=packet.timestamp + 8000 + 37, arrival=packet.arrival + 0.0046)
        for packet in talk(50, start=2.0, sequence=50)
    ]
    played = play(packets, 3.2)
    assert played.heard == list(range(100))
    assert played.count("concealed") == 0


def test_packets_that_are_not_sound_are_no_loss_either() -> None:
    packets = talk(40)
    packets += [Sent(0.8 + FRAME * k, 40 + k, 160 * 40, size=0) for k in range(90)]
    packets += [
        replace(packet, timestamp=packet.timestamp + 160 * 130)
        for packet in talk(40, start=2.6, sequence=130)
    ]
    played = play(packets, 3.6)
    assert played.count("played") == 80
    assert played.count("concealed") == 0
    assert played.count("resynchronized") == 0


def test_sound_stops_after_a_long_silence_and_is_not_concealed_for_ever() -> None:
    played = play(talk(50), 5.0)
    assert FrameStatus.CONCEALED not in played.status[60:]
    assert played.status[60:] == [FrameStatus.SILENT] * len(played.status[60:])


def test_a_burst_after_an_outage_is_cut_down_to_the_target() -> None:
    packets = talk(50) + [
        replace(packet, arrival=max(packet.arrival, 1.6))
        for packet in talk(450, start=1.0, sequence=50)
    ]
    packets = [
        replace(packet, timestamp=160 * packet.sequence, mark=packet.sequence & 0xFF)
        for packet in packets
    ]
    played = play(packets, 10.2)
    assert in_order(played.heard)
    assert max(played.delays[90:]) <= 0.3
    assert played.delays[-20] <= 0.1


def test_the_delay_is_moved_in_quiet_moments() -> None:
    def dropped_at(energy: float) -> list[int]:
        bank = opened()
        generator = np.random.default_rng(8)
        jitter = np.where(np.arange(900) < 200, generator.uniform(0.0, 0.08, 900), 0.0)
        moved, before = [], 0
        for tick, _ in frames_of(bank, delayed(talk(900), list(jitter)), 18.0):
            loud = energy if tick % 20 else 0.0
            bank.observe_energy(np.array([0], dtype=np.int32), np.array([loud], dtype=np.float32))
            if int(bank.dropped[0]) > before:
                before = int(bank.dropped[0])
                moved.append(tick)
        return moved

    assert any(tick % 20 != 1 for tick in dropped_at(0.0))
    loud = dropped_at(1e6)
    assert loud
    assert all(tick % 20 == 1 for tick in loud)


@pytest.mark.parametrize(("ptime", "seconds"), [(10, 0.01), (30, 0.03), (40, 0.04), (60, 0.06)])
def test_packets_of_another_ptime_are_cut_into_frames(ptime: int, seconds: float) -> None:
    size = 8 * ptime
    packets = [
        Sent(seconds * (k + 1), k, size * k, k & 0xFF, size=size) for k in range(int(6 / seconds))
    ]
    bank = opened()
    heard = [sound_of(bank, frames) for _, frames in frames_of(bank, packets, 6.0)]
    sound = np.concatenate(heard)
    expected = np.repeat(np.arange(len(packets)) & 0xFF, size)
    assert np.array_equal(sound, expected[: sound.size])
    assert sound.size >= 160 * 285
    assert int(bank.concealed[0]) <= ptime // 10


def test_a_hole_in_cut_frames_is_silence() -> None:
    bank = opened()
    packets = [Sent(0.0, 0, 0, 5, size=240), Sent(0.06, 2, 480, 5, size=240)]
    seen = [sound_of(bank, frames).tolist() for _, frames in frames_of(bank, packets, 0.2)]
    assert [5] * 160 in seen
    assert [5] * 80 + [0xFF] * 80 in seen
    assert sum(sound.count(5) for sound in seen) == 480


def test_packets_that_cannot_be_cut_keep_their_own_lengths() -> None:
    bank = JitterBufferBank(1)
    bank.open_row(0, clock_rate_hz=48_000, frame_ticks=960, octets_per_tick=0)
    lengths = [80, 3, 120, 200, 1]
    packets = [Sent(FRAME * k, k, 960 * k, 1, size=size) for k, size in enumerate(lengths)]
    found = [
        int(frames.length[0])
        for _, frames in frames_of(bank, packets, 0.3)
        if frames.status[0] == FrameStatus.PLAYED
    ]
    assert found == lengths


def test_the_payload_type_comes_out_with_the_frame() -> None:
    bank = opened()
    packets = [replace(packet, payload_type=packet.sequence % 3) for packet in talk(9)]
    found = [
        int(frames.payload_type[0])
        for _, frames in frames_of(bank, packets, 0.3)
        if frames.status[0] == FrameStatus.PLAYED
    ]
    assert found == [0, 1, 2] * 3


def test_a_share_of_packets_that_comes_late_by_a_little_more_is_waited_for() -> None:
    generator = np.random.default_rng(5)
    late = [0.044 if drawn < 0.05 else 0.0 for drawn in generator.random(3000)]
    played = play(delayed(talk(3000), late), 60.0, phase=0.011)
    assert played.count("late") < 40
    assert float(np.mean(played.delays[500:])) < 0.07


def test_rows_do_not_touch_one_another() -> None:
    generator = np.random.default_rng(11)
    traces = [
        [
            packet
            for packet in sorted(delayed(talk(300, sequence=1000 * row, ssrc=row), list(
                generator.uniform(0.0, 0.01 * row, 300))))
            if generator.random() > 0.02 * row
        ]
        for row in range(8)
    ]  # fmt: skip
    alone = [play(trace, 6.2) for trace in traces]
    # Rows a multiple of REFRESH apart compute their targets at the same packets.
    places = np.arange(8, dtype=np.int32) * REFRESH
    bank = opened(rows=8 * REFRESH)
    merged = sorted((packet, row) for row, trace in enumerate(traces) for packet in trace)
    done = 0
    for tick in range(310):
        now = tick * FRAME + 0.0075
        until = done
        while until < len(merged) and merged[until][0].arrival <= now:
            until += 1
        batch = merged[done:until]
        done = until
        rows = [int(places[row]) for _, row in batch]
        bank.insert_packets(arrivals(rows, [packet for packet, _ in batch]))
        frames = bank.next_frames(places, now=now)
        for row in range(8):
            assert frames.status[row] == alone[row].status[tick], (row, tick)
    for name in ("played", "concealed", "late", "duplicates", "inserted", "dropped"):
        counted = getattr(bank, name)[places].tolist()
        assert counted == [played.count(name) for played in alone], name


def test_hostile_packets_never_raise_and_the_stream_recovers() -> None:
    generator = np.random.default_rng(12)
    bank = opened()
    for tick in range(500):
        packets = [
            Sent(tick * FRAME, int(generator.integers(1 << 16)), int(generator.integers(1 << 32)),
                 ssrc=int(generator.integers(3)), size=int(generator.integers(0, 1460)))
            for _ in range(int(generator.integers(6)))
        ]  # fmt: skip
        bank.insert_packets(arrivals(0, packets))
        bank.next_frames(slice(0, 1), now=tick * FRAME)
    before = int(bank.played[0])
    for packet in talk(200, start=10.0, sequence=500, ssrc=77):
        bank.insert_packets(arrivals(0, [packet]))
        bank.next_frames(slice(0, 1), now=packet.arrival + 0.005)
    assert int(bank.played[0]) - before >= 190


def test_an_empty_batch_is_nothing() -> None:
    bank = opened()
    bank.insert_packets(arrivals(0, []))
    frames = bank.next_frames(slice(0, 1), now=0.0)
    assert frames.status.tolist() == [FrameStatus.SILENT]


def test_a_closed_row_ignores_packets_and_an_opened_one_starts_afresh() -> None:
    bank = opened()
    bank.insert_packets(arrivals(0, talk(10)))
    bank.next_frames(slice(0, 1), now=0.2)
    bank.close_row(0)
    bank.insert_packets(arrivals(0, talk(10)))
    assert bank.next_frames(slice(0, 1), now=0.25).status.tolist() == [FrameStatus.SILENT]
    bank.open_row(0, clock_rate_hz=8000, frame_ticks=160, octets_per_tick=1)
    assert int(bank.played[0]) == int(bank.dropped[0]) == int(bank.resynchronized[0]) == 0
    played = play(talk(100, sequence=9), 2.1, bank=bank)
    assert played.count("played") == 100


@pytest.mark.parametrize(
    ("clock_rate_hz", "frame_ticks", "octets_per_tick", "reason"),
    [(8000, 480, 1, "does not fit"), (0, 160, 1, "positive"), (8000, 0, 1, "positive"),
     (8000, 20, 1, "maximum delay")],
)  # fmt: skip
def test_a_frame_that_no_ring_holds_is_refused(
    clock_rate_hz: int, frame_ticks: int, octets_per_tick: int, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        JitterBufferBank(1).open_row(
            0,
            clock_rate_hz=clock_rate_hz,
            frame_ticks=frame_ticks,
            octets_per_tick=octets_per_tick,
        )


def test_a_frame_after_skipped_ones_says_that_it_is_spliced() -> None:
    generator = np.random.default_rng(8)
    jitter = np.where(np.arange(900) < 200, generator.uniform(0.0, 0.08, 900), 0.0)
    bank = opened()
    spliced = [
        bool(frames.spliced[0])
        for _, frames in frames_of(bank, delayed(talk(900), list(jitter)), 18.0)
    ]
    assert 1 <= sum(spliced) <= int(bank.dropped[0])
    assert not any(spliced[:100])
