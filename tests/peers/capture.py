"""A packet capture on loopback: every UDP payload to or from given ports, by a raw socket."""

from __future__ import annotations

import secrets
import socket
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

ETHERNET = 14
ETH_P_IP = 0x0800
PROTOCOL_UDP = 17
LIMIT = 200_000
"""Payloads kept; a capture that outgrows it is an error, not a silent loss."""


@dataclass(frozen=True)
class Captured:
    """One UDP datagram as it was on the wire."""

    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes


class Capture:
    """Records UDP on the loopback device between `with` and its end; needs root.

    `datagrams` is what was seen, in order.  Each datagram is counted once, although loopback
    shows it on its way out and on its way in.
    """

    def __init__(self) -> None:
        self.datagrams: list[Captured] = []
        self._end = secrets.token_bytes(32)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        self._socket.bind(("lo", ETH_P_IP))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the capture; what was sent before is in `datagrams`.

        A datagram of our own marks the end: others may go on sending on loopback.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mark:
            mark.bind(("127.0.0.1", 0))
            while self._thread.is_alive():
                mark.sendto(self._end, mark.getsockname())
                self._thread.join(0.5)
        self._socket.close()

    def on_ports(self, *ports: int) -> list[Captured]:
        """The datagrams to or from one of these ports."""
        wanted = set(ports)
        return [one for one in self.datagrams if {one.source[1], one.destination[1]} & wanted]

    def sent_by(self, *ports: int) -> list[Captured]:
        """The datagrams from one of these ports."""
        return [one for one in self.datagrams if one.source[1] in ports]

    def _run(self) -> None:
        while True:
            frame, (_, _, kind, *_) = self._socket.recvfrom(65535)
            if kind == socket.PACKET_OUTGOING:
                continue
            captured = parse(frame)
            if captured is None:
                continue
            if captured.payload == self._end:
                return
            if len(self.datagrams) >= LIMIT:
                raise OverflowError(f"more than {LIMIT} datagrams were captured")
            self.datagrams.append(captured)


def parse(frame: bytes) -> Captured | None:
    """The UDP datagram in an Ethernet frame, None if it is anything else."""
    packet = frame[ETHERNET:]
    header = (packet[0] & 0x0F) * 4 if packet else 0
    if len(packet) < header + 8 or header < 20 or packet[9] != PROTOCOL_UDP:
        return None
    udp = packet[header:]
    length = int.from_bytes(udp[4:6], "big")
    return Captured(
        (socket.inet_ntoa(packet[12:16]), int.from_bytes(udp[0:2], "big")),
        (socket.inet_ntoa(packet[16:20]), int.from_bytes(udp[2:4], "big")),
        udp[8:length],
    )
