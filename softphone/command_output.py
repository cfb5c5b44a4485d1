"""The output of commands that a user names: for tokens, text-to-speech, transcription."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeAlias

from softphone.operating_system import kill_process_group

_REAP = 1.0
"""Seconds to wait for the end of a process that has been killed."""


class CommandFailed(Exception):
    """Text that follows the command's name and says why it failed, without its output."""


class _Collected(asyncio.SubprocessProtocol):
    """Collects what a command prints, up to `most` octets.

    `ended` is set when the process has ended and its output is `closed`, or at more octets;
    `exited` when the process has ended, whoever still holds its output open.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.output = bytearray()
        self.ended = asyncio.Event()
        self.exited = asyncio.Event()
        self.closed = False

    @property
    def too_much(self) -> bool:
        return len(self.output) > self._most

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if not self.too_much:
            self.output += data
        if self.too_much:
            self.ended.set()

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.ended.set()


_Started: TypeAlias = tuple[asyncio.SubprocessTransport, _Collected]


async def command_output(
    command: tuple[str, ...],
    *,
    most: int,
    data: bytes | None = None,
    show_errors: bool = False,
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """Run a command, without a shell, and return its output of at most `most` octets.

    `data` goes to its standard input, of which it need not read all; without, the input is empty.
    Its standard error is shown as ours with `show_errors` only.  `environment` is its whole
    environment; without, it has ours.

    The command has a session of its own.  If it prints too much or we are canceled, as by a
    timeout, all of its process group is killed, where the OS has process groups; else the process.
    A child of the command that holds the output open would live on, and be waited for.

    Raises CommandFailed when the command cannot run, prints too much or fails.
    """
    starting = asyncio.ensure_future(
        _start(command, most, data is not None, show_errors, environment)
    )
    try:
        # A start that is canceled half-way would leave the command's children running.
        await asyncio.wait({starting})
    except asyncio.CancelledError:
        while not starting.done():
            with suppress(asyncio.CancelledError):  # once more: starting takes little time
                await asyncio.wait({starting})
        with suppress(CommandFailed):
            await _end(*starting.result())
        raise
    transport, collected = starting.result()
    try:
        if data is not None:
            _write(transport, data)
        await collected.ended.wait()
        status = transport.get_returncode()
    finally:
        await _end(transport, collected)
    if collected.too_much:
        raise CommandFailed(f"printed more than {most:,} bytes")
    if status != 0:
        raise CommandFailed(f"ended with status {status}")
    return bytes(collected.output)


async def _start(
    command: tuple[str, ...],
    most: int,
    reads: bool,
    show_errors: bool,
    environment: Mapping[str, str] | None,
) -> _Started:
    # `create_subprocess_exec` would stop reading once its buffer is full, and asyncio does not
    # report the end of a process before all of its output has been read.
    try:
        return await asyncio.get_running_loop().subprocess_exec(
            lambda: _Collected(most),
            *command,
            stdin=asyncio.subprocess.PIPE if reads else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=None if show_errors else asyncio.subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in a word
        raise CommandFailed(
            f"cannot be run: {getattr(error, 'strerror', None) or error}"
        ) from error


def _write(transport: asyncio.SubprocessTransport, data: bytes) -> None:
    pipe = transport.get_pipe_transport(0)
    assert isinstance(pipe, asyncio.WriteTransport)
    pipe.write(data)
    pipe.close()  # once all is written


async def _end(transport: asyncio.SubprocessTransport, collected: _Collected) -> None:
    """Kill a command that has not come to its end, with its process group, and close its pipes.

    Children left by a command that has ended with its output closed are not killed.
    """
    try:
        if not collected.closed:
            if hasattr(os, "killpg"):
                # Not the process as well: that may take its exit status from the loop's watcher.
                kill_process_group(transport.get_pid())
            else:
                transport.kill()
        # Before it is closed: closing would take the exit status from the loop's watcher, too.
        with suppress(TimeoutError):
            async with asyncio.timeout(_REAP):
                await collected.exited.wait()
    finally:
        pipe = transport.get_pipe_transport(0)
        # It closes once all is written, which it is not where a living process does not read.
        if isinstance(pipe, asyncio.WriteTransport) and pipe.get_write_buffer_size():
            pipe.abort()
        transport.close()
