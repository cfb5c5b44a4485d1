"""Bounds how many TLS handshakes of a small server are unfinished.

asyncio shows a connection to its protocol only when the handshake is over.  What the protocols
count therefore leaves out who connects and says nothing, and each of those takes a descriptor and
0.3 MB.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

MOST_UNFINISHED = 128
"""The most handshakes that are unfinished at one server."""


def limit_handshakes(
    context: ssl.SSLContext, seconds: float, *, clock: Callable[[], float] = time.monotonic
) -> None:
    """Let each handshake of `context` fail at once while `MOST_UNFINISHED` others are unfinished.

    `seconds` is the server's time-out of a handshake, after which one counts no longer.
    """
    unfinished: WeakKeyDictionary[ssl.SSLObject, float] = WeakKeyDictionary()
    begun: WeakKeyDictionary[ssl.SSLObject, None] = WeakKeyDictionary()

    class LimitedHandshake(ssl.SSLObject):
        """The TLS of one connection."""

        def do_handshake(self) -> None:
            """Go on with the handshake.  Raises ssl.SSLError for one too many."""
            if self not in begun:
                begun[self] = None
                now = clock()
                for each, since in list(unfinished.items()):
                    if now - since >= seconds:
                        del unfinished[each]
                if len(unfinished) >= MOST_UNFINISHED:
                    raise ssl.SSLError(f"{MOST_UNFINISHED} handshakes are unfinished")
                unfinished[self] = now
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except BaseException:
                unfinished.pop(self, None)
                raise
            unfinished.pop(self, None)

    context.sslobject_class = LimitedHandshake
