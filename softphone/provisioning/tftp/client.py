"""A TFTP client that reads one file, sans I/O (RFC 1350, RFC 2347 to 2349).

Octet mode, with the options blksize, tsize and timeout, or without them where the server knows
none.  Anybody who knows our port can send packets, so the caller must verify the file's signature.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from softphone.backoff import ExponentialBackoff
from softphone.errors import TransportError, TransportTimeout
from softphone.provisioning.fetch_error import (
    DownloadRefused,
    FetchError,
    FileMissing,
    FileTooLarge,
)
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

PLAIN_BLOCK_SIZE = 512
_SMALLEST_BLOCK = 8  # RFC 2348


@dataclass(frozen=True, slots=True)
class TftpTimes:
    """The retransmission timer: `first` seconds, doubled each time, `longest` at most.

    After `attempts` transmissions of the same packet without an answer the transfer fails.
    """

    first: float = 1.0
    longest: float = 8.0
    attempts: int = 4

    def after(self, sent: int) -> float:
        """Seconds to wait after the `sent`-th transmission of the same packet."""
        return ExponentialBackoff(self.first, self.longest).delay(sent - 1)


@dataclass(frozen=True, slots=True)
class TftpReceived:
    """The transfer is complete; `data` is the whole file."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TftpFailed:
    """The transfer failed: FileMissing, FileTooLarge, DownloadRefused or TransportError."""

    error: TransportError


TftpEvent: TypeAlias = TftpReceived | TftpFailed


class DownloadState(Enum):
    """REQUESTED until the server's first packet; TRANSFERRING until the last block."""

    REQUESTED = "requested"
    TRANSFERRING = "transferring"
    COMPLETED = "completed"
    FAILED = "failed"


def decimal(text: str) -> int | None:
    """Parse the decimal value of an option, 12 digits at most; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None


class TftpDownload:
    """Reads one file from one server; fails as soon as it exceeds `limit` bytes.

    A machine (`softphone.sans_io`) over UDP; `target` is the server's well-known port.  The port
    that the server answers from is its transfer identifier (TID); packets from any other source
    are answered with error 5, and change nothing (RFC 1350 section 4).
    """

    def __init__(
        self,
        name: str,
        target: Target,
        *,
        limit: int = 1 << 20,
        block_size: int = 1428,
        times: TftpTimes | None = None,
    ) -> None:
        self._name = name
        self._target = target
        self._limit = limit
        self._times = times or TftpTimes()
        self._asked = {
            "blksize": str(block_size),
            "tsize": "0",
            "timeout": str(max(1, round(self._times.first))),
        }
        self._block_size = PLAIN_BLOCK_SIZE
        self._well_known: Flow | None = None
        self._peer: Flow | None = None
        self._data = bytearray()
        self._blocks = 0
        self._last: bytes = b""
        self._sent = 0
        self._timers: Timers[str] = Timers()
        self._out: list[Transmit] = []
        self._events: deque[TftpEvent] = deque()
        self.state = DownloadState.REQUESTED

    def start(self, *, now: float) -> None:
        """Send the read request (RRQ)."""
        self._send_packet(RequestPacket(self._name, "octet", self._asked), now)

    # Machine ------------------------------------------------------------------------------------

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Remember the flow to the server; a flow that a peer opened has no `target`."""
        if target is not None:
            self._well_known = flow

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """Fail: the server cannot be reached, or the socket was closed."""
        if flow in (self._target, self._well_known, self._peer):
            self._fail(TransportError(f"{self._name}: {reason or 'the socket was closed'}"))

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Process one datagram; drop a malformed one."""
        try:
            packet = parse_tftp_packet(data)
        except MalformedTftpPacket:
            return
        if self.state is DownloadState.FAILED:
            return
        if not self._is_server(flow):
            self._turn_away(packet, flow)
        elif isinstance(packet, ErrorPacket):
            self._refused(packet, now)
        elif isinstance(packet, OackPacket):
            self._agreed(packet, flow, now)
        elif isinstance(packet, DataPacket):
            self._block(packet, flow, now)

    def handle_timer(self, *, now: float) -> None:
        """Retransmit the last packet, or fail after the last attempt."""
        if self._timers.pop_due(now) is None:
            return
        if self._sent >= self._times.attempts:
            self._fail(
                TransportTimeout(
                    f"the TFTP server {self._target.host} port {self._target.port} went silent"
                    f" over {self._name}"
                )
            )
        else:
            self._transmit(now)

    def next_timer(self) -> float | None:
        """The time of the next retransmission."""
        return self._timers.next_deadline()

    def transmits(self) -> list[Transmit]:
        """Remove and return what is to be sent."""
        out, self._out = self._out, []
        return out

    def next_event(self) -> TftpEvent | None:
        """Remove and return the result; None before there is one."""
        return self._events.popleft() if self._events else None

    # The server's packets -----------------------------------------------------------------------

    def _is_server(self, flow: Flow) -> bool:
        if self._peer is not None:
            return flow == self._peer
        return self._well_known is not None and flow.remote[0] == self._well_known.remote[0]

    def _turn_away(self, packet: TftpPacket, flow: Flow) -> None:
        if not isinstance(packet, ErrorPacket):  # an error is never answered
            refusal = ErrorPacket(TftpErrorCode.UNKNOWN_TRANSFER_ID, "unknown transfer ID")
            self._out.append(Transmit(refusal.encode(), flow))

    def _refused(self, packet: ErrorPacket, now: float) -> None:
        if self.state is DownloadState.COMPLETED:
            return
        requested = self.state is DownloadState.REQUESTED
        if requested and packet.code == TftpErrorCode.OPTION_REFUSED and self._asked:
            self._asked = {}
            self.start(now=now)
            return
        sentence = f"the TFTP server did not send {self._name}: {packet.words}"
        kind = FileMissing if packet.code == TftpErrorCode.FILE_NOT_FOUND else DownloadRefused
        self._fail(kind(sentence))

    def _agreed(self, packet: OackPacket, flow: Flow, now: float) -> None:
        if self.state is not DownloadState.REQUESTED:
            if self.state is DownloadState.TRANSFERRING and self._blocks == 0:
                self._out.append(Transmit(self._last, flow))  # our answer to it was lost
            return
        options = packet.options
        size = decimal(options.get("blksize", str(PLAIN_BLOCK_SIZE)))
        most = decimal(self._asked.get("blksize", "0")) or 0
        honest = set(options) <= set(self._asked)
        if "blksize" in options:
            honest = honest and size is not None and _SMALLEST_BLOCK <= size <= most
        if "timeout" in options:
            honest = honest and options["timeout"] == self._asked.get("timeout")
        if not honest or size is None:
            self._abort(TftpErrorCode.OPTION_REFUSED, flow, "answered with options never asked for")
            return
        announced = decimal(options.get("tsize", "0"))
        if announced is None or announced > self._limit:
            self._too_large(flow)
            return
        self._block_size = size
        self._begin(flow)
        self._send_packet(AckPacket(0), now)

    def _block(self, packet: DataPacket, flow: Flow, now: float) -> None:
        if self.state is DownloadState.REQUESTED:
            if packet.block != 1:
                return
            self._begin(flow)  # a server without options
        if packet.block == self._blocks % 65536 and self._blocks:
            # Our acknowledgment was lost.  The sender does not answer it with data (RFC 1123
            # section 4.2.3.1), so nothing doubles.
            self._out.append(Transmit(AckPacket(packet.block).encode(), flow))
            return
        if self.state is not DownloadState.TRANSFERRING:
            return
        if packet.block != (self._blocks + 1) % 65536:
            return
        if len(packet.data) > self._block_size:
            self._abort(TftpErrorCode.ILLEGAL_OPERATION, flow, "sent a block larger than agreed")
            return
        if len(self._data) + len(packet.data) > self._limit:
            self._too_large(flow)
            return
        self._data += packet.data
        self._blocks += 1
        self._send_packet(AckPacket(packet.block), now)
        if len(packet.data) < self._block_size:
            self._timers.cancel("again")
            self.state = DownloadState.COMPLETED
            self._events.append(TftpReceived(bytes(self._data)))

    # Ends ---------------------------------------------------------------------------------------

    def _begin(self, flow: Flow) -> None:
        self._peer = flow
        self.state = DownloadState.TRANSFERRING

    def _too_large(self, flow: Flow) -> None:
        why = FileTooLarge(f"{self._name} is larger than {self._limit} bytes: it is not taken")
        self._abort(TftpErrorCode.DISK_FULL, flow, str(why), why)

    def _abort(
        self, code: TftpErrorCode, flow: Flow, why: str, error: FetchError | None = None
    ) -> None:
        self._out.append(Transmit(ErrorPacket(code, "refused").encode(), flow))
        self._fail(error or DownloadRefused(f"{self._name}: the TFTP server {why}"))

    def _fail(self, error: TransportError) -> None:
        if self.state in (DownloadState.COMPLETED, DownloadState.FAILED):
            return
        self.state = DownloadState.FAILED
        self._timers.cancel("again")
        self._data.clear()
        self._events.append(TftpFailed(error))

    # Sending ------------------------------------------------------------------------------------

    def _send_packet(self, packet: TftpPacket, now: float) -> None:
        self._last = packet.encode()
        self._sent = 0
        self._transmit(now)

    def _transmit(self, now: float) -> None:
        self._sent += 1
        self._out.append(Transmit(self._last, self._peer or self._target))
        self._timers.set("again", now + self._times.after(self._sent))
