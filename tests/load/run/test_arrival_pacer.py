"""When calls begin: on schedule, one for each slot, and until the run is over; virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial

import pytest

from softphone.errors import ConfigurationError
from softphone.load import BaseSpec, LoadPlan, UserSpec
from softphone.load.run.arrival_pacer import ArrivalPacer
from tests.support.virtual_loop import run_virtually


def plan_of(**settings):
    user = UserSpec("sip:alice@example.test")
    return LoadPlan("echo", "sip:600@example.test", BaseSpec(), (user,), **settings)


@dataclass
class Paced:
    """What a pacer did: (number, second) of each arrival, and when the run was over."""

    began: list[tuple[int, float]] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    held_back: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    ended: float | None = None

    @property
    def times(self):
        return [at for _, at in self.began]


async def _paced(plan, hold, stop_at, overdue, changes, **how):
    loop, over, seen = asyncio.get_running_loop(), asyncio.Event(), Paced()
    pacer = ArrivalPacer(
        plan,
        over,
        on_late=seen.late.append,
        on_held_back=seen.held_back.append,
        clock=loop.time,
    )
    begun = loop.time()

    def begin(number):
        seen.began.append((number, round(loop.time() - begun, 3)))
        seen.waited.append(round(pacer.waited, 3))
        loop.call_later(hold, pacer.release_slot)

    if stop_at is not None:
        loop.call_later(stop_at, over.set)
    for at, change in changes:
        loop.call_later(at, partial(pacer.change, **change))
    await pacer.begin_calls(begin, begun=begun - overdue, **how)
    if how["ends_run"]:
        await over.wait()
    seen.ended = round(loop.time() - begun, 3) if over.is_set() else None
    seen.late = [round(seconds, 3) for seconds in seen.late]
    seen.held_back = [round(seconds, 3) for seconds in seen.held_back]
    return seen


def paced(
    *,
    hold=0.01,
    stop_at=None,
    overdue=0.0,
    most=None,
    ends_run=True,
    lasting=False,
    changes=(),
    **kw,
):
    how = {"most": most, "ends_run": ends_run, "lasting": lasting}
    return run_virtually(_paced(plan_of(**kw), hold, stop_at, overdue, changes, **how))


def test_calls_begin_on_schedule_and_the_run_ends_a_duration_after_the_last():
    seen = paced(calls=3, rate=10.0, duration=2.0, most=3)
    assert seen.began == [(0, 0.0), (1, 0.1), (2, 0.2)]
    assert (seen.held_back, seen.ended) == ([], 2.2)


def test_the_run_ends_a_duration_after_the_last_of_calls_though_more_begin():
    seen = paced(calls=2, rate=10.0, duration=1.05)
    assert len(seen.began) == 12
    assert seen.ended == 1.15


def test_without_a_slot_the_schedule_waits_and_is_not_late():
    seen = paced(calls=1, rate=10.0, hold=0.5, most=3, duration=3.0)
    assert seen.times == [0.0, 0.5, 1.0]
    assert seen.held_back == [0.4, 0.4]
    assert seen.waited[0] == 0.0
    # By the first schedule, however often it has moved since: no coordinated omission.
    assert seen.waited == [round(at - 0.1 * n, 3) for n, at in enumerate(seen.times)]
    assert seen.waited[-1] == 0.8
    assert seen.late == [0.0, 0.0, 0.0]


def test_a_worker_begins_its_share_only():
    seen = paced(calls=3, rate=10.0, most=3, worker=1, workers=2)
    assert seen.began == [(1, 0.1), (3, 0.3), (5, 0.5)]


def test_overdue_calls_begin_at_once_and_are_late():
    seen = paced(calls=4, rate=1.0, overdue=2.5, most=4, duration=1.0)
    assert seen.times == [0.0, 0.0, 0.0, 0.5]
    assert seen.late == [2.5, 1.5, 0.5, 0.0]


@pytest.mark.parametrize(
    ("settings", "count"),
    [({"calls": 1, "rate": 10.0, "hold": 100.0}, 1), ({"calls": 9, "rate": 0.1}, 1)],
    ids=["for a slot", "for its time"],
)
def test_the_end_of_the_run_ends_a_wait(settings, count):
    seen = paced(**settings, stop_at=3.0)
    assert (len(seen.began), seen.ended) == (count, 3.0)


def test_a_run_that_ends_otherwise_is_not_ended_by_the_last_arrival():
    seen = paced(calls=2, rate=10.0, most=2, ends_run=False)
    assert (len(seen.began), seen.ended) == (2, None)


def test_a_trace_that_ends_before_all_calls_ends_the_run(tmp_path):
    trace = tmp_path / "trace"
    trace.write_text("0.0\n0.25\n")
    seen = paced(calls=5, arrival=f"trace:{trace}", duration=1.0)
    assert (seen.times, seen.ended) == ([0.0, 0.25], 1.25)


def test_a_bad_schedule_is_refused():
    with pytest.raises(ConfigurationError):
        paced(arrival="sometimes")


def changed(*changes, **settings):
    """Paced, with what is changed when: pairs of seconds and keywords of `change`."""
    return paced(changes=changes, **settings)


def test_a_new_rate_holds_from_the_change_on():
    seen = changed((1.05, {"rate": 10.0}), calls=5, rate=1.0, duration=1.0)
    assert seen.times == [0.0, 1.0, 1.15, 1.25, 1.35, 1.45, 1.55, 1.65, 1.75, *seen.times[9:]]
    assert [number for number, _ in seen.began[:4]] == [0, 1, 2, 3]
    assert (seen.ended, seen.late) == (2.35, [0.0] * len(seen.began))


def test_after_a_new_rate_workers_still_have_numbers_of_their_own():
    seen = changed((0.45, {"rate": 20.0}), calls=3, rate=10.0, worker=1, workers=2, duration=0.3)
    assert seen.began[:4] == [(1, 0.1), (3, 0.3), (5, 0.55), (7, 0.65)]


def test_a_new_rate_goes_on_from_a_trace_that_has_ended(tmp_path):
    trace = tmp_path / "trace"
    trace.write_text("0.0\n0.25\n")
    seen = changed((0.5, {"rate": 2.0}), calls=5, arrival=f"trace:{trace}", duration=1.0)
    assert seen.times == [0.0, 0.25, 1.0]


def test_more_calls_let_those_begin_that_wait_for_a_slot():
    seen = changed((0.55, {"calls": 3}), calls=1, rate=10.0, hold=1.0, duration=0.8)
    assert seen.times[:3] == [0.0, 0.55, 0.65]
    assert seen.held_back[0] == 0.45


def test_fewer_calls_keep_others_from_beginning_until_some_have_ended():
    seen = changed((0.25, {"calls": 1}), calls=3, rate=10.0, hold=1.0, duration=2.0)
    assert seen.times[:4] == [0.0, 0.1, 0.2, 1.2]


@pytest.mark.parametrize(
    ("changes", "times"),
    [
        ([(0.5, {"calls": 3})], [0.0, 0.1, 0.5]),
        ([(0.15, {"calls": 1})], [0.0, 0.1]),
        ([(0.15, {"calls": 1}), (0.4, {"calls": 2})], [0.0, 0.1, 0.4]),
    ],
    ids=["more", "fewer", "fewer, and more again"],
)
def test_calls_that_last_begin_as_many_as_may_be_up(changes, times):
    seen = changed(*changes, calls=2, rate=10.0, hold=0.2, duration=2.0, lasting=True)
    assert (seen.times, seen.ended) == (times, 2.1)


def test_a_call_may_end_after_the_arrivals_were_canceled():
    """As when a run is interrupted while an arrival waits for a slot."""

    async def canceled():
        pacer = ArrivalPacer(
            plan_of(calls=1, rate=10.0),
            asyncio.Event(),
            on_late=lambda seconds: None,
            on_held_back=lambda seconds: None,
            clock=asyncio.get_running_loop().time,
        )
        arriving = asyncio.ensure_future(pacer.begin_calls(lambda number: None, begun=0.0))
        await asyncio.sleep(1.0)
        arriving.cancel()
        await asyncio.gather(arriving, return_exceptions=True)
        pacer.release_slot()
        pacer.change(rate=5.0)
        return arriving.cancelled()

    assert run_virtually(canceled())
