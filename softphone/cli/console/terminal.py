"""Reads lines from a terminal or a pipe without blocking the event loop.

Ctrl-C works meanwhile.  The terminal edits the line, which is read once it is complete; secrets are
not echoed.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

from softphone.errors import ConfigurationError

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

_MOST = 4096
_LONGEST_LINE = 1 << 16
_PIECE = 4096


def is_attended() -> bool:
    """Whether a user can be asked: both input and output are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def ask_line(prompt: str, *, secret: bool = False, otherwise: str = "") -> str:
    """Ask on standard error for one line; return it without its line end, "" at the end of input.

    What was typed before is dropped: it answered another question, or none.  Raises
    ConfigurationError without a terminal; `otherwise` says what to do then.
    """
    if not is_attended():
        raise ConfigurationError(f"there is nobody to ask: {prompt}{otherwise}".rstrip())
    if termios is None:
        return await asyncio.to_thread(_ask_in_thread, prompt, secret)
    handle = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    line = b""
    loop.add_reader(handle, ready.set)
    try:
        termios.tcflush(handle, termios.TCIFLUSH)
        with _unseen(handle) if secret else _seen():
            sys.stderr.write(prompt)
            sys.stderr.flush()
            while not line.endswith(b"\n") and len(line) < _MOST:
                await ready.wait()
                ready.clear()
                try:
                    data = os.read(handle, _MOST)
                except OSError:
                    break  # the terminal was closed: its input has ended
                if not data:
                    break
                line += data
    finally:
        loop.remove_reader(handle)
        if secret:
            sys.stderr.write("\n")
    return line.decode(errors="replace").partition("\n")[0]


def _ask_in_thread(prompt: str, secret: bool) -> str:
    """Ask on a terminal that no loop can watch; Ctrl-C takes effect at the end of the line."""
    if secret:
        import getpass

        return getpass.getpass(prompt)
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return sys.stdin.readline(_MOST).partition("\n")[0]


@contextmanager
def _seen() -> Iterator[None]:
    yield


@contextmanager
def _unseen(handle: int) -> Iterator[None]:
    """Turn the terminal's echo off for the time of the context."""
    before = termios.tcgetattr(handle)
    quiet = termios.tcgetattr(handle)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(handle, termios.TCSAFLUSH, quiet)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal was closed
            termios.tcsetattr(handle, termios.TCSAFLUSH, before)


async def read_lines(handle: int) -> AsyncIterator[str]:
    """Yield each line, without its line end, until the end of input; cut at 64 KiB."""
    data = b""
    while True:
        piece = await _read_piece(handle)
        data += piece
        while b"\n" in data or len(data) >= _LONGEST_LINE or (not piece and data):
            line, _, data = data.partition(b"\n")
            yield line[:_LONGEST_LINE].decode(errors="replace").rstrip("\r")
        if not piece:
            return


async def _read_piece(handle: int) -> bytes:
    """Wait for input and return it; b"" at the end.

    It is read in the loop's callback for readability and not later: a second read for the same
    input would find none, and block the loop until the user types again.
    """
    loop = asyncio.get_running_loop()
    read: asyncio.Future[bytes] = loop.create_future()

    def readable() -> None:
        loop.remove_reader(handle)
        if read.done():
            return
        try:
            read.set_result(os.read(handle, _PIECE))
        except OSError as error:
            if error.errno == errno.EIO:  # the terminal was closed
                read.set_result(b"")
            else:
                read.set_exception(error)

    try:
        loop.add_reader(handle, readable)
    except PermissionError:
        return os.read(handle, _PIECE)  # a plain file: it is always ready
    except (NotImplementedError, OSError):
        # Windows' loops watch sockets only.
        return await asyncio.to_thread(os.read, handle, _PIECE)
    try:
        return await read
    finally:
        loop.remove_reader(handle)
