"""SIP messages as a Homer server takes them: HEP version 3 over UDP, secrets and texts masked.

What a capture node beside a server cannot read under TLS is sent from here, in clear: to a
collector on this host or in a network that may see who calls whom.  Media are not sent.

Source: the HEP3 network protocol specification of the Homer project.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import struct
import time
from collections.abc import Callable
from typing import Self

from softphone.diagnostics.redact import mask
from softphone.diagnostics.stream_framers import StreamFramers
from softphone.errors import ConfigurationError
from softphone.sans_io import Address, Flow, Transport
from softphone.sip.message import CrlfKeepAlive, ParseFailure, Request, Response, parse_datagram

logger = logging.getLogger("softphone.diagnostics")

DEFAULT_PORT = 9060
AGENT = 0x736F6674
"""The id under which the collector shows what we send, unless another is given."""
_CONNECTIONS = 256
_LONGEST = 16 * 1024
"""Octets of a message that is sent: anybody can send us more, and masking takes time."""
_HEADER = b"HEP3"
_GENERIC = 0

_FAMILY, _PROTOCOL = 0x0001, 0x0002
_SOURCE_4, _DESTINATION_4, _SOURCE_6, _DESTINATION_6 = 0x0003, 0x0004, 0x0005, 0x0006
_SOURCE_PORT, _DESTINATION_PORT = 0x0007, 0x0008
_SECONDS, _MICROSECONDS, _KIND, _AGENT = 0x0009, 0x000A, 0x000B, 0x000C
_PAYLOAD, _CORRELATION = 0x000F, 0x0011
_IPV4, _IPV6 = 2, 10  # as Linux numbers the families, whatever this machine does
_UDP, _TCP = 17, 6
_SIP = 1


def encode_hep(
    message: bytes,
    *,
    source: Address,
    destination: Address,
    transport: Transport,
    at: float,
    call_id: str = "",
    agent: int = AGENT,
) -> bytes:
    """Encode a SIP message as one HEP3 packet; `at` is in seconds since 1970.

    Raises ValueError for an address that is not an IP address.
    """
    ends = [ipaddress.ip_address(host.partition("%")[0]) for host, _ in (source, destination)]
    six = any(end.version == 6 for end in ends)
    packed = [_as_six(end) if six else end.packed for end in ends]
    microseconds = round(at * 1e6)
    chunks = (
        (_FAMILY, struct.pack(">B", _IPV6 if six else _IPV4)),
        (_PROTOCOL, struct.pack(">B", _UDP if transport is Transport.UDP else _TCP)),
        (_SOURCE_6 if six else _SOURCE_4, packed[0]),
        (_DESTINATION_6 if six else _DESTINATION_4, packed[1]),
        (_SOURCE_PORT, struct.pack(">H", source[1])),
        (_DESTINATION_PORT, struct.pack(">H", destination[1])),
        (_SECONDS, struct.pack(">I", microseconds // 1_000_000)),
        (_MICROSECONDS, struct.pack(">I", microseconds % 1_000_000)),
        (_KIND, struct.pack(">B", _SIP)),
        (_AGENT, struct.pack(">I", agent)),
        *([(_CORRELATION, call_id.encode())] if call_id else ()),
        (_PAYLOAD, message),
    )
    body = b"".join(
        struct.pack(">HHH", _GENERIC, kind, 6 + len(data)) + data for kind, data in chunks
    )
    return _HEADER + struct.pack(">H", 6 + len(body)) + body


def _as_six(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    return (address if address.version == 6 else ipaddress.IPv6Address(f"::ffff:{address}")).packed


class HepSender:
    """A Tap that sends each SIP message to a collector, until it is closed; a context manager.

    A message is dropped and counted where it is malformed, longer than 16 KiB, or not taken by
    this machine's socket at once: the calls never wait.  `wall` gives seconds since 1970.

    Raises ConfigurationError when the collector's name has no address.
    """

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        *,
        agent: int = AGENT,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.sent = 0
        self.dropped = 0
        self._agent = agent
        self._wall = wall
        self._framers = StreamFramers(_CONNECTIONS)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            family, _, _, _, place = found[0]
            self.collector: Address = (str(place[0]), int(place[1]))
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as exc:
            why = exc.strerror or str(exc)
            raise ConfigurationError(f"the HEP collector {host}: {why}") from exc
        self._socket.setblocking(False)

    def signaling(self, data: bytes, *, flow: Flow, outgoing: bool, now: float) -> None:
        """Send the message of a datagram, or those that a piece of a stream completes."""
        if flow.transport is Transport.UDP:
            items = [parse_datagram(data)]
        else:
            items = self._framers.feed(data, flow, outgoing)
        for item in items:
            if isinstance(item, ParseFailure):
                self.dropped += 1
            elif not isinstance(item, CrlfKeepAlive):
                self._send(item, flow, outgoing)

    def datagram(
        self, data: bytes, *, local: Address, remote: Address, outgoing: bool, now: float
    ) -> None:
        """Ignore media."""

    def _send(self, item: Request | Response, flow: Flow, outgoing: bool) -> None:
        message = item.encode()
        if len(message) > _LONGEST:
            self.dropped += 1
            return
        source, destination = flow.local, flow.remote
        if not outgoing:
            source, destination = destination, source
        masked = mask(message.decode("latin-1"), evenly=True).encode("latin-1")
        if item.cseq.method == "MESSAGE":
            # What people write to one another is no signaling, and goes on in clear from here.
            masked = masked[: len(masked) - len(item.body)] + b"*" * len(item.body)
        packet = encode_hep(
            masked,
            source=source,
            destination=destination,
            transport=flow.transport,
            at=self._wall(),
            call_id=item.call_id,
            agent=self._agent,
        )
        try:
            self._socket.sendto(packet, self.collector)
            self.sent += 1
        except OSError as exc:
            if not self.dropped:
                logger.warning("the HEP collector takes nothing now: %s", exc.strerror)
            self.dropped += 1

    def __enter__(self) -> Self:
        """Return the sender, which leaving closes."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; what comes later is dropped.  May be called more than once."""
        self._socket.close()
