"""Jitter buffers of far ends that serve their calls by turns: what they owe comes all at once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from softphone.media.playout import PLAYED, JitterBufferBank, target_delay
from softphone.media.playout.batch_rounds import MOST_ROUNDS
from softphone.media.playout.jitter_buffer import JitterBufferConfig
from tests.support.trace import FRAME, Sent, arrivals, opened, sound_of, talk


def stalling(generator: np.random.Generator, rows: int, ticks: int) -> list[list[tuple[int, Sent]]]:
    """By frame, what comes of rows whose far ends stand still for up to 45 frames now and then."""
    frames: list[list[tuple[int, Sent]]] = [[] for _ in range(ticks)]
    for row in range(rows):
        again = 0
        held: list[Sent] = []
        for tick, packet in enumerate(talk(ticks, sequence=65_500, ssrc=row + 1)):
            fate = generator.random()
            held += [packet] * (0 if fate < 0.05 else 2 if fate > 0.95 else 1)
            if 0.5 < fate < 0.55:
                held[-1:] = [replace(one, size=0) for one in held[-1:]]
            if tick >= again:
                frames[tick] += [(row, replace(one, arrival=tick * FRAME)) for one in held]
                held = []
                if generator.random() < 0.1:
                    again = tick + int(generator.integers(2, 45))
    return frames


@pytest.mark.parametrize("seed", range(8))
def test_a_backlog_is_played_as_if_its_packets_had_come_one_by_one(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    # The target of a run is computed at its end; so compute those of single packets at each.
    monkeypatch.setattr(target_delay, "REFRESH", 1)
    together, single = opened(rows=3), opened(rows=3)
    for tick, came in enumerate(stalling(np.random.default_rng(seed), 3, 250)):
        rows, packets = [row for row, _ in came], [packet for _, packet in came]
        together.insert_packets(arrivals(rows, packets))
        for row, packet in came:
            single.insert_packets(arrivals([row], [packet]))
        now = tick * FRAME + 0.005
        one, other = (bank.next_frames(slice(0, 3), now=now) for bank in (together, single))
        assert one.status.tolist() == other.status.tolist(), tick
        heard = np.flatnonzero(one.status == PLAYED)
        marks = [bank.payload(heard, found.slot[heard], 1).tolist()
                 for bank, found in ((together, one), (single, other))]  # fmt: skip
        assert marks[0] == marks[1], tick
    for name in ("played", "concealed", "duplicates", "resynchronized", "inserted"):
        assert getattr(together, name).tolist() == getattr(single, name).tolist(), name


@pytest.mark.parametrize("depth", [6, 20, 40])
@pytest.mark.parametrize("shuffled", [False, True])
def test_however_deep_a_backlog_is_it_is_judged_twice(
    monkeypatch: pytest.MonkeyPatch, depth: int, shuffled: bool
) -> None:
    bank = opened(rows=40)
    for row in range(40):
        bank.insert_packets(arrivals(row, talk(2)))
    bank.next_frames(slice(0, 40), now=0.02)
    judged: list[str] = []
    for name in ("judge_packets", "judge_runs"):
        judge = getattr(bank._line, name)

        def noted(*given: Any, name: str = name, judge: Any = judge, **more: Any) -> Any:
            judged.append(name)
            return judge(*given, **more)

        monkeypatch.setattr(bank._line, name, noted)
    backlog = [
        (row, replace(packet, arrival=0.02 * depth))
        for row in (3, 17, 30)
        for packet in talk(depth + 2)[2:]
    ]
    if shuffled:
        # Within the window in which order is known at all.
        near = np.random.default_rng(1).uniform(0.0, 30.0, len(backlog))
        order = np.argsort(np.arange(len(backlog)) + near)
        backlog = [backlog[at] for at in order.tolist()]
    bank.insert_packets(arrivals([row for row, _ in backlog], [packet for _, packet in backlog]))
    assert judged == ["judge_packets", "judge_runs"]
    assert not bank.late.any()
    assert not bank.resynchronized.any()


def test_a_backlog_deeper_than_the_ring_leaves_the_newest_in_it() -> None:
    bank = opened()
    bank.insert_packets(arrivals(0, talk(2)))
    bank.insert_packets(arrivals(0, [replace(packet, arrival=2.0) for packet in talk(100)[2:]]))
    heard = [
        sound_of(bank, bank.next_frames(slice(0, 1), now=2.0 + FRAME * tick)) for tick in range(12)
    ]
    marks = [int(sound[0]) for sound in heard if sound.size]
    assert marks[-1] == 99
    assert all(before < after for before, after in pairwise(marks))


def test_a_source_that_changes_with_every_packet_costs_a_bounded_number_of_rounds() -> None:
    bank = opened()
    bank.insert_packets(arrivals(0, talk(2)))
    hostile = [replace(packet, ssrc=100 + at) for at, packet in enumerate(talk(64)[2:])]
    bank.insert_packets(arrivals(0, hostile))
    assert bank.late[0] == len(hostile) - MOST_ROUNDS
    assert bank.ssrc[0] == 7


@pytest.mark.parametrize("again", [False, True])
def test_digits_or_repeats_before_the_sound_of_a_backlog_cost_none_of_it(again: bool) -> None:
    """The row is in a pause, in which each of them would be judged for itself."""
    bank = opened()
    for packet in talk(50):
        bank.insert_packets(arrivals(0, [packet]))
        bank.next_frames(slice(0, 1), now=packet.arrival + 0.005)
    for tick in range(50, 60):
        bank.next_frames(slice(0, 1), now=tick * FRAME + 0.005)
    # Where it begins: at what is sent once more, the last 30 of the 50; or a digit of 30 packets.
    first = [replace(packet, arrival=1.2) for packet in (talk(50)[20:] if again else ())]
    first += [Sent(1.2, 50 + k, 160 * 50, size=0) for k in range(0 if again else 30)]
    sequence = 50 if again else 80
    sound = talk(20, sequence=sequence, timestamp=160 * 60)
    sound = [replace(packet, arrival=1.2) for packet in sound]
    bank.insert_packets(arrivals(0, [*first, *sound]))
    assert not bank.late.any()
    assert bank.duplicates[0] == (30 if again else 0)
    heard = [
        sound_of(bank, bank.next_frames(slice(0, 1), now=1.205 + FRAME * tick))
        for tick in range(25)
    ]
    marks = [int(each[0]) for each in heard if each.size]
    assert marks[-1] == sequence + 19
    assert len(marks) >= 20 - bank.dropped[0]


def test_packets_shorter_than_a_frame_have_no_hole_after_a_pause() -> None:
    """The row starts anew where the first of them is, and the others are whole frames with it."""
    bank = opened()
    for packet in talk(50):
        bank.insert_packets(arrivals(0, [packet]))
        bank.next_frames(slice(0, 1), now=packet.arrival + 0.005)
    for tick in range(50, 55):
        bank.next_frames(slice(0, 1), now=tick * FRAME + 0.005)
    short = [Sent(1.09, 50 + k, 160 * 50 + 40 + 80 * k, mark=50 + k, size=80) for k in range(12)]
    bank.insert_packets(arrivals(0, short))
    sounds = [
        sound_of(bank, bank.next_frames(slice(0, 1), now=1.1 + FRAME * tick + 0.005))
        for tick in range(8)
    ]
    heard = np.concatenate(sounds)
    assert heard.size >= 2 * 160
    # The last frame may have but one of them.
    assert 0xFF not in heard[:-160]


def test_a_backlog_of_packets_that_share_a_frame_is_joined() -> None:
    def run(batch: int) -> list[tuple[bytes, ...]]:
        bank = JitterBufferBank(1, JitterBufferConfig(minimum_delay=0.16))
        bank.open_row(0, clock_rate_hz=8000, frame_ticks=160, octets_per_tick=0)
        sent = [Sent(0.02 * (k // 2), k, 80 * k, mark=k & 0xFF, size=30) for k in range(160)]
        found = []
        for tick in range(80):
            if tick % batch == batch - 1:
                came = [packet for packet in sent if packet.sequence // 2 // batch == tick // batch]
                came = [replace(packet, arrival=tick * FRAME) for packet in came]
                bank.insert_packets(arrivals(0, came))
            frames = bank.next_frames(slice(0, 1), now=tick * FRAME + 0.005)
            if frames.status[0] == PLAYED:
                found.append(tuple(bank.take_joined(0, int(frames.slot[0]))))
        return found

    one_by_one, together = run(1), run(5)
    assert len(together) >= 60
    assert all(len(frame) == 2 for frame in together)
    assert set(together) <= set(one_by_one) | {together[-1]}
