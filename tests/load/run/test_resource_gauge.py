"""The gauge gives differences: what was before the run is not counted."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.load.measure import RunSecond
from softphone.load.run.resource_gauge import ResourceGauge
from softphone.media.tick import LatenessHistogram


class Engine:
    """The counters of a media engine."""

    def __init__(self):
        self.lateness = LatenessHistogram()
        self.overflows = 3
        self.jumps = 2
        self.packets_skipped = 40


def test_it_counts_from_its_start_in_differences():
    engine, used, now = Engine(), [10.0], [100.0]
    engine.lateness.count_packets(1.0, 500)
    gauge = ResourceGauge(engine, processor=lambda: used[0], clock=lambda: now[0])
    used[0], now[0] = 10.5, 102.0
    engine.lateness.count_packets(2.0, 90)
    engine.lateness.count_packets(8.0, 10)
    engine.lateness.count_skipped(np.array([300.0]), np.array([1]))
    engine.overflows, engine.jumps, engine.packets_skipped = 8, 2, 41
    first, second = RunSecond(1.0), RunSecond(2.0)
    gauge.read_into(first)
    gauge.read_into(second)
    assert first.cpu == pytest.approx(0.25)
    assert first.tally.cpu_seconds == pytest.approx(0.5)
    assert (first.tally.overflows, first.tally.jumps, first.tally.late) == (5, 0, 11)
    assert (first.tally.due, first.tally.too_late, first.tally.skipped) == (101, 1, 1)
    assert first.tally.lateness_ms.total == 101
    assert first.tally.lateness_ms.maximum == 300.0
    assert first.tally.too_late_percent == pytest.approx(
        100 * first.tally.lateness_ms.share_above(20.0)
    )
    assert first.tally.lateness_ms.quantile(0.95) == pytest.approx(8.0)
    assert second.tally.lateness_ms.total == second.tally.overflows == 0


def test_media_in_a_process_of_its_own_counts_and_the_busier_one_is_told():
    engine, used, now = Engine(), [10.0], [100.0]
    engine.processor_seconds = 3.0
    gauge = ResourceGauge(engine, processor=lambda: used[0], clock=lambda: now[0])
    used[0], engine.processor_seconds, now[0] = 10.2, 3.9, 101.0
    second = RunSecond(1.0)
    gauge.read_into(second)
    assert second.cpu == pytest.approx(0.9)
    assert second.tally.cpu_seconds == pytest.approx(1.1)
