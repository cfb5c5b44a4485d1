"""Commands that the user names, for text-to-speech and transcription."""

from __future__ import annotations

import asyncio
import shlex

from softphone.command_output import CommandFailed, command_output
from softphone.errors import ConfigurationError

LONGEST_RUN = 120.0
"""Seconds that a command may take."""
LARGEST_OUTPUT = 64 * 1024 * 1024
"""Octets that a command may print."""


def split_command(text: str, option: str) -> tuple[str, ...]:
    """Split a command line into words.  Raises ConfigurationError that names the option."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ConfigurationError(f"{option} {text}: {error}") from error
    if not words:
        raise ConfigurationError(f"{option}: expected a command")
    return words


async def run_command(
    command: tuple[str, ...], data: bytes, *, seconds: float = LONGEST_RUN
) -> bytes:
    """Run a command with `data` on its standard input; return what it prints.

    Raises ConfigurationError when it cannot run, fails, takes longer or prints too much.
    """
    try:
        async with asyncio.timeout(seconds):
            return await command_output(command, most=LARGEST_OUTPUT, data=data, show_errors=True)
    except TimeoutError:
        raise ConfigurationError(f"{command[0]} took longer than {seconds:g} s") from None
    except CommandFailed as error:
        raise ConfigurationError(f"{command[0]} {error}") from error
