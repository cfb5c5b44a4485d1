"""`softphone load calibrate`: how many calls this machine itself holds, kept for later runs."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import DONE, FAILED, INTERRUPTED
from softphone.cli.load.kept_limits import limits_file, read_kept
from softphone.cli.load.load import check_search, print_trial, watched_run
from softphone.cli.load.options import CalibrateOptions, LoadOptions
from softphone.cli.load.plan import plan_of
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.load.capacity import CapacitySearch
from softphone.load.distribute import find_capacity, generator_trial
from softphone.load.generator_limit import (
    GeneratorLimit,
    GeneratorSetup,
    limits_text,
    replace_limit,
)
from softphone.load.plan import LoadPlan
from softphone.load.report import SeriesFile
from softphone.media.kernel import describe_path
from softphone.trust.disk import write_private

START = 30.0
"""Seconds that the far end may take to start."""


async def run_calibration(output: CommandOutput, options: CalibrateOptions) -> int:
    """Search the most calls that are held against a light far end, and keep the number.

    Returns 0 if it was confirmed, else 1.
    """
    output.judges_lateness = True
    search = CapacitySearch(options.calls, options.most, options.precision, options.confirm)
    check_search(options)
    if options.workers < 1:
        raise ConfigurationError(f"--workers {options.workers}: expected 1 or more")
    async with _far_end() as (port, authority):
        load = _load_options(options, port, authority)
        plan = plan_of(load)
        async with watched_run(output, load, plan, SeriesFile(None)) as watcher:
            await find_capacity(
                plan,
                search,
                (),
                workers=options.workers,
                watcher=watcher,
                on_trial=lambda trial: print_trial(output, search, trial),
                judge=generator_trial,
            )
    kept = None
    if search.confirmed and not search.interrupted:
        kept = _keep(plan, options.workers, search)
        output.event("kept", f"kept in {kept}", path=str(kept))
    sentence = f"this machine itself: {search.outcome_text()}"
    code = INTERRUPTED if search.interrupted else DONE if kept else FAILED
    if code != DONE:
        output.explain_failure(sentence)
    output.summary(sentence, capacity=search.summary())
    return code


def _load_options(options: CalibrateOptions, port: int, authority: str) -> LoadOptions:
    return LoadOptions(
        target=f"sips:echo@127.0.0.1:{port}",
        ca=[authority],
        calls=options.calls,
        rate=options.rate,
        duration=options.duration,
        sockets=options.sockets,
        media=options.media,
        srtp=options.srtp,
        suite=options.suite,
        codec=options.codec,
        ports=options.ports,
        workers=options.workers,
        json=options.json,
    )


@asynccontextmanager
async def _far_end() -> AsyncIterator[tuple[int, str]]:
    """Run the echo in a process of its own; gives its port and the file of its authority."""
    command = (sys.executable, "-m", "softphone.lab.echo_server")
    with tempfile.TemporaryDirectory(prefix="softphone-calibrate-") as folder:
        process = await asyncio.create_subprocess_exec(
            *command, folder, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        # The process reads its input and writes one line at its start; both are pipes.
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START):
                line = await process.stdout.readline()
            if not line:
                raise SoftphoneError("the far end of a calibration did not start: see above")
            port, authority = json.loads(line)
            yield port, authority
        except TimeoutError as error:
            raise SoftphoneError("the far end of a calibration did not start in time") from error
        finally:
            if process.returncode is None:
                process.kill()  # it holds nothing that would have to end in order
            await process.wait()


def _keep(plan: LoadPlan, workers: int, search: CapacitySearch) -> Path:
    path = limits_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{path.parent} cannot be made: {error.strerror}") from error
    limit = GeneratorLimit(
        calls=search.capacity,
        at_least=search.limit is None,
        why=next((t.why for t in search.trials if t.calls == search.limit and not t.held), ""),
        measured=datetime.now().astimezone().isoformat(timespec="seconds"),
        setup=GeneratorSetup.of_plan(plan, workers, describe_path()),
    )
    write_private(path, limits_text(replace_limit(read_kept(path), limit)).encode())
    return path
