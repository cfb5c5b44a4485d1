"""Conducting: one result whether alone or with a crew, also when interrupted."""

from __future__ import annotations

import asyncio

import pytest

from softphone.load.conduct import Watcher, conduct
from tests.load.conftest import eventually


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_run_gives_one_result(lab, plan_for, workers):
    told, progress = [], []
    watcher = Watcher(told.append, lambda *of: progress.append(of))
    result = await conduct(plan_for(lab, "echo", calls=4, duration=0.6, checks=0), workers, watcher)
    assert (result.total.attempted, result.total.answered) == (4, 4)
    assert result.workers == workers
    assert [second.at for second in result.seconds] == [second.at for second in told]
    assert progress[-1] == (8, 8)
    assert not result.interrupted


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_interrupted_run_keeps_what_it_has(lab, plan_for, workers):
    told = []
    running = asyncio.ensure_future(
        conduct(
            plan_for(lab, "echo", calls=4, duration=600.0, checks=0),
            workers,
            Watcher(told.append),
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
    running = asyncio.ensure_future(conduct(plan_for(lab, "echo", register_rate=1.0)))
    await asyncio.sleep(0.3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert lab.registered == {}
