"""A worker of a load run: reads its plan from standard input, reports on standard output.

    python -m softphone.load.distribute.worker

Registers its users, sends `ready`, begins at the time that `go` carries, changes its load at
`change`, and ends early at `stop` or when its pool is gone.
`softphone.load.distribute.worker_pool` starts it; start it by hand to see its lines.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from softphone.diagnostics import MaskingFormatter
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.load.distribute.share_runner import ShareRunner, make_runner
from softphone.load.distribute.worker_channel import MAXIMUM_LINE, decode_line, encode_line
from softphone.load.measure import FailedCall, RunSecond
from softphone.load.plan import LoadPlan
from softphone.load.run import relaxed_garbage_collection

SendLine: TypeAlias = Callable[..., None]
"""Sends a line to the pool: a kind and a value."""


def write_line(kind: str, value: object = None) -> None:
    """Write a line on standard output; without a reader any more it does nothing."""
    line = encode_line(kind, value)
    try:
        while line:
            line = line[os.write(1, line) :]
    except BrokenPipeError:
        # The pool is gone; the end of the input has already begun to hang up the calls.
        return


async def run_worker(reader: asyncio.StreamReader, say: SendLine = write_line) -> int:
    """Run one share by the commands from `reader`, reporting by `say`; returns the exit code."""
    kind, value = decode_line(await reader.readline() or encode_line("nothing"))
    if kind != "plan":
        say("failed", {"message": f"expected a plan, got {kind}", "usage": True})
        return 2

    def second(latest: RunSecond) -> None:
        say("second", latest.to_plain())

    def progress(done: int, whole: int) -> None:
        if done == whole or done % 16 == 0:
            say("progress", [done, whole])

    def failure(call: FailedCall) -> None:
        say("failure", call.to_plain())

    try:
        runner = make_runner(
            LoadPlan.from_plain(value),
            on_second=second,
            on_progress=progress,
            on_failure=failure,
        )
        async with runner:
            say("ready")
            word, begin = await _command(reader)
            if word != "go":
                return 0
            await asyncio.sleep(max(0.0, (begin or 0.0) - time.time()))
            say("begun", time.time())
            obeying = asyncio.ensure_future(_obey(reader, runner))
            try:
                with relaxed_garbage_collection():
                    outcome = await runner.run_share()
            finally:
                obeying.cancel()
            say("done", {why: outcome.failed_checks[why] for why in outcome.invalid_because})
    except SoftphoneError as error:
        say("failed", {"message": str(error), "usage": isinstance(error, ConfigurationError)})
        return 2 if isinstance(error, ConfigurationError) else 1
    return 0


async def _command(reader: asyncio.StreamReader) -> tuple[str, Any]:
    """Read the next command and its value; the end of the input counts as `stop`."""
    line = await reader.readline()
    return decode_line(line) if line else ("stop", None)


async def _obey(reader: asyncio.StreamReader, runner: ShareRunner) -> None:
    """Carry out each `change`; end the run at `stop`, or at the end of the input."""
    while True:
        word, value = await _command(reader)
        if word != "change":
            break
        runner.change_load(**value)
    runner.stop_run()


async def open_input() -> asyncio.StreamReader:
    """Log warnings on standard error, masked; returns a reader of standard input."""
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(MaskingFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[shown])
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MAXIMUM_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def main() -> int:
    """Run a worker on standard input and output."""
    return await run_worker(await open_input())


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
