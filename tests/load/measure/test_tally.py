"""Tallies add up, seconds too, and both go through JSON."""

from __future__ import annotations

import json

import pytest

from softphone.load.measure import RunSecond, Tally


def busy():
    tally = Tally(attempted=3, answered=2, sent=100, received=98, lost=2, cpu_seconds=0.5)
    tally.failed["486 Busy Here"] += 1
    tally.suites["AEAD_AES_256_GCM"] += 2
    tally.setup_ms.record_value(12.0)
    tally.call_seconds = 250.0
    return tally


def test_sums_hold_counts_causes_and_histograms():
    total = busy()
    total.merge(busy())
    assert (total.attempted, total.answered, total.lost) == (6, 4, 4)
    assert total.failed == {"486 Busy Here": 2}
    assert total.setup_ms.total == 2
    assert total.loss_percent == pytest.approx(2.0)
    assert total.cpu_ms_per_call_second == pytest.approx(2.0)


def test_a_tally_goes_through_json():
    before = busy()
    assert (
        Tally.from_plain(json.loads(json.dumps(before.to_plain()))).to_plain() == before.to_plain()
    )


def test_nothing_counted_costs_nothing():
    assert Tally().loss_percent == 0.0
    assert Tally().cpu_ms_per_call_second == 0.0


def test_a_second_of_two_workers_has_the_calls_of_both_and_the_busiest_core():
    one = RunSecond(3.0, up=5, peak=6, tally=busy(), cpu=0.4)
    other = RunSecond(3.0, up=7, peak=7, cpu=0.9)
    other.mos_now.record_value(4.2)
    one.merge(other)
    assert (one.up, one.peak, one.cpu, one.workers) == (12, 13, 0.9, 2)
    assert one.tally.attempted == 3
    assert one.mos_now.total == 1
    assert RunSecond.from_plain(json.loads(json.dumps(one.to_plain()))).to_plain() == one.to_plain()
