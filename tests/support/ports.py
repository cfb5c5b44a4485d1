"""Ranges of free media ports, since no fixed number is free on every machine."""

from __future__ import annotations

import contextlib
import random
import socket
from contextlib import ExitStack

from softphone.media import PortRange

__all__ = ["free_ports"]

BELOW_EPHEMERAL = range(5_000, 11_000, 2)
"""Below Linux's own range of ephemeral ports, and below what tests/peers draws from."""


def free_ports(pairs: int = 20) -> PortRange:
    """A range of so many pairs of UDP ports, drawn at random among those that are free now."""
    firsts = BELOW_EPHEMERAL[: -pairs or None]
    for first in random.SystemRandom().sample(firsts, len(firsts)):
        wanted = PortRange(first, first + 2 * pairs - 1)
        with ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(wanted.first, wanted.last + 1):
                probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                probe.bind(("", port))
            return wanted
    raise AssertionError(f"there are no {pairs} pairs of UDP ports free in a row")
