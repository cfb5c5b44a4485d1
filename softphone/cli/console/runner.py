"""Runs a command: the event loop, interruption, and errors as sentences and exit codes."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from softphone.cli import Interrupted
from softphone.cli.console.event_loop import chosen_loop, set_handler
from softphone.cli.console.option_names import name_options, name_pin_options
from softphone.cli.console.output import CommandOutput
from softphone.diagnostics import mask
from softphone.diagnostics.json_log import exception_text, log_line
from softphone.errors import (
    CallError,
    CertificateError,
    CipherRefused,
    ConfigurationError,
    CredentialsWithheld,
    DialRefused,
    FipsForbidden,
    FipsUnavailable,
    MessageRefused,
    RegistrationError,
    SecureMessageRefused,
    SoftphoneError,
    TransferRefused,
    TrustRefused,
)
from softphone.security import SecurityShortfall

__all__ = [
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "REFUSED",
    "USAGE",
    "RunOptions",
    "checked_seconds",
    "exit_code",
    "hint_of",
    "on_termination",
    "result_of",
    "run",
    "status_of",
]

LOG_FORMATS = ("text", "json")
DONE, FAILED, USAGE, REFUSED = 0, 1, 2, 3
INTERRUPTED = 130
_REFUSALS = (
    SecurityShortfall,
    CertificateError,
    CipherRefused,
    CredentialsWithheld,
    DialRefused,
    MessageRefused,
    SecureMessageRefused,
    TransferRefused,
    TrustRefused,
    FipsUnavailable,
    FipsForbidden,
)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of every command; `summary` are the blank fields of its last object (None: none).

    `any_mode`: the command itself handles FIPS mode.  `verbose`: 1 shows the
    package's log from INFO on, 2 from DEBUG on.  `pins`: the command has --pin, and never asks
    about a certificate.  `log_format` is one of `LOG_FORMATS`.
    """

    json: bool
    ladder: bool = False
    summary: Mapping[str, Any] | None = None
    any_mode: bool = False
    verbose: int = 0
    pins: bool = False
    log_format: str = LOG_FORMATS[0]


def exit_code(error: SoftphoneError) -> int:
    """Return 2 for wrong input, 3 for a refusal of ours (security, dial policy), else 1."""
    if isinstance(error, ConfigurationError):
        return USAGE
    if isinstance(error, _REFUSALS):
        return REFUSED
    return FAILED


def result_of(code: int) -> str:
    """Return the `result` of the summary for an exit code."""
    return {DONE: "completed", REFUSED: "refused"}.get(code, "failed")


def status_of(error: SoftphoneError) -> int:
    """Return the SIP status of an error; 0 for none."""
    if isinstance(error, CallError | RegistrationError):
        return error.status
    return 488 if isinstance(error, SecurityShortfall) else 0


def hint_of(error: SoftphoneError) -> str:
    """Return the hint below an error; "" for wrong usage, whose text says what to correct."""
    return "" if isinstance(error, ConfigurationError) else error.hint


def checked_seconds(option: str, value: float | None, *, above_zero: bool = False) -> float | None:
    """Check the duration of an option and return it.  Raises ConfigurationError."""
    if value is None:
        return None
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        wanted = "more than 0" if above_zero else "0 or more"
        raise ConfigurationError(f"{option} {value:g}: expected a number of seconds, {wanted}")
    return value


def run(options: RunOptions, command: Callable[[CommandOutput], Awaitable[int]]) -> int:
    """Run a command to its end; return the exit code."""
    output = CommandOutput(
        json=options.json,
        ladder=options.ladder,
        summary=options.summary,
        json_log=options.log_format == "json",
    )
    try:
        if options.log_format not in LOG_FORMATS:
            raise ConfigurationError(f"--log-format {options.log_format}: expected text or json")
        with _shown_log(output, options.verbose):
            if not options.any_mode:
                _enter_mode(output)
            with asyncio.Runner(loop_factory=chosen_loop()) as runner:
                return runner.run(_interruptible(command, output))
    except (KeyboardInterrupt, Interrupted):
        return output.interrupted()
    except SoftphoneError as error:
        code, hint = exit_code(error), hint_of(error)
        if options.pins:
            hint = name_pin_options(hint)
        return output.failed(
            str(error), code, result=result_of(code), status=status_of(error), hint=hint
        )
    finally:
        output.close()


def _enter_mode(output: CommandOutput) -> None:
    # Imported here, so that a command that only prints its help does not load it.
    from softphone.cli.console.fips_mode import enter_mode, show_mode

    show_mode(output, enter_mode())


async def _interruptible(
    command: Callable[[CommandOutput], Awaitable[int]], output: CommandOutput
) -> int:
    """Run a command that SIGTERM ends as Ctrl-C does: calls are hung up, bindings removed.

    SIGHUP, for a closed terminal, does the same unless the parent process ignores it, as nohup
    does.
    """
    task = asyncio.ensure_future(command(output))
    loop = asyncio.get_running_loop()

    def hang_up() -> None:
        # Kernel and shell may both send the signal: the second must not interrupt the cleanup.
        if not task.cancelling():
            task.cancel()

    handlers: dict[signal.Signals, Callable[[], object]] = {
        signal.SIGTERM: task.cancel,
        signal.SIGINT: task.cancel,
    }
    # Windows has no SIGHUP.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = hang_up
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        set_handler(loop, number, handler)
    try:
        return await task
    except asyncio.CancelledError:
        return output.interrupted()
    finally:
        for number in handlers:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, before[number])


@contextmanager
def _shown_log(output: CommandOutput, verbose: int) -> Iterator[None]:
    """Show warnings of the engine and of libraries; with `verbose` also the engine's log."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    handler = _LogHandler(output, level)
    # The libraries' warnings as well, made printable: they may quote a far end.
    root, own = logging.getLogger(), logging.getLogger("softphone")
    before = own.level
    root.addHandler(handler)
    if verbose:
        own.setLevel(level)
    try:
        yield
    finally:
        root.removeHandler(handler)
        own.setLevel(before)


@contextmanager
def on_termination(begin: Callable[[], bool]) -> Iterator[None]:
    """Make the first SIGTERM call `begin`; the next one ends the command, as Ctrl-C does.

    So does the first one when `begin` returns False: there is nothing to wait for.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None:
        raise RuntimeError("a command runs in a task")

    def terminate() -> None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        if not begin():
            task.cancel()

    loop.add_signal_handler(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)


class _LogHandler(logging.Handler):
    """Prints log records of the engine and of libraries, with the options of the command line."""

    def __init__(self, output: CommandOutput, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        message = mask(record.getMessage())
        warns = record.levelno >= logging.WARNING
        if warns:
            before, late, words = message.partition("media was ")
            # The rest of the text is for programs that embed the engine.
            message = f"{before}{late}{words.partition(';')[0]}"
            if late and self._output.judges_lateness:
                if self.level >= logging.WARNING:
                    return
                warns = False
        once = warns and getattr(record, "once", False)
        if once and not self._output.is_new_warning(message):
            return
        if self._output.json_log:
            self._output.log_record(_json_line(record, message))
            return
        if warns:
            self._output.warn(message)
        elif record.levelno >= logging.WARNING:
            self._output.log(message)
        else:
            at = f"{datetime.fromtimestamp(record.created):%H:%M:%S}.{record.msecs:03.0f}"
            head = f"{at} {record.levelname.lower():<5} {record.name.removeprefix('softphone.')}"
            self._output.log(f"{head}: {message}")
        if record.exc_info is not None:
            self._output.warn(mask(logging.Formatter().formatException(record.exc_info)))


def _json_line(record: logging.LogRecord, message: str) -> str:
    return log_line(
        created=record.created,
        level=record.levelname.lower(),
        logger=record.name,
        message=name_options(message) if record.levelno >= logging.WARNING else message,
        exception=exception_text(record),
    )
