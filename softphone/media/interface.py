"""The API of the media plane: commands down, events and statistics up.

Commands take effect in the order in which they are given and need no reply.  Nothing above this
layer holds an array of the bank.  A `StreamHandle`, `(row, generation)`, names a stream.  The
handle of a closed stream raises `StaleHandle` instead of reaching the stream that uses the row
now.

The media loop calls sources (`read`) and sinks (`write`); they must not block.  Rings, files and
tones that implement them are in `softphone.media.audio.sources`.

RFC 3550 (RTP), RFC 3711 (SRTP), RFC 4733 (digits).  This module has no clock and no socket.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.events import Direction, PacketCounts, StreamStatistics
from softphone.fast_dataclass import fast_init
from softphone.sans_io import Address
from softphone.security import CryptoSuite, KeyMaterial

Pcm: TypeAlias = npt.NDArray[np.int16]
"""Linear 16-bit mono samples, int16[samples]."""


class StaleHandle(LocalProtocolError):
    """The handle's stream has been closed."""


# Configuration ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PortRange:
    """The UDP ports for media, both ends included; RTP takes the even ones.

    Raises ConfigurationError when the range is invalid or holds no pair.
    """

    first: int = 40000
    last: int = 49999

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.last <= 65535:
            raise ConfigurationError(f"the media ports {self.first}-{self.last} are not a range")
        if self.pairs < 1:
            raise ConfigurationError(
                f"the media ports {self.first}-{self.last} hold no even port followed by an odd one"
            )

    @property
    def pairs(self) -> int:
        """The number of pairs of an even RTP port and the odd RTCP port after it."""
        even = self.first + (self.first & 1)
        return max(0, (self.last - even + 1) // 2)


class SocketSharing(StrEnum):
    """How streams share sockets.

    `PER_CALL`: one pair of ports per stream, which is what peers expect.  `SHARED`: many streams on
    one pair, distinguished by the far ends' addresses; cheaper, for load generation (IPv4 only).
    """

    PER_CALL = "per-call"
    SHARED = "shared"


class Placement(StrEnum):
    """Where the media loop runs.

    `INLINE`: in the application's event loop.  `WORKER`: in separate processes, so that the
    application cannot delay it (Linux only).
    """

    INLINE = "inline"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """The configuration of the media plane.

    `host` is the local address that sockets are bound to.  A call names another: the local address
    of its signaling connection, so that the default serves a remote server, too.
    `capacity` is the maximum number of open streams.  `receive_buffer` is the SO_RCVBUF of each
    socket in bytes (times eight for a shared socket).  A stream that should receive emits
    `StreamTimedOut` after `stream_timeout` seconds without a valid packet, once until media flows
    again; `expect_packets` sets another time for one stream.  `rtcp_interval` is the minimum RTCP
    interval of RFC 3550 in seconds.  `placement` is where the media loop runs, as a `Placement` or
    its string ("worker").  With workers there are `workers` processes, best one per core, each with
    `capacity` streams and a share of the ports.

    Raises ConfigurationError for an unknown placement, or fewer than one worker.
    """

    host: str = "127.0.0.1"
    ports: PortRange = field(default_factory=PortRange)
    sharing: SocketSharing = SocketSharing.PER_CALL
    capacity: int = 8192
    receive_buffer: int = 262_144
    stream_timeout: float = 30.0
    rtcp_interval: float = 5.0
    placement: Placement | str = Placement.INLINE
    workers: int = 1

    def __post_init__(self) -> None:
        if self.placement not in list(Placement):
            raise ConfigurationError(
                f'a media placement is "inline" or "worker", not {self.placement!r}'
            )
        if self.workers < 1:
            raise ConfigurationError("media in a worker needs one worker at least")


@fast_init
@dataclass(frozen=True, slots=True)
class SrtpKey:
    """One direction's SRTP key: `key` is the master key followed by the master salt (RFC 4568).

    `mki` is the master key identifier in every packet, b"" for none.
    """

    suite: CryptoSuite
    key: KeyMaterial
    mki: bytes = b""


@fast_init
@dataclass(frozen=True, slots=True)
class StreamSpec:
    """The negotiated parameters of a stream.

    `remote` is the numeric destination of RTP.  `remote_rtcp` is that of RTCP, by default the next
    port, or the same port under `rtcp_mux` (RFC 5761).  `codec` is the encoding name of the rtpmap
    in capitals ("PCMU", "PCMA", "L16", "G722", "OPUS"), `fmtp` the far end's format parameters.
    `payload_type` is the type we send, `receive_payload_type` the one we announced (None: the
    same).  `other_payload_types` are the types of the other codecs that the far end may change to,
    `other_codecs` their names.  When one of them arrives it is played at once and
    `PayloadTypeChanged` is emitted; what we send stays the same until the stream is opened again.
    `telephone_event` and `receive_telephone_event` are the sent and announced types of digits
    (RFC 4733), None where digits were not agreed; `telephone_event_rate` is their clock rate in Hz
    where it differs from the codec's.  `ptime_ms` is 10, 20, ... 60.

    `comfort_noise` is the payload type of comfort noise (RFC 3389) to send; while the source has no
    samples, nothing else is sent then.  Received comfort noise is always played.

    `send_key` and `receive_key` are both set (SRTP) or both None (clear RTP).  `cname` goes into
    SDES.  `security_generation` is stamped on every PCM block that the stream delivers.  It grows
    whenever the call's security level falls, and readers drop older blocks.

    With `symmetric`, media is sent back to the source of valid media (RFC 4961).  Under SRTP that
    is the source of each authenticated packet that is newer than all before it of its SSRC, but
    not of the first packet of an SSRC.  In clear it is another port of the signaled host, once,
    and, once for each `description`, a host in the networks `clear_latching` by the rules of
    `softphone.media.clear_latching`.  `description` is a number that changes with the far end's
    session description.  A stream on a shared socket does not follow its source.

    With `silence_suppression`, nothing is sent while the source has no samples; without it, silence
    is sent.  `measured` turns on the count of bursts and gaps.  `extended_reports` names the XR
    blocks sent with RTCP, as in RFC 3611 section 5.1: "voip-metrics" (which turns on the count,
    too) and "rcvr-rtt".

    `dscp` is the code point of the packets sent (RFC 2474); streams on a shared socket all have
    that of the one opened last.

    With `withheld` nothing is sent, whatever the direction: neither RTP nor RTCP.  What arrives is
    received as ever.

    Raises ConfigurationError when only one key is given, a number is out of its range,
    `other_codecs` does not match `other_payload_types`, or `cname` is not 1 to 255 octets long.
    """

    remote: Address
    codec: str = "PCMU"
    payload_type: int = 0
    receive_payload_type: int | None = None
    other_payload_types: tuple[int, ...] = ()
    other_codecs: tuple[str, ...] = ()
    fmtp: str = ""
    comfort_noise: int | None = None
    telephone_event_rate: int | None = None
    telephone_event: int | None = None
    receive_telephone_event: int | None = None
    remote_rtcp: Address | None = None
    rtcp_mux: bool = False
    ptime_ms: int = 20
    direction: Direction = Direction.SENDRECV
    send_key: SrtpKey | None = None
    receive_key: SrtpKey | None = None
    security_generation: int = 0
    symmetric: bool = True
    cname: str = "softphone"
    silence_suppression: bool = False
    measured: bool = False
    extended_reports: tuple[str, ...] = ()
    clear_latching: tuple[str, ...] = ()
    description: int = 0
    dscp: int = 0
    withheld: bool = False

    def __post_init__(self) -> None:
        if (self.send_key is None) is not (self.receive_key is None):
            raise ConfigurationError("a stream has SRTP keys for both directions or for none")
        if not 10 <= self.ptime_ms <= 60 or self.ptime_ms % 10:
            raise ConfigurationError(f"a ptime of {self.ptime_ms} ms is not 10, 20, ... 60")
        types = (
            self.payload_type,
            self.receive_payload_type,
            self.telephone_event,
            self.receive_telephone_event,
            self.comfort_noise,
            *self.other_payload_types,
        )
        for value in types:
            if value is not None and not 0 <= value <= 127:
                raise ConfigurationError("a payload type is outside 0 to 127")
        if self.other_codecs and len(self.other_codecs) != len(self.other_payload_types):
            raise ConfigurationError("each other payload type has the name of its codec, or none")
        if not 1 <= len(self.cname.encode()) <= 255:
            raise ConfigurationError("a CNAME has 1 to 255 octets")

    @property
    def secure(self) -> bool:
        """Whether the stream is SRTP."""
        return self.send_key is not None

    @property
    def sends(self) -> bool:
        """Whether RTP is sent."""
        return self.direction.sends and not self.withheld

    @property
    def received_codecs(self) -> dict[int, str]:
        """The names of the codecs that may arrive, by payload type."""
        received = self.receive_payload_type
        first = self.payload_type if received is None else received
        others = zip(self.other_payload_types, self.other_codecs, strict=False)
        return dict(others) | {first: self.codec}


# Names of streams -------------------------------------------------------------------------------


@fast_init
@dataclass(frozen=True, slots=True)
class StreamHandle:
    """The name of one stream: its row, and a number that differs for each use of that row."""

    row: int
    generation: int


@fast_init
@dataclass(frozen=True, slots=True)
class AllocatedStream:
    """A reserved stream and its local address and ports for the session description.

    `ssrc` is the initial SSRC; a new send key and an SSRC collision change it.
    """

    handle: StreamHandle
    host: str
    rtp_port: int
    rtcp_port: int
    ssrc: int


@dataclass(frozen=True, slots=True)
class PublicAddresses:
    """Where a stream's ports are reached from outside, as a STUN server saw them.

    `symmetric` is whether the NAT maps each destination to another public address (RFC 4787:
    address and port-dependent mapping), so that far ends reach none of these; None: unknown.
    """

    rtp: Address
    rtcp: Address
    symmetric: bool | None = None


# Sources and sinks ------------------------------------------------------------------------------


@fast_init
@dataclass(frozen=True, slots=True)
class PcmBlock:
    """Decoded sound, int16[samples]; the receiver owns the array, the engine never writes it again.

    `timestamp` is the media time of the first sample, in samples since the stream was opened.
    `captured` is the capture time of that sample in seconds since 1970, 0.0 if unknown.  With
    `captured_by_sender` it is on the far end's clock, from RTCP sender reports.  Otherwise it is on
    ours: the arrival time at the least transit observed lately, transit included.  `concealed`
    marks the substitute for a lost frame.
    """

    pcm: Pcm
    clock_rate_hz: int
    timestamp: int
    security_generation: int
    concealed: bool = False
    captured: float = 0.0
    captured_by_sender: bool = False


@runtime_checkable
class Source(Protocol):
    """A source of sound to send.

    One source may feed many streams.  It is read once for all of them, and each frame is encoded
    once for all streams with the same stateless codec.  Streams that share a source must agree in
    clock rate and ptime.
    """

    @property
    def clock_rate_hz(self) -> int:
        """The sample rate in Hz."""

    @property
    def ended(self) -> bool:
        """Whether no more samples will ever come."""

    def read(self, samples: int) -> Pcm:
        """Return at most `samples` samples, int16[n]; fewer when no more are available now."""


@runtime_checkable
class Sink(Protocol):
    """A destination of received sound."""

    @property
    def clock_rate_hz(self) -> int:
        """The sample rate in Hz that the sink accepts, 0 for any."""

    @property
    def dropped_samples(self) -> int:
        """The number of samples dropped, oldest first, because they were not read in time."""

    def write(self, block: PcmBlock) -> None:
        """Accept one block; must not block, and must not raise when full."""


# Events -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FirstPacketReceived:
    """The stream's first valid RTP packet arrived; `authenticated` is true under SRTP."""

    handle: StreamHandle
    source: Address
    authenticated: bool


class LatchCause(StrEnum):
    """Why the destination of media changed.

    `AUTHENTICATED`: authenticated SRTP came from the new address.  In clear: `PORT`, another port
    of the signaled host; `ADOPTED`, another host, allowed by `clear_latching`; `RETURNED`, the
    signaled host sent media after another host had been adopted.
    """

    AUTHENTICATED = "authenticated"
    PORT = "port"
    ADOPTED = "adopted"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class RemoteLatched:
    """Media now goes to `remote`, the source of valid media (RFC 4961)."""

    handle: StreamHandle
    remote: Address
    cause: LatchCause


@dataclass(frozen=True, slots=True)
class SsrcChanged:
    """The far end has changed its SSRC (RFC 3550 section 8)."""

    handle: StreamHandle
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class PayloadTypeChanged:
    """The far end has changed to another agreed codec."""

    handle: StreamHandle
    payload_type: int


@dataclass(frozen=True, slots=True)
class DigitDetected:
    """A digit was received as a telephone-event (RFC 4733); emitted once, at its end."""

    handle: StreamHandle
    digit: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class PlaybackEnded:
    """The source has ended and its last sample has been sent."""

    handle: StreamHandle


@dataclass(frozen=True, slots=True)
class StreamTimedOut:
    """No valid RTP or RTCP arrived for `seconds` on a stream whose direction receives."""

    handle: StreamHandle
    seconds: float


@dataclass(frozen=True, slots=True)
class RtcpByeReceived:
    """The far end sent an RTCP BYE; under SRTP only an authenticated one counts."""

    handle: StreamHandle
    reason: str


@dataclass(frozen=True, slots=True)
class MediaFailed:
    """The stream is lost: its worker died or could not execute a command, as `reason` says."""

    handle: StreamHandle
    reason: str


MediaEvent: TypeAlias = (
    FirstPacketReceived
    | RemoteLatched
    | SsrcChanged
    | PayloadTypeChanged
    | DigitDetected
    | PlaybackEnded
    | StreamTimedOut
    | RtcpByeReceived
    | MediaFailed
)

EventCallback: TypeAlias = Callable[[MediaEvent], None]
"""Called in the event loop, between two phases, never from inside a command."""


# The port ---------------------------------------------------------------------------------------


class MediaBackend(Protocol):
    """The commands and statistics of the media plane.

    Every method but `allocate_stream` raises StaleHandle for a handle whose stream was closed, and
    LocalProtocolError for a command that needs an open stream before `open_stream`.
    """

    def allocate_stream(
        self, *, host: str | None = None, on_event: EventCallback | None = None
    ) -> AllocatedStream:
        """Reserve a row and bind a pair of ports; nothing is sent or accepted before `open_stream`.

        Raises NoPortFree.
        """

    def rebind_stream(self, handle: StreamHandle, host: str) -> AllocatedStream:
        """Move a stream to new ports at another local address; what it sends and plays goes on.

        Raises NoPortFree, and MediaError where the ports cannot be moved; then nothing changes.
        """

    async def find_public_addresses(self, handle: StreamHandle, server: Address) -> PublicAddresses:
        """Ask a STUN server from the ports of a stream (RFC 8489).

        Packets to an open stream are lost meanwhile: ask before far ends know the ports.  Raises
        MediaError when it does not answer, or where the ports are shared or belong to a worker.
        """

    def open_stream(self, handle: StreamHandle, spec: StreamSpec) -> None:
        """Start the stream, or renegotiate an open one: `spec` replaces the old one entirely.

        Timestamps continue.  SSRC and sequence numbers continue while the send key has the same
        bytes.  With another send key both are new, because its nonces may have been used before
        (RFC 3711 section 9.1).  A receive key that is used again keeps its replay windows.
        Raises ConfigurationError for an unknown codec, packets longer than an Ethernet frame holds,
        a key of the wrong length, or more than 32 receive keys in a stream's life.
        """

    def rekey(
        self,
        handle: StreamHandle,
        *,
        send_key: SrtpKey | None,
        receive_key: SrtpKey | None,
        security_generation: int,
    ) -> None:
        """Replace the keys (None: clear RTP from now on) and the security generation.

        A new send key brings a new SSRC and sequence number; see `open_stream`.
        """

    def set_remote(
        self, handle: StreamHandle, remote: Address, remote_rtcp: Address | None = None
    ) -> None:
        """Send to another address and forget the latched one; the signaled one changes nothing."""

    def set_direction(self, handle: StreamHandle, direction: Direction) -> None:
        """Set whether RTP is sent and received; RTCP continues in any case (RFC 3264 5.1)."""

    def expect_packets(self, handle: StreamHandle, patience: float) -> None:
        """Emit `StreamTimedOut` after `patience` seconds of silence, counted from now; 0: never.

        Only authenticated packets end a silence under SRTP, and RTCP does so as well as RTP.
        """

    def play(self, handle: StreamHandle, source: Source | None) -> None:
        """Send the samples of `source`, from the next frame on; None sends silence."""

    def record(self, handle: StreamHandle, sink: Sink | None) -> None:
        """Deliver received sound to `sink`; None stops delivery and decoding."""

    def monitor(self, handle: StreamHandle, sink: Sink | None) -> None:
        """Deliver sent sound to `sink`, before encoding, with its media time; None stops.

        Silence is delivered as zeros.  Nothing is delivered while the direction does not send.
        """

    def send_digits(self, handle: StreamHandle, digits: str, *, duration_ms: int = 100) -> None:
        """Send digits (0-9 * # A-D, and "," for a pause of 500 ms) as telephone-events.

        Raises ConfigurationError for another character, LocalProtocolError where telephone-event
        was not negotiated.
        """

    def mute(self, handle: StreamHandle, muted: bool) -> None:
        """Send silence in place of the source; the source is still read."""

    def pause(self, handle: StreamHandle, paused: bool) -> None:
        """Send silence from the next frame on and leave the source unread, or go on with it."""

    def close_stream(self, handle: StreamHandle) -> None:
        """End the stream: send RTCP BYE and free its row and its ports."""

    def statistics(self, handle: StreamHandle) -> StreamStatistics:
        """Return a snapshot of the stream's statistics."""

    def freeze_statistics(self, handle: StreamHandle) -> Callable[[], StreamStatistics]:
        """Return a function that makes the snapshot of now, whenever it is called."""

    def packet_counts(self, handle: StreamHandle) -> PacketCounts:
        """Return the packets counted in the stream's statistics, at a twentieth of their cost."""
