"""Commands that the user names, for text-to-speech and transcription: run without a shell.

A command has a session of its own, which is killed when the command takes too long.
"""

from __future__ import annotations

import asyncio
import shlex
from contextlib import suppress

from softphone.errors import ConfigurationError
from softphone.operating_system import kill_process_group

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
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, start_new_session=True
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in a word
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{command[0]} cannot be run: {why}") from error
    try:
        async with asyncio.timeout(seconds):
            printed, _ = await asyncio.gather(_read(process), _write(process, data))
            status = None if len(printed) > LARGEST_OUTPUT else await process.wait()
    except TimeoutError:
        raise ConfigurationError(f"{command[0]} took longer than {seconds:g} s") from None
    finally:
        # A child of the command may hold its output open.
        kill_process_group(process.pid)
        await process.wait()
    if status is None:
        raise ConfigurationError(f"{command[0]} printed more than {LARGEST_OUTPUT:,} bytes")
    if status != 0:
        raise ConfigurationError(f"{command[0]} ended with status {status}")
    return printed


async def _read(process: asyncio.subprocess.Process) -> bytes:
    printed = bytearray()
    while process.stdout is not None and len(printed) <= LARGEST_OUTPUT:
        piece = await process.stdout.read(65536)
        if not piece:
            break
        printed += piece
    return bytes(printed)


async def _write(process: asyncio.subprocess.Process, data: bytes) -> None:
    if process.stdin is None:
        return
    # A command need not read what it does not want.
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()
