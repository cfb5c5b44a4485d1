"""The channel between a pool and one of its workers, and its form for a local process.

One JSON object a line.  The pool sends the plan, then `go`, `change` or `stop`; the worker sends
`progress`, `ready`, `begun`, `second`, `failure`, `done` or `failed`.  No secret is sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from softphone.errors import ConfigurationError

logger = logging.getLogger("softphone.load")

MAXIMUM_LINE = 64 * 1024 * 1024
"""Bytes of the longest line: a plan of a hundred thousand users."""


def encode_line(kind: str, value: Any = None) -> bytes:
    """Encode one line."""
    return json.dumps({kind: value}, separators=(",", ":")).encode() + b"\n"


def decode_line(line: bytes) -> tuple[str, Any]:
    """Decode a line into kind and value.  Raises ValueError for anything else."""
    found = json.loads(line)
    if not isinstance(found, dict) or len(found) != 1:
        raise ValueError("a line of the crew has one key")
    return next(iter(found.items()))


COMMAND = (sys.executable, "-m", "softphone.load.distribute.worker")


class WorkerChannel(Protocol):
    """A worker as the pool sees it, in a local process or on another machine."""

    @property
    def offset(self) -> float:
        """Seconds that the worker's wall clock is ahead of ours."""

    @property
    def node(self) -> str:
        """The address of the worker's machine; "" for this one."""

    def send_line(self, data: bytes) -> None:
        """Send a line; dropped when the worker is gone."""

    async def receive_line(self) -> bytes:
        """Wait for the worker's next line; b"" when no more will come."""

    async def wait_for_end(self) -> str:
        """Wait until the worker has ended; returns how, as in "ended with code 1"."""

    def close_input(self) -> None:
        """Close the worker's input, so that it hangs up and exits."""

    def kill(self) -> None:
        """Kill the worker now."""


class LocalWorkerChannel:
    """The channel to a worker process on this machine, by its standard streams."""

    offset = 0.0
    node = ""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._warnings = asyncio.ensure_future(self._pass_warnings_on())

    @classmethod
    async def hire(cls, command: Sequence[str] = COMMAND) -> LocalWorkerChannel:
        """Start a worker process.  Raises ConfigurationError where the loop cannot."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MAXIMUM_LINE,
                # Ctrl-C goes to the pool alone, which tells its workers to hang up.
                start_new_session=True,
            )
        except NotImplementedError:
            raise ConfigurationError(
                "this event loop starts no processes (Windows): run in one process, without workers"
            ) from None
        return cls(process)

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._process.pid

    async def _pass_warnings_on(self) -> None:
        """Log the worker's standard error, since only this process may write to the terminal."""
        errors = self._process.stderr
        while errors is not None and not errors.at_eof():
            try:
                line = await errors.readline()
            except ValueError:
                continue  # longer than any line may be; what follows is read
            if text := line.decode(errors="replace").rstrip():
                logger.warning("load worker %d: %s", self.pid, text)

    def send_line(self, data: bytes) -> None:
        """See `WorkerChannel`."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(data)

    async def receive_line(self) -> bytes:
        """See `WorkerChannel`.  Raises ValueError for a line that is too long."""
        return b"" if self._process.stdout is None else await self._process.stdout.readline()

    async def wait_for_end(self) -> str:
        """See `WorkerChannel`."""
        code = await self._process.wait()
        await self._warnings
        if code >= 0:
            return f"ended with code {code}"
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:  # most real-time signals have no name
            return f"killed by signal {-code}"

    def close_input(self) -> None:
        """See `WorkerChannel`."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """See `WorkerChannel`."""
        if self._process.returncode is None:
            self._process.kill()
