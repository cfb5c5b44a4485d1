"""Asking the person at the terminal, without holding the event loop, and so that Ctrl-C is heard.

A line is read by the terminal itself and fetched when it is there; what is secret is not shown.
"""

from __future__ import annotations

import asyncio
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from softphone.errors import ConfigurationError

__all__ = ["ask_line", "is_attended"]

_MOST = 4096


def is_attended() -> bool:
    """Whether somebody can be asked: we read from and write to a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def ask_line(prompt: str, *, secret: bool = False, otherwise: str = "") -> str:
    """Ask on standard error for one line; without its end, and empty at the end of input.

    Raises ConfigurationError where there is no terminal, and says what to do `otherwise`.
    """
    if not is_attended():
        raise ConfigurationError(f"there is nobody to ask: {prompt}{otherwise}".rstrip())
    handle = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    line = b""
    loop.add_reader(handle, ready.set)
    try:
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


@contextmanager
def _seen() -> Iterator[None]:
    yield


@contextmanager
def _unseen(handle: int) -> Iterator[None]:
    """The terminal does not show what is typed."""
    before = termios.tcgetattr(handle)
    quiet = termios.tcgetattr(handle)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(handle, termios.TCSAFLUSH, quiet)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal was closed
            termios.tcsetattr(handle, termios.TCSAFLUSH, before)
