"""Chooses the event loop of a command; the library itself runs in any loop.

SOFTPHONE_EVENT_LOOP names it: "asyncio", the default, or "uvloop" (the extra `speed`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from softphone.errors import ConfigurationError
from softphone.extras import require_module

VARIABLE = "SOFTPHONE_EVENT_LOOP"
LOOPS = ("asyncio", "uvloop")


def chosen_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the factory of the loop; None for asyncio's default.  Raises ConfigurationError."""
    name = os.environ.get(VARIABLE) or "asyncio"
    if name not in LOOPS:
        raise ConfigurationError(f"{VARIABLE}: {name!r} is unknown; known are {', '.join(LOOPS)}")
    if name == "uvloop":
        require_module("uvloop", "speed", f"{VARIABLE}=uvloop needs uvloop")
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return factory
    # The default loop of Windows, with completion ports, has no add_reader.
    return asyncio.SelectorEventLoop if sys.platform == "win32" else None


def set_handler(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, handler: Callable[[], object]
) -> None:
    """Make the loop call `handler` on a signal, also where the loop itself cannot (Windows)."""
    try:
        loop.add_signal_handler(number, handler)
    except NotImplementedError:

        def wake(*_: Any) -> None:
            loop.call_soon_threadsafe(handler)

        signal.signal(number, wake)
