"""Runs `softphone` in forks of one process that has imported it: the same command, a second less.

The first use in a process starts that server; it ends with the process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["softphone.cli.commands", "softphone.cli.lab", __name__])


def _run(output: Connection, folder: Path, arguments: tuple[str, ...]) -> None:
    """Be the command, in a folder."""
    from softphone.cli import commands

    os.chdir(folder)
    os.dup2(output.fileno(), 1)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    sys.argv = ["softphone", *arguments]
    commands.main()


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[str]:
    """Give the first line of output of a command that runs in a folder; interrupt it after it."""
    reader, writer = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_run, args=(writer, folder, arguments))
    process.start()
    writer.close()
    with reader, os.fdopen(os.dup(reader.fileno()), encoding="utf-8") as output:
        try:
            if not (line := output.readline()):
                pytest.fail(f"softphone {' '.join(arguments)} did not start")
            yield line
            os.kill(process.pid or 0, signal.SIGINT)
            output.read()
            process.join(90)
        finally:
            if process.is_alive():
                process.kill()
            process.join()
    assert process.exitcode == 0
