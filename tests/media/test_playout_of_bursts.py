"""Jitter buffers of far ends that hold packets back and send them all at once, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from softphone.media.playout import FrameStatus, JitterBufferConfig
from tests.support.trace import FRAME, Played, Sent, delayed, play, talk

MAXIMUM = JitterBufferConfig().maximum_delay


def held(packets: Sequence[Sent], size: int, *, spread: float = 0.0) -> list[Sent]:
    """The packets, `size` of them at once when the last of those is there and up to 10 ms later,
    each `spread` seconds after the other."""
    generator = np.random.default_rng(size)
    sent = []
    for first in range(0, len(packets), size):
        together = packets[first : first + size]
        when = together[-1].arrival + generator.uniform(0.0, 0.01)
        for nth, packet in enumerate(together):
            sent.append(replace(packet, arrival=when + nth * spread))
    return sent


def calls(*parts: tuple[int, int], spread: float = 0.0) -> list[Sent]:
    """A call of parts of so many packets, so many of which come at once."""
    packets = talk(sum(count for count, _ in parts))
    sent, begin = [], 0
    for count, size in parts:
        sent += held(packets[begin : begin + count], size, spread=spread)
        begin += count
    return sent


def share(played: Played, begin: float, end: float, status: FrameStatus) -> float:
    """The share of frames of that status from `begin` to `end` seconds."""
    chosen = played.status[round(begin / FRAME) : round(end / FRAME)]
    return chosen.count(status) / len(chosen)


@pytest.mark.parametrize("spread", [0.0, 0.002])
@pytest.mark.parametrize("size", [3, 5, 8, 10])
@pytest.mark.parametrize("phase", [0.0, 0.0125])
def test_bursts_that_the_longest_delay_holds_are_played_whole(
    size: int, spread: float, phase: float
) -> None:
    played = play(calls((300, size), spread=spread), 5.5, phase=phase)
    assert share(played, 0.0, 1.5, FrameStatus.PLAYED) >= 0.7
    assert share(played, 1.5, 5.5, FrameStatus.PLAYED) >= 0.99
    assert played.count("concealed") <= size
    assert max(played.delays[75:]) <= min((size + 1) * FRAME, MAXIMUM + FRAME) + 0.01
    assert played.count("resynchronized") <= 2


@pytest.mark.parametrize(("size", "least"), [(15, 0.7), (25, 0.4)])
def test_of_longer_bursts_what_the_longest_delay_holds_is_played(size: int, least: float) -> None:
    played = play(calls((400, size)), 7.4)
    assert share(played, 1.5, 7.4, FrameStatus.PLAYED) >= least
    assert max(played.delays[75:]) <= MAXIMUM + 2.5 * FRAME


@pytest.mark.parametrize("size", [5, 10])
def test_the_delay_grows_within_a_few_bursts_and_shrinks_when_they_are_over(size: int) -> None:
    played = play(calls((400, 1), (300, size), (850, 1)), 30.8)
    assert max(played.delays[10:400]) <= 0.05
    # A second after they begin, when five of ten packets have come, nearly all is heard.
    assert share(played, 9.0, 14.0, FrameStatus.PLAYED) >= 0.97
    assert share(played, 14.5, 30.8, FrameStatus.PLAYED) >= 0.99
    assert played.targets[-1] == FRAME
    assert played.delays[-1] <= 0.05


def test_of_bursts_what_is_lost_is_concealed_and_nothing_else() -> None:
    kept = np.random.default_rng(3).random(500) >= 0.05
    sent = calls((500, 10))
    played = play([packet for packet, here in zip(sent, kept, strict=True) if here], 9.7)
    assert share(played, 1.5, 9.7, FrameStatus.PLAYED) >= 0.98 * kept.mean()
    assert played.count("concealed") == pytest.approx(np.count_nonzero(~kept), abs=15)


def spurts(*, clock_runs: bool, late: float) -> list[Sent]:
    """Ten talk spurts of a second and the pauses between them, whose packets are up to 3 ms late,
    the first of each by `late`; the RTP clock may stand still in a pause."""
    generator = np.random.default_rng(4)
    sent: list[Sent] = []
    for tick in range(1000):
        if tick % 100 < 50:
            number = len(sent)
            delay = generator.uniform(0.0, 0.003) + (late if tick % 100 == 0 else 0.0)
            timestamp = 160 * (tick if clock_runs else number)
            sent.append(Sent(FRAME * tick + delay, number, timestamp, number & 0xFF))
    return sent


@pytest.mark.parametrize("clock_runs", [True, False])
@pytest.mark.parametrize("late", [0.0, 0.015])
def test_a_talk_spurt_begins_with_the_least_delay(clock_runs: bool, late: float) -> None:
    played = play(spurts(clock_runs=clock_runs, late=late), 20.0)
    assert played.count("played") >= 490
    assert played.count("concealed") == 0
    assert max(played.targets) <= FRAME + 0.005
    assert max(played.delays) <= 0.045


@pytest.mark.parametrize("waiting", [5, 10, 20])
def test_what_has_waited_for_a_call_to_be_opened_says_nothing_of_the_network(waiting: int) -> None:
    played = play(calls((waiting, waiting), (200, 1)), 4.0)
    assert played.targets[-1] == FRAME
    assert max(played.targets[waiting + 1 :]) <= FRAME + 0.005
    assert max(played.delays[waiting + 1 :]) <= 0.045


def test_one_outage_is_forgotten_within_seconds() -> None:
    packets = talk(900)
    packets[500:530] = held(packets[500:530], 30)
    played = play(packets, 17.9)
    assert max(played.targets) <= MAXIMUM
    assert max(played.delays[850:]) <= 0.05


def test_one_packet_after_a_pause_that_was_late_is_one_late_packet() -> None:
    # Each of the others is a little quicker than all before it.
    quick = np.linspace(0.002, 0.0, 150)
    quick[0] = 0.09
    after = talk(150, start=3.0, sequence=100, timestamp=160 * 100)
    played = play(talk(100) + delayed(after, list(quick)), 5.9)
    assert played.count("resynchronized") == 1
    assert max(played.targets) <= FRAME + 0.005
