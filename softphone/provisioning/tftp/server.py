"""A TFTP server that sends files, sans I/O (RFC 1350, RFC 2347 to 2349).

Read requests in octet mode, with blksize, tsize and timeout; writing is refused.  All transfers
use the port that received the request; the client's address and port tell them apart.  The lab
uses it for its phones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from softphone.provisioning.tftp.client import PLAIN_BLOCK_SIZE, TftpTimes, decimal
from softphone.provisioning.tftp.packet import (
    AckPacket,
    DataPacket,
    ErrorPacket,
    MalformedTftpPacket,
    OackPacket,
    RequestPacket,
    TftpErrorCode,
    TftpPacket,
    parse_tftp_packet,
)
from softphone.sans_io import Flow, Target, Timers, Transmit

FileSource: TypeAlias = Callable[[str], bytes | None]
"""`source(name)`: the bytes of a file; None when there is no such file."""

_LARGEST_BLOCK = 1428  # no larger than what passes an Ethernet unfragmented
_LONGEST_TIMEOUT = 255  # RFC 2349


@dataclass(frozen=True, slots=True)
class TftpServed:
    """A transfer has ended; `why` is empty when the client acknowledged the last block."""

    name: str
    flow: Flow
    why: str = ""


@dataclass(slots=True)
class _Transfer:
    """One transfer; `block` counts from the start (0 is the OACK) and does not wrap at 65536."""

    request: RequestPacket
    content: bytes = field(repr=False)
    block_size: int
    times: TftpTimes
    options: dict[str, str]
    block: int
    sent: int = 0

    @property
    def ended(self) -> bool:
        """Whether the last block was acknowledged."""
        return self.block > len(self.content) // self.block_size + 1

    def packet(self) -> TftpPacket:
        """The packet to send now: OACK for block 0, else DATA."""
        if self.block == 0:
            return OackPacket(self.options)
        start = (self.block - 1) * self.block_size
        return DataPacket(self.block % 65536, self.content[start : start + self.block_size])


class TftpServer:
    """Answers read requests with files from `source`; at most `transfers` at once."""

    def __init__(
        self, source: FileSource, *, times: TftpTimes | None = None, transfers: int = 256
    ) -> None:
        self._source = source
        self._times = times or TftpTimes()
        self._most = transfers
        self._transfers: dict[Flow, _Transfer] = {}
        self._timers: Timers[Flow] = Timers()
        self._out: list[Transmit] = []
        self._events: deque[TftpServed] = deque()

    def __len__(self) -> int:
        return len(self._transfers)

    # Machine ------------------------------------------------------------------------------------

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Do nothing: a transfer begins with the request, in `receive`."""

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """End the transfer of a flow that has expired or whose socket was closed."""
        if isinstance(flow, Flow):
            self._end(flow, reason or "the socket was closed")

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Process one datagram; drop a malformed one."""
        try:
            packet = parse_tftp_packet(data)
        except MalformedTftpPacket:
            return
        if isinstance(packet, RequestPacket):
            self._requested(packet, flow, now)
        elif isinstance(packet, AckPacket):
            self._acknowledged(packet, flow, now)
        elif isinstance(packet, ErrorPacket):
            self._end(flow, packet.words)
        else:
            self._refuse(flow, TftpErrorCode.ILLEGAL_OPERATION, "not expected here")

    def handle_timer(self, *, now: float) -> None:
        """Retransmit unacknowledged packets, or end their transfers after the last attempt."""
        while (flow := self._timers.pop_due(now)) is not None:
            transfer = self._transfers[flow]
            if transfer.sent >= transfer.times.attempts:
                self._end(flow, "the far end went silent")
            else:
                self._transmit(flow, transfer, now)

    def next_timer(self) -> float | None:
        """The time of the next retransmission."""
        return self._timers.next_deadline()

    def transmits(self) -> list[Transmit]:
        """Remove and return what is to be sent."""
        out, self._out = self._out, []
        return out

    def next_event(self) -> TftpServed | None:
        """Remove and return the next ended transfer; None if there is none."""
        return self._events.popleft() if self._events else None

    # Requests -----------------------------------------------------------------------------------

    def _requested(self, request: RequestPacket, flow: Flow, now: float) -> None:
        running = self._transfers.get(flow)
        if running is not None:
            if running.request == request:
                return  # retransmitted by the client: our timer retransmits, too
            self._end(flow, "another file was asked for")
        if request.write:
            self._refuse(flow, TftpErrorCode.ACCESS_VIOLATION, "files are only read here")
            return
        if request.mode != "octet":
            self._refuse(flow, TftpErrorCode.ILLEGAL_OPERATION, "octet mode only")
            return
        if len(self._transfers) >= self._most:
            self._refuse(flow, TftpErrorCode.NOT_DEFINED, "too many transfers: come again later")
            return
        content = self._source(request.name)
        if content is None:
            self._refuse(flow, TftpErrorCode.FILE_NOT_FOUND, "file not found")
            return
        transfer = self._transfers[flow] = _negotiated(request, content, self._times)
        self._transmit(flow, transfer, now)

    def _acknowledged(self, packet: AckPacket, flow: Flow, now: float) -> None:
        transfer = self._transfers.get(flow)
        # An old acknowledgment is never answered with data (RFC 1123 section 4.2.3.1).
        if transfer is None or packet.block != transfer.block % 65536:
            return
        transfer.block += 1
        transfer.sent = 0
        if transfer.ended:
            self._end(flow, "")
        else:
            self._transmit(flow, transfer, now)

    def _transmit(self, flow: Flow, transfer: _Transfer, now: float) -> None:
        transfer.sent += 1
        self._out.append(Transmit(transfer.packet().encode(), flow))
        self._timers.set(flow, now + transfer.times.after(transfer.sent))

    def _refuse(self, flow: Flow, code: TftpErrorCode, why: str) -> None:
        self._out.append(Transmit(ErrorPacket(code, why).encode(), flow))

    def _end(self, flow: Flow, why: str) -> None:
        transfer = self._transfers.pop(flow, None)
        self._timers.cancel(flow)
        if transfer is not None:
            self._events.append(TftpServed(transfer.request.name, flow, why))


def _negotiated(request: RequestPacket, content: bytes, times: TftpTimes) -> _Transfer:
    """Negotiate the options of a transfer; unknown and invalid ones are left out of the OACK."""
    options: dict[str, str] = {}
    block_size = PLAIN_BLOCK_SIZE
    asked = decimal(request.options.get("blksize", ""))
    if asked is not None and 8 <= asked <= 65464:
        block_size = min(asked, _LARGEST_BLOCK)
        options["blksize"] = str(block_size)
    if "tsize" in request.options:
        options["tsize"] = str(len(content))
    seconds = decimal(request.options.get("timeout", ""))
    if seconds is not None and 1 <= seconds <= _LONGEST_TIMEOUT:
        options["timeout"] = str(seconds)
        times = replace(times, first=float(seconds), longest=max(times.longest, float(seconds)))
    return _Transfer(request, content, block_size, times, options, block=0 if options else 1)
