"""Starts the process that makes the calls, gives it steps, and waits for what came of each.

It knows nothing of gevent, and uses threads, locks and pipes of the standard library: in a Locust
process these are gevent's own, so that a wait stops one Locust user only.
"""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Any

from softphone.errors import ConfigurationError, LocalProtocolError, SoftphoneError
from softphone.load.distribute.worker_channel import decode_line, encode_line
from softphone.load.plan import LoadPlan

logger = logging.getLogger("softphone.load")

COMMAND = (sys.executable, "-m", "softphone.load.locust.call_process")
START_PATIENCE = 60.0
"""Seconds that the process may take to start: it imports NumPy, on a machine that is loaded."""
LAST_WORDS = 30.0
"""Seconds that the process has to hang up, unregister and exit."""


class StepRefused(SoftphoneError):
    """The call process reports that a step has failed; `cause` is short, and one of few."""

    _hint = "the cause says whether the far end, the network or our own policy refused it"

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text or cause)
        self.cause = cause


class CallProcessLost(SoftphoneError):
    """The call process has ended while it was needed."""

    _hint = "look at the log of Locust for what the process said, and start the run again"


class _Reply:
    """What came of a step: a value or an error, once `done` is set."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: dict[str, Any] = {}
        self.error: SoftphoneError | None = None

    def resolve(self, value: dict[str, Any] | None, error: SoftphoneError | None = None) -> None:
        """Set the outcome."""
        self.value, self.error = value or {}, error
        self.done.set()


class CallProcess:
    """The process that makes the calls of a plan; started at once.

    Raises ConfigurationError when the plan cannot be used, CallProcessLost when it does not start.
    """

    def __init__(self, plan: LoadPlan, command: Sequence[str] = COMMAND) -> None:
        self.plan = plan
        self._numbers = itertools.count(1)
        self._replies: dict[int, _Reply] = {}
        self._writing = threading.Lock()
        self._reasons: tuple[str, ...] = ()
        self._refusal = ""
        self._lost = ""
        self._ready = _Reply()
        # Ctrl-C goes to Locust alone, which stops its users.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._input: IO[bytes] = self._process.stdin
        readers = (self._read_lines, self._pass_warnings_on)
        self._readers = [threading.Thread(target=read, daemon=True) for read in readers]
        for reader in self._readers:
            reader.start()
        self._write("plan", plan.to_plain())
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._process.pid

    def _wait_until_ready(self) -> None:
        if not self._ready.done.wait(START_PATIENCE):
            raise CallProcessLost(f"the call process did not start within {START_PATIENCE:g} s")
        if self._ready.error is not None:
            raise self._ready.error

    # Steps --------------------------------------------------------------------------------------

    def begin_step(self, step: str, **arguments: Any) -> int:
        """Begin a step; returns its number, for `await_step`."""
        number = next(self._numbers)
        self._replies[number] = _Reply()
        if self._lost:
            self._replies[number].resolve(None, CallProcessLost(self._lost))
        else:
            self._write("do", [number, step, arguments])
        return number

    def await_step(self, number: int) -> dict[str, Any]:
        """Wait for a step and return its result; a wait that is interrupted cancels the step.

        Raises StepRefused when it failed, CallProcessLost when the process has ended.
        """
        reply = self._replies[number]
        try:
            reply.done.wait()
        except BaseException:
            self._write("cancel", number)
            raise
        finally:
            self._replies.pop(number, None)
        if reply.error is not None:
            raise reply.error
        return reply.value

    def run_step(self, step: str, **arguments: Any) -> dict[str, Any]:
        """Begin a step and wait for it.  Raises what `await_step` does."""
        return self.await_step(self.begin_step(step, **arguments))

    def _write(self, kind: str, value: Any) -> None:
        """Write a line; dropped when the process has ended, which its reader notices."""
        with self._writing, suppress(OSError, ValueError):
            self._input.write(encode_line(kind, value))
            self._input.flush()

    # What the process says ----------------------------------------------------------------------

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        unreadable = ""
        try:
            for line in self._process.stdout:
                self._handle_line(*decode_line(line))
        except ValueError as problem:
            unreadable = f"the call process said something unknown: {problem}"
            self._process.kill()
        code = self._process.wait()
        self._lost = unreadable or f"the call process has ended with code {code}"
        error = ConfigurationError(self._refusal) if self._refusal else CallProcessLost(self._lost)
        for reply in (self._ready, *self._replies.values()):
            if not reply.done.is_set():
                reply.resolve(None, error)

    def _handle_line(self, kind: str, value: Any) -> None:
        if kind == "ready":
            self._ready.resolve(None)
        elif kind == "refused":
            self._refusal = str(value)
        elif kind == "over":
            self._reasons = tuple(value)
        elif kind in ("done", "failed"):
            number, found = value
            reply = self._replies.get(number)
            if reply is None:
                return  # the step was given up meanwhile
            failed = kind == "failed"
            error = StepRefused(found["cause"], found["text"]) if failed else None
            reply.resolve(None if failed else found, error)
        else:
            raise ValueError(f"there is no line {kind!r}")

    def _pass_warnings_on(self) -> None:
        """Log the standard error of the process."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if text := line.decode(errors="replace").rstrip():
                logger.warning("call process %d: %s", self.pid, text)

    def close(self) -> tuple[str, ...]:
        """End all calls, unregister and end the process.

        Returns why the figures say nothing of the target, () when they are valid.
        """
        with self._writing, suppress(OSError):
            self._input.close()
        self._readers[0].join(LAST_WORDS)
        if self._readers[0].is_alive():
            self._process.kill()
            self._readers[0].join()
        self._readers[1].join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        return self._reasons


class SharedCallProcess:
    """One call process for all users of a class: started by the first, closed with the last."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: CallProcess | None = None
        self._users = 0

    def acquire(self, make: Callable[[], LoadPlan]) -> CallProcess:
        """Return the process; for its first user it is started, by the plan that `make` returns.

        Raises what `make` and `CallProcess` do.
        """
        with self._turn:
            if self._process is None:
                self._process = CallProcess(make())
            self._users += 1
            return self._process

    def release(self) -> tuple[str, ...]:
        """Give it back; the last user ends it, and gets what `CallProcess.close` returns."""
        with self._turn:
            if self._process is None:
                raise LocalProtocolError("this call process has no user")
            self._users -= 1
            if self._users:
                return ()
            process, self._process = self._process, None
            return process.close()
