"""Running a command: the event loop, interruption, and errors as sentences and exit codes."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from softphone.cli import Interrupted
from softphone.cli.console.output import CommandOutput
from softphone.diagnostics import mask
from softphone.errors import (
    CallError,
    CertificateError,
    CipherRefused,
    ConfigurationError,
    FipsForbidden,
    FipsUnavailable,
    MessageRefused,
    RegistrationError,
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
    "result_of",
    "run",
    "status_of",
]

DONE, FAILED, USAGE, REFUSED = 0, 1, 2, 3
INTERRUPTED = 130
_REFUSALS = (
    SecurityShortfall,
    CertificateError,
    CipherRefused,
    MessageRefused,
    TransferRefused,
    TrustRefused,
    FipsUnavailable,
    FipsForbidden,
)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What every command has; `summary` are the blank fields of its last object (None: none).

    `any_mode`: the command sees itself to whether it runs in FIPS mode.
    """

    json: bool
    ladder: bool = False
    summary: Mapping[str, Any] | None = None
    any_mode: bool = False


def exit_code(error: SoftphoneError) -> int:
    """2 for what the user gave us, 3 for what we refused on security grounds, else 1."""
    if isinstance(error, ConfigurationError):
        return USAGE
    if isinstance(error, _REFUSALS):
        return REFUSED
    return FAILED


def result_of(code: int) -> str:
    """The word of the summary for an exit code."""
    return {DONE: "completed", REFUSED: "refused"}.get(code, "failed")


def status_of(error: SoftphoneError) -> int:
    """The SIP status that an error stands for; 0 for none."""
    if isinstance(error, CallError | RegistrationError):
        return error.status
    return 488 if isinstance(error, SecurityShortfall) else 0


def checked_seconds(option: str, value: float | None, *, above_zero: bool = False) -> float | None:
    """Check a duration that was given.  Raises ConfigurationError."""
    if value is None:
        return None
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        wanted = "more than 0" if above_zero else "0 or more"
        raise ConfigurationError(f"{option} {value:g}: expected a number of seconds, {wanted}")
    return value


def run(options: RunOptions, command: Callable[[CommandOutput], Awaitable[int]]) -> int:
    """Run a command to its end; gives the exit code."""
    output = CommandOutput(json=options.json, ladder=options.ladder, summary=options.summary)
    handler = _WarningHandler(output)
    # The libraries' as well: what they say may be a far end's own words.
    logger = logging.getLogger()
    logger.addHandler(handler)
    try:
        if not options.any_mode:
            _enter_mode(output)
        return asyncio.run(_interruptible(command, output))
    except (KeyboardInterrupt, Interrupted):
        return output.interrupted()
    except SoftphoneError as error:
        code = exit_code(error)
        return output.failed(str(error), code, result=result_of(code), status=status_of(error))
    finally:
        logger.removeHandler(handler)
        output.close()


def _enter_mode(output: CommandOutput) -> None:
    # Here, so that a command that only prints its help loads none of it.
    from softphone.cli.console.fips_mode import enter_mode, show_mode

    show_mode(output, enter_mode())


async def _interruptible(
    command: Callable[[CommandOutput], Awaitable[int]], output: CommandOutput
) -> int:
    """SIGTERM ends a command as Ctrl-C does: calls are hung up, bindings taken away.

    So does SIGHUP, a terminal that is closed, but where it was ignored by whoever started us, as
    nohup does.
    """
    task = asyncio.ensure_future(command(output))
    loop = asyncio.get_running_loop()

    def hang_up() -> None:
        # The kernel and the shell both tell of it: what tidies up is not disturbed.
        if not task.cancelling():
            task.cancel()

    handlers: dict[signal.Signals, Callable[[], object]] = {
        signal.SIGTERM: task.cancel,
        signal.SIGINT: task.cancel,
        signal.SIGHUP: hang_up,
    }
    before = {number: signal.getsignal(number) for number in handlers}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del handlers[signal.SIGHUP]
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        return await task
    except asyncio.CancelledError:
        return output.interrupted()
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])


class _WarningHandler(logging.Handler):
    """What the engine, or a library, warns of, as the command line says it."""

    def __init__(self, output: CommandOutput) -> None:
        super().__init__(logging.WARNING)
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        before, late, words = mask(record.getMessage()).partition("media was ")
        message = before
        if late:
            # What follows is for those who embed the engine.
            words = words.partition(":")[0]
            message = f"{before}{late}{words}: this machine is too busy for it"
        if getattr(record, "once", False):
            self._output.warn_once(message)
        else:
            self._output.warn(message)
        if record.exc_info is not None:
            self._output.warn(mask(logging.Formatter().formatException(record.exc_info)))
