"""Conducting: one result whether alone or with a crew, also when interrupted."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from softphone.load.distribute import RunObserver, run_plan
from softphone.load.measure import RunSecond, Tally
from tests.load.conftest import eventually


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_run_gives_one_result(lab, plan_for, workers):
    told, progress = [], []
    watcher = RunObserver(told.append, lambda *of: progress.append(of))
    result = await run_plan(
        plan_for(lab, "echo", calls=4, duration=0.6, checks=0), workers, watcher
    )
    assert (result.total.attempted, result.total.answered) == (4, 4)
    assert result.workers == workers
    assert [second.at for second in result.seconds] == [second.at for second in told]
    assert progress[-1] == (8, 8)
    assert not result.interrupted


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_interrupted_run_keeps_what_it_has(lab, plan_for, workers):
    told = []
    running = asyncio.ensure_future(
        run_plan(
            plan_for(lab, "echo", calls=4, duration=600.0, checks=0),
            workers,
            RunObserver(told.append),
        )
    )
    await eventually(lambda: any(second.up == 4 for second in told))
    running.cancel()
    result = await running
    assert result.interrupted
    assert result.total.answered == 4
    assert result.total.ended["local"] == 4
    assert lab.calls == 0


async def test_one_that_has_not_begun_is_canceled(lab, plan_for):
    running = asyncio.ensure_future(run_plan(plan_for(lab, "echo", register_rate=1.0)))
    await asyncio.sleep(0.3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert lab.registered == {}


async def test_a_run_of_days_remembers_no_more_pieces_of_time_but_counts_all(
    lab, plan_for, monkeypatch
):
    """Alone: the runner is replaced by one that tells ten seconds at once."""

    class Ten:
        def __init__(self, plan, *, on_second, on_progress, on_failure):
            self._tell = on_second

        async def __aenter__(self):
            return self

        async def __aexit__(self, *exc_info):
            return None

        async def run_share(self):
            for at in range(1, 11):
                self._tell(RunSecond(float(at), up=at, peak=at, tally=Tally(attempted=1)))
            return SimpleNamespace(invalid_because=())

        def stop_run(self):
            """It ends by itself."""

    monkeypatch.setattr("softphone.load.distribute.plan_runner.make_runner", Ten)
    monkeypatch.setattr("softphone.load.measure.run_log.MOST_KEPT", 4)
    told = []
    result = await run_plan(plan_for(lab, "echo"), watcher=RunObserver(lambda s: told.append(s.at)))
    assert len(told) == 10
    assert len(result.seconds) <= 4
    assert (result.total.attempted, result.most_up) == (10, 10)
    assert result.seconds[-1].at == 10.0
    assert sum(second.tally.attempted for second in result.seconds) == 10
