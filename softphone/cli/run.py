"""Running a command: the event loop, interruption, and errors as sentences and exit codes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from softphone.cli.face import Face
from softphone.errors import CertificateError, ConfigurationError, SoftphoneError
from softphone.security import SecurityShortfall

__all__ = ["DONE", "FAILED", "REFUSED", "USAGE", "Options", "exit_code", "run"]

DONE, FAILED, USAGE, REFUSED = 0, 1, 2, 3
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Options:
    """What every command has."""

    json: bool
    ladder: bool


def exit_code(error: SoftphoneError) -> int:
    """2 for what the user gave us, 3 for what we refused on security grounds, else 1."""
    if isinstance(error, ConfigurationError):
        return USAGE
    if isinstance(error, SecurityShortfall | CertificateError):
        return REFUSED
    return FAILED


def run(options: Options, command: Callable[[Face], Awaitable[int]]) -> int:
    """Run a command to its end; gives the exit code."""
    face = Face(json=options.json, ladder=options.ladder)
    try:
        return asyncio.run(_interruptible(command, face))
    except KeyboardInterrupt:
        return INTERRUPTED
    except SoftphoneError as error:
        code = exit_code(error)
        face.error(str(error), code)
        return code
    finally:
        face.close()


async def _interruptible(command: Callable[[Face], Awaitable[int]], face: Face) -> int:
    """SIGTERM ends a command as Ctrl-C does: calls are hung up, bindings taken away."""
    task = asyncio.ensure_future(command(face))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return face.interrupted()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        loop.remove_signal_handler(signal.SIGINT)
