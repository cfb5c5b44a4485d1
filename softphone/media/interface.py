"""What the layers above see of the media plane: commands down, events and snapshots up.

Commands are one-way and take effect in the order in which they are given; nothing above this
layer holds an array of the bank or waits for a reply.  A stream is named by a `StreamHandle`,
`(row, generation)`: a handle whose stream was closed raises `StaleHandle` instead of touching
the stream that has its row now.

Sources and sinks are small objects with one method, called from the media loop; they must not
block.  Rings, files and tones that satisfy them are in `softphone.media.audio.sources`.

RFC 3550 (RTP), RFC 3711 (SRTP), RFC 4733 (digits).  No clock and no socket here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from softphone.errors import ConfigurationError, LocalProtocolError, SoftphoneError
from softphone.events import Direction, StreamStatistics
from softphone.fast_dataclass import fast_init
from softphone.sans_io import Address
from softphone.security import CryptoSuite, KeyMaterial

Pcm: TypeAlias = npt.NDArray[np.int16]
"""Linear 16-bit mono samples, int16[samples]."""


class MediaError(SoftphoneError):
    """The media plane could not do what was asked."""


class NoPortFree(MediaError):
    """Every port pair of the configured range is in use, or the rows are used up."""


class StaleHandle(LocalProtocolError):
    """The handle's stream has been closed."""


# Configuration ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PortRange:
    """The UDP ports that media may use, both ends included; RTP takes the even ones.

    Raises ConfigurationError when not even one pair fits.
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
        """How many pairs of an even RTP port and the odd RTCP port after it there are."""
        even = self.first + (self.first & 1)
        return max(0, (self.last - even + 1) // 2)


class SocketSharing(StrEnum):
    """How streams share sockets.

    `PER_CALL`: a pair of ports for each stream, which is what peers expect.  `SHARED`: many
    streams on one pair, told apart by their far ends' addresses; cheaper, for load generation.
    """

    PER_CALL = "per-call"
    SHARED = "shared"


class Placement(StrEnum):
    """Where the media loop runs.

    `INLINE`: in the application's own event loop.  `WORKER`: in processes of its own, so that
    nothing that the application does keeps it from running (Linux only).
    """

    INLINE = "inline"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """How the media plane runs.

    `host` is the local address that sockets are bound to unless `allocate_stream` names another.
    `capacity` bounds the streams open at once.  `receive_buffer` is what is asked of SO_RCVBUF,
    in bytes a socket (a shared socket asks for eight times as much).  After `stream_timeout`
    seconds without a valid packet on a stream that should receive, `StreamTimedOut` is told, once
    until media flows again.  `rtcp_interval` is RFC 3550's minimum interval in seconds.
    `placement` says where the media loop runs, by its word too ("worker"); then there are
    `workers` processes, best one a core, each with `capacity` streams and a share of the ports.

    Raises ConfigurationError for an unknown placement, or less than one worker.
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
    """One direction's SRTP key: `key` is the master key followed by the master salt (RFC 4568)."""

    suite: CryptoSuite
    key: KeyMaterial


@fast_init
@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What a stream is, as negotiated.

    `remote` is where RTP goes, numeric; `remote_rtcp` where RTCP goes, by default the port after
    it, or the same one under `rtcp_mux` (RFC 5761).  `codec` is the rtpmap's encoding name in
    capitals ("PCMU", "PCMA", "L16", "G722", "OPUS"), `fmtp` what the far end says of how it wants
    that.  `payload_type` is the one we send with, `receive_payload_type` the one we announced
    (None: the same).  `other_payload_types` are those of the other codecs that the far end may
    change to, and `other_codecs` their names: when one of them arrives it is heard at once, and
    told (`PayloadTypeChanged`); we go on sending what we send until the stream is opened anew.
    `telephone_event` and `receive_telephone_event` likewise (RFC 4733), None where digits were not
    agreed on, with their own clock rate where it is not the codec's.

    `comfort_noise` is the payload type of comfort noise (RFC 3389) where we are to send it: then
    nothing else is sent while the source has nothing.  What comes of it is always played.

    `send_key` and `receive_key` are both there (SRTP) or both None (RTP in clear).  `cname` goes
    into SDES.  `security_generation` is stamped on every block of PCM that the stream delivers:
    it grows whenever the call's security level falls, and a reader drops older blocks.

    With `symmetric`, media is sent back to where valid media comes from (RFC 4961): under SRTP
    the source of the first authenticated packet, in clear only another port of the signaled
    address; SRTP moves again after each packet from a new source that is authenticated and newer
    than all before of its SSRC.  In clear a host of the networks `clear_latching` is followed, too,
    once for each `description` (a number that changes with the far end's session description), as
    `softphone.media.clear_latching` has it; not on a shared socket.

    With `silence_suppression`, nothing is sent while the source has nothing; else silence is.
    `measured` keeps account of bursts and gaps; `extended_reports` are those that go with RTCP, by
    their names in RFC 3611 section 5.1 ("voip-metrics", which is measured, too, "rcvr-rtt").

    Raises ConfigurationError when only one key is given, or a number is out of its range.
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
        if any(value is not None and not 0 <= value <= 127 for value in types):
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
    def received_codecs(self) -> dict[int, str]:
        """The codecs that may arrive, by payload type."""
        received = self.receive_payload_type
        first = self.payload_type if received is None else received
        others = zip(self.other_payload_types, self.other_codecs, strict=False)
        return dict(others) | {first: self.codec}


# Names of streams -------------------------------------------------------------------------------


@fast_init
@dataclass(frozen=True, slots=True)
class StreamHandle:
    """The name of one stream: its row in the bank, and which use of that row."""

    row: int
    generation: int


@fast_init
@dataclass(frozen=True, slots=True)
class AllocatedStream:
    """A reserved stream and the local ports that go into the session description.

    `ssrc` is what it begins with: another send key brings another one.
    """

    handle: StreamHandle
    host: str
    rtp_port: int
    rtcp_port: int
    ssrc: int


# Sources and sinks ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PcmBlock:
    """Decoded sound: int16[samples], owned by the receiver, never written to again by the engine.

    `timestamp` is the media time of its first sample, in samples since the stream was opened.
    `captured` is when the far end captured that, in seconds since 1970: by its own clock, as its
    RTCP tells (`captured_by_sender`), or by ours as it would have come on the quickest way so far,
    transit included; 0.0 is unknown.
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
    """Where sent sound comes from.

    One source may feed many streams: it is read once for all of them, and what it gave is encoded
    once for all that share a codec.  Streams that share a source must agree in clock rate and
    ptime.
    """

    @property
    def clock_rate_hz(self) -> int:
        """The rate of its samples."""

    @property
    def ended(self) -> bool:
        """Whether nothing will ever come any more."""

    def read(self, samples: int) -> Pcm:
        """Take out at most `samples` samples, int16[n]; fewer means that no more are there now."""


@runtime_checkable
class Sink(Protocol):
    """Where received sound goes."""

    @property
    def clock_rate_hz(self) -> int:
        """The rate of samples that it takes, 0 for any."""

    @property
    def dropped_samples(self) -> int:
        """How many samples were dropped, oldest first, because nobody took them out."""

    def write(self, block: PcmBlock) -> None:
        """Take one block; never blocks, never raises for want of room."""


# Events -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FirstPacketReceived:
    """The stream's first valid RTP packet came; `authenticated` under SRTP."""

    handle: StreamHandle
    source: Address
    authenticated: bool


class LatchCause(StrEnum):
    """Why media goes elsewhere.

    `AUTHENTICATED`: SRTP from there.  In clear, `PORT`: another port of the signaled host;
    `ADOPTED`: another host, as `clear_latching` allows; `RETURNED`: the signaled host has spoken
    after one was adopted.
    """

    AUTHENTICATED = "authenticated"
    PORT = "port"
    ADOPTED = "adopted"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class RemoteLatched:
    """Media goes to `remote` from now on, since valid media comes from there (RFC 4961)."""

    handle: StreamHandle
    remote: Address
    cause: LatchCause


@dataclass(frozen=True, slots=True)
class SsrcChanged:
    """The far end sends with another SSRC now (RFC 3550 section 8)."""

    handle: StreamHandle
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class PayloadTypeChanged:
    """The far end sends with another of the codecs that were agreed."""

    handle: StreamHandle
    payload_type: int


@dataclass(frozen=True, slots=True)
class DigitDetected:
    """A digit was received as a telephone-event (RFC 4733); told once, at its end."""

    handle: StreamHandle
    digit: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class PlaybackEnded:
    """The source has ended and its last sample has been sent."""

    handle: StreamHandle


@dataclass(frozen=True, slots=True)
class StreamTimedOut:
    """No valid packet came for `seconds` though the direction says that one should."""

    handle: StreamHandle
    seconds: float


@dataclass(frozen=True, slots=True)
class RtcpByeReceived:
    """The far end's RTCP says BYE; under SRTP only an authenticated one is told."""

    handle: StreamHandle
    reason: str


@dataclass(frozen=True, slots=True)
class MediaFailed:
    """The stream is lost, and `reason` says why: its worker has died, or cannot do a command."""

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
    """The commands and snapshots of the media plane.

    Every method but `allocate_stream` raises StaleHandle for a handle whose stream was closed, and
    LocalProtocolError for a command that needs an open stream before `open_stream`.
    """

    def allocate_stream(
        self, *, host: str | None = None, on_event: EventCallback | None = None
    ) -> AllocatedStream:
        """Reserve a row and bind a pair of ports; nothing is sent or accepted before `open_stream`.

        Raises NoPortFree.
        """

    def open_stream(self, handle: StreamHandle, spec: StreamSpec) -> None:
        """Start the stream, or renegotiate an open one: all of `spec` replaces what was.

        Timestamps go on; so do SSRC and sequence numbers while the send key is the same bytes.
        With another one both are new, as its nonces may have been used before (RFC 3711 9.1).  A
        receive key that comes back has its replay windows still.
        Raises ConfigurationError for an unknown codec, packets longer than Ethernet's, a key of
        the wrong length, or more than 32 receive keys in a stream's life.
        """

    def rekey(
        self,
        handle: StreamHandle,
        *,
        send_key: SrtpKey | None,
        receive_key: SrtpKey | None,
        security_generation: int,
    ) -> None:
        """Replace the keys (None: in clear from now on) and the security generation.

        With a new send key SSRC and sequence numbers are new; see `open_stream`.
        """

    def set_remote(
        self, handle: StreamHandle, remote: Address, remote_rtcp: Address | None = None
    ) -> None:
        """Send to another address, which also un-latches the stream."""

    def set_direction(self, handle: StreamHandle, direction: Direction) -> None:
        """Set what flows; RTCP goes on in every direction (RFC 3264 section 5.1)."""

    def play(self, handle: StreamHandle, source: Source | None) -> None:
        """Send what `source` gives, from the next frame on; None is silence."""

    def record(self, handle: StreamHandle, sink: Sink | None) -> None:
        """Deliver received sound to `sink`; None stops, and then nothing is decoded."""

    def monitor(self, handle: StreamHandle, sink: Sink | None) -> None:
        """Deliver what is sent to `sink`, before it is encoded, with its media time; None stops.

        Silence is delivered as such; nothing while the direction lets nothing be sent.
        """

    def send_digits(self, handle: StreamHandle, digits: str, *, duration_ms: int = 100) -> None:
        """Send digits (0-9 * # A-D, and "," for a pause of 500 ms) as telephone-events.

        Raises ConfigurationError for another character, LocalProtocolError where telephone-event
        was not negotiated.
        """

    def mute(self, handle: StreamHandle, muted: bool) -> None:
        """Send silence in place of the source, which is read on."""

    def close_stream(self, handle: StreamHandle) -> None:
        """End the stream: RTCP BYE, then its row and its ports are free again."""

    def statistics(self, handle: StreamHandle) -> StreamStatistics:
        """A snapshot."""
