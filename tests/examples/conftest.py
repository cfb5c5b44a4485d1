"""The programs of `examples/`, each run as its user runs it, beside a lab in this process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from softphone.config import load_account
from softphone.lab import LabServer
from softphone.phone import Phone
from tests.support.waiting import PATIENCE

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLES = PROJECT / "examples"


class Program:
    """A running example: what it printed, line by line, and how it ended."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.printed: list[str] = []

    async def line(self, text: str) -> str:
        """The next line that has `text`; those before it are kept in `printed`."""
        assert self._process.stdout is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while line := (await self._process.stdout.readline()).decode():
                    self.printed.append(line.rstrip("\n"))
                    if text in line:
                        return self.printed[-1]
        raise AssertionError(f"no line with {text!r}: {self.printed}")

    def stop(self, number: int = signal.SIGINT) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def ended(self) -> int:
        """The exit status, once it has ended; the rest of what it said is in `printed`."""
        async with asyncio.timeout(PATIENCE):
            rest, _ = await self._process.communicate()
        self.printed += rest.decode().splitlines()
        assert not any("Traceback" in line for line in self.printed), "\n".join(self.printed)
        return self._process.returncode or 0


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[LabServer]:
    async with LabServer(tmp_path / "lab") as server:
        yield server


@pytest.fixture
async def phone() -> AsyncIterator[Phone]:
    async with Phone() as made:
        yield made


@pytest.fixture
def account_of(lab: LabServer, phone: Phone):
    """`await account_of("alice")`: a registered account of the lab."""

    async def register(name: str):
        return await phone.register(load_account(lab.accounts[name]).config)

    return register


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., object]:
    """`async with run("echo_bot.py", ...) as program`: it is killed at the end if it still runs.

    "{examples}" in an argument stands for the folder.
    """

    @asynccontextmanager
    async def start(*arguments: object, **variables: str) -> AsyncIterator[Program]:
        first, *others = [str(each).replace("{examples}", str(EXAMPLES)) for each in arguments]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLES / first) if first.endswith(".py") else first,
            *others,
            cwd=tmp_path,
            env=os.environ | variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield Program(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    return start
