"""When the generator was the bottleneck, and what it then advises."""

from __future__ import annotations

import pytest

from softphone.load.measure import RunSecond, Tally
from softphone.load.run.bottleneck import BottleneckDetector


def watched(*, cpu=(0.6,) * 10, shared=False, full=False, tolerate_late=1.0, **counts):
    watch = BottleneckDetector(shared=shared, full=full, tolerate_late=tolerate_late)
    tally = Tally(sent=50_000, received=50_000, call_seconds=1000.0)
    tally.lateness_ms.record_value(1.0, 50_000)
    for name, value in counts.items():
        setattr(tally, name, value)
    watch.add_second(RunSecond(1.0, tally=tally))
    for number, share in enumerate(cpu, 2):
        watch.add_second(RunSecond(float(number), cpu=share))
    return watch


def test_a_generator_with_room_is_believed():
    assert watched().invalid_reasons() == ()


def test_five_busy_seconds_in_a_row_are_too_many_and_four_are_not():
    assert watched(cpu=(0.2, 0.99, 0.99, 0.99, 0.99, 0.2, 0.2)).invalid_reasons() == ()
    (reason,) = watched(cpu=(0.2, *(0.97,) * 5, 0.2)).invalid_reasons()
    assert "97% of a core" in reason
    assert "--workers" in reason


def test_a_run_that_is_shorter_is_judged_as_a_whole():
    short = BottleneckDetector()
    for at, share in ((1.0, 0.99), (2.0, 0.98), (2.4, 0.4)):
        short.add_second(RunSecond(at, cpu=share))
    assert short.invalid_reasons() == ()
    short.add_second(RunSecond(4.4, cpu=0.99))
    (reason,) = short.invalid_reasons()
    assert "93% of a core for 4 s" in reason


def test_what_to_change_depends_on_who_had_the_processor():
    (others,) = watched(cpu=(0.1,) * 10, jumps=12).invalid_reasons()
    assert "itself used 9% of a core" in others
    assert "another machine" in others
    assert "--workers" not in others
    (ours,) = watched(jumps=12).invalid_reasons()
    assert "--workers" in ours
    assert "--sockets shared" in ours
    (ours,) = watched(jumps=12, shared=True).invalid_reasons()
    assert "--workers" in ours
    assert "--sockets" not in ours


def slow(cpu, **more):
    """A run in which packets left late, media time jumped and calls began late."""
    watch = watched(cpu=cpu, jumps=12, **more)
    late = Tally(sent=50_000)
    late.lateness_ms.record_value(25.0, 50_000)
    watch.add_second(RunSecond(len(cpu) + 2.0, cpu=cpu[-1], tally=late))
    watch.add_late_arrival(2.5)
    return watch


@pytest.mark.parametrize("cpu", [(0.05,) * 10, (0.6,) * 10, (0.97,) * 10])
def test_what_to_change_is_said_once_for_all_that_shows_it(cpu):
    (reason,) = slow(cpu).invalid_reasons()
    for sign in ("50.0% of our packets", "jumped over 12 frames", "2.5 s after their time"):
        assert sign in reason
    assert ("97% of a core for 5 s" in reason) == (cpu[0] == 0.97)
    assert reason.count("another machine") == (cpu[0] == 0.05)
    assert reason.count("--workers") == reason.count("lower --rate") == (cpu[0] > 0.05)


def test_who_was_busy_for_a_while_is_not_told_that_others_were():
    watch = slow((*(0.97,) * 5, *(0.01,) * 95))
    (reason,) = watch.invalid_reasons()
    assert "97% of a core for 5 s" in reason
    assert "--workers" in reason
    assert "something else" not in reason


def test_packets_a_frame_late_spoil_the_run():
    watch = watched()
    late = Tally(sent=1000)
    late.lateness_ms.record_value(25.0, 1000)
    watch.add_second(RunSecond(20.0, tally=late))
    assert "20 ms late" in watch.invalid_reasons()[0]


def test_a_few_late_packets_do_not():
    watch = watched()
    late = Tally(sent=100)
    late.lateness_ms.record_value(25.0, 100)
    watch.add_second(RunSecond(20.0, tally=late))
    assert watch.invalid_reasons() == ()


def test_where_every_core_has_a_worker_no_more_are_advised():
    for reason in (
        *watched(full=True, jumps=12).invalid_reasons(),
        *watched(full=True, overflows=51).invalid_reasons(),
    ):
        assert "--workers" not in reason
        assert "a machine with more cores" in reason


@pytest.mark.parametrize(
    ("tolerated", "late", "jumps", "valid"),
    [
        (1.0, 0.9, 0, True),
        (1.0, 1.1, 0, False),
        (1.0, 0.0, 1, False),
        (5.0, 4.9, 25, True),
        (5.0, 5.1, 0, False),
        (5.0, 0.0, 28, False),
        (0.0, 0.1, 0, False),
    ],
)
def test_late_packets_are_borne_as_far_as_was_said(tolerated, late, jumps, valid):
    """Media time of 11 s has 550 frames."""
    watch = watched(tolerate_late=tolerated, jumps=jumps)
    tally = Tally(sent=50_000)
    tally.lateness_ms.record_value(25.0, int(1000 * late))
    tally.lateness_ms.record_value(1.0, 50_000 - int(1000 * late))
    watch.add_second(RunSecond(11.0, cpu=0.6, tally=tally))
    assert (watch.invalid_reasons() == ()) is valid


@pytest.mark.parametrize(
    ("counts", "advice"),
    [
        ({"jumps": 12}, "jumped over 12 frames"),
        ({"overflows": 51}, "net.core.rmem_max"),
        ({"sent": 0}, "not one packet left"),
    ],
)
def test_what_the_engine_counted_is_looked_at(counts, advice):
    (reason,) = watched(**counts).invalid_reasons()
    assert advice in reason


def test_a_drop_in_a_thousand_is_borne():
    assert watched(overflows=50).invalid_reasons() == ()


def test_a_broken_scenario_is_no_measurement():
    watch = watched()
    for error in (ZeroDivisionError("division by zero"), ValueError()):
        watch.add_scenario_error("mine", error)
    assert watch.invalid_reasons() == (
        "the scenario mine is to be mended: ZeroDivisionError: division by zero "
        "(2 times; the log has where)",
    )


def test_calls_that_begin_late_and_ports_that_run_out_are_named():
    watch = watched()
    watch.add_late_arrival(0.9)
    assert watch.invalid_reasons() == ()
    watch.add_late_arrival(2.5)
    watch.add_exhausted_resource("media ports: give a wider --ports")
    watch.add_exhausted_resource("media ports: give a wider --ports")
    late, ports = watch.invalid_reasons()
    assert "2.5 s after" in late
    assert "--rate" in late
    assert "ran out of media ports" in ports
