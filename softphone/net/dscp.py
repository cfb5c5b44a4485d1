"""Marks the packets of a socket with a DSCP, so that a network may prioritize them (RFC 2474).

If the system refuses, packets go out unmarked; each reason is logged once.
"""

from __future__ import annotations

import logging
import socket
from typing import Protocol

from softphone.operating_system import ignores_packet_marks

logger = logging.getLogger("softphone.net")

_refusals: set[str] = set()


class MarkableSocket(Protocol):
    """A socket, or the socket that an asyncio transport exposes."""

    @property
    def family(self) -> int:
        """The address family."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """Set an option.  Raises OSError."""


def mark_socket(sock: MarkableSocket, code_point: int, *, family: int | None = None) -> None:
    """Mark the packets that `sock` sends from now on with this DSCP, 0 to 63.

    The two ECN bits beside it stay 0.  A refusal is logged once.  `family` None asks the socket.
    """
    if ignores_packet_marks():
        _tell_refusal("this system marks by policy only (New-NetQosPolicy -DSCPAction)")
        return
    octet = code_point << 2
    try:
        if (sock.family if family is None else family) == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, octet)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, octet)
    except OSError as exc:
        _tell_refusal(exc.strerror or str(exc))


def _tell_refusal(reason: str) -> None:
    if reason not in _refusals:
        _refusals.add(reason)
        logger.warning("packets leave without their DSCP mark: %s", reason)
