"""A capture of what passes on loopback: code points, addresses and payloads of UDP and TCP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

HEADERS = {socket.IPPROTO_UDP: 8, socket.IPPROTO_TCP: 0}


@dataclass(frozen=True)
class Packet:
    """One packet of UDP or TCP over IPv4, with the code point of its IP header."""

    code_point: int
    origin: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes

    @property
    def source(self) -> int:
        """The port that it came from."""
        return self.origin[1]


class Capture:
    """All that passes on loopback."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    def packets(self) -> Iterator[Packet]:
        """What has passed so far."""
        while True:
            try:
                frame, (_, _, kind, *_) = self._socket.recvfrom(65535)
            except BlockingIOError:
                return
            packet = frame[14:]
            head = (packet[0] & 0x0F) * 4
            above = packet[head:]
            if kind == socket.PACKET_OUTGOING or packet[9] not in HEADERS:
                continue
            length = HEADERS[packet[9]] or (above[12] >> 4) * 4
            ports = [int.from_bytes(above[at : at + 2], "big") for at in (0, 2)]
            hosts = [socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16)]
            origin, destination = zip(hosts, ports, strict=True)
            yield Packet(packet[1] >> 2, origin, destination, above[length:])


@contextmanager
def loopback_capture() -> Iterator[Capture]:
    """Capture from now on; skips the test where that is not possible."""
    if not hasattr(socket, "AF_PACKET"):
        pytest.skip("this system has no AF_PACKET")
    try:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    except PermissionError:
        pytest.skip("a capture needs root or CAP_NET_RAW")
    with opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        opened.setblocking(False)
        opened.bind(("lo", 0x0800))
        yield Capture(opened)
