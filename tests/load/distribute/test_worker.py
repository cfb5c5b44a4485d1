"""A worker as a process: it says how it goes, and ends when it is told or left alone."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager

from softphone.load.distribute.worker import run_worker
from softphone.load.distribute.worker_channel import MAXIMUM_LINE, decode_line, encode_line
from softphone.load.measure import RunSecond
from tests.support.waiting import PATIENCE


class Worker:
    """A worker process and what it says."""

    def __init__(self, process):
        self.process = process

    def say(self, kind, value=None):
        self.process.stdin.write(encode_line(kind, value))

    async def until(self, wanted):
        """What it says under a name, skipping the rest."""
        async with asyncio.timeout(PATIENCE):
            while line := await self.process.stdout.readline():
                kind, value = decode_line(line)
                if kind == wanted:
                    return value
        raise AssertionError(f"it ended without {wanted}")


@asynccontextmanager
async def worker():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "softphone.load.distribute.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MAXIMUM_LINE,
    )
    try:
        yield Worker(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_it_registers_waits_for_go_and_tells_every_second(lab, plan_for):
    async with worker() as one:
        one.say("plan", plan_for(lab, "echo", duration=1.2, checks=0).to_plain())
        await one.until("ready")
        assert len(lab.registered) == 8
        one.say("go")
        assert await one.until("begun") > 0
        second = RunSecond.from_plain(await one.until("second"))
        assert second.tally.attempted == second.tally.answered > 0
        assert isinstance(await one.until("done"), dict)
        assert await one.process.wait() == 0


async def test_it_stops_when_its_crew_is_gone(lab, plan_for):
    async with worker() as one:
        one.say("plan", plan_for(lab, "echo", duration=600.0, checks=0).to_plain())
        await one.until("ready")
        one.say("go")
        await one.until("second")
        one.process.stdin.close()
        await one.until("done")
        assert await one.process.wait() == 0
    assert lab.registered == {}


async def told(kind, value=None):
    """The code and the words of a worker in this process that is told one thing."""
    reader, said = asyncio.StreamReader(), []
    reader.feed_data(encode_line(kind, value))
    code = await run_worker(reader, lambda *words: said.append(words))
    return code, said


async def test_a_plan_that_cannot_be_is_refused_with_a_sentence(lab, plan_for):
    code, said = await told("plan", plan_for(lab, "nothing").to_plain())
    ((kind, failed),) = said
    assert (code, kind) == (2, "failed")
    assert failed["usage"]
    assert "unknown" in failed["message"]


async def test_without_a_plan_there_is_nothing_to_do():
    code, said = await told("go")
    assert code == 2
    assert "expected a plan" in said[0][1]["message"]
