"""Two media banks back to back over a wire of arrays: no socket, no clock.

Each `Station` is a bank with one stream (or more).  `Wire.run` ticks both, frame after frame, on
virtual time, and carries each one's packets to the other, through a `tamper` that may lose, change,
copy or invent packets.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from softphone.media import MediaEvent, PcmBlock, SrtpKey, StreamHandle, StreamSpec
from softphone.media.bank import FRAME, PacketBatch, StreamBank
from softphone.media.tick import RemoteAddresses, TickTime
from softphone.media.tick.stream_commands import open_stream
from softphone.media.tick.tick import tick
from softphone.security import CryptoSuite, KeyMaterial

WALL = 1_790_000_000.0


def raw_address(host: str, port: int) -> bytes:
    """A padded IPv4 socket address (family 2), as `softphone.net.datagrams.batched_udp` writes
    it."""
    octets = bytes(int(part) for part in host.split("."))
    return (struct.pack("=H", 2) + struct.pack("!H", port) + octets).ljust(32, b"\0")


def srtp_key(suite: CryptoSuite, seed: int) -> SrtpKey:
    """A key that depends on the seed alone."""
    size = suite.material_length
    return SrtpKey(suite, KeyMaterial(random.Random(seed).randbytes(size)))


class Tone:
    """A source: a sine of `hertz`, for `samples` samples or for ever."""

    clock_rate_hz = 8000

    def __init__(self, hertz: float = 1000.0, samples: int | None = None) -> None:
        self.hertz, self.at, self.left, self.reads = hertz, 0, samples, 0

    @property
    def ended(self) -> bool:
        return self.left == 0

    def read(self, samples: int) -> np.ndarray:
        self.reads += 1
        count = samples if self.left is None else min(samples, self.left)
        if self.left is not None:
            self.left -= count
        phase = np.arange(self.at, self.at + count) * (2 * np.pi * self.hertz / 8000)
        self.at += count
        return (8000 * np.sin(phase)).astype(np.int16)


class Dribble:
    """A source that has only what it was given."""

    clock_rate_hz = 8000
    ended = False

    def __init__(self) -> None:
        self.samples = np.zeros(0, dtype=np.int16)

    def read(self, samples: int) -> np.ndarray:
        given, self.samples = self.samples[:samples], self.samples[samples:]
        return given


class Tape:
    """A sink that keeps every block."""

    clock_rate_hz = 0
    dropped_samples = 0

    def __init__(self) -> None:
        self.blocks: list[PcmBlock] = []

    def write(self, block: PcmBlock) -> None:
        self.blocks.append(block)

    @property
    def pcm(self) -> np.ndarray:
        return np.concatenate([block.pcm for block in self.blocks])


def loudest_hertz(pcm: np.ndarray) -> float:
    """The frequency of the strongest component of samples at 8,000 Hz."""
    spectrum = np.abs(np.fft.rfft(pcm.astype(float)))
    return float(spectrum[1:].argmax() + 1) * 8000 / len(pcm)


class Station:
    """One bank at one address; `handle` is its first stream."""

    def __init__(self, host: str, *, seed: int, capacity: int = 4) -> None:
        self.host = host
        self.bank = StreamBank(capacity, entropy=random.Random(seed).randbytes, stream_timeout=2.0)
        self.incoming = PacketBatch.allocate(256)
        self.outgoing = PacketBatch.allocate(64)
        self.events: list[MediaEvent] = []
        self.handle = self.add(5000)

    def add(self, port: int) -> StreamHandle:
        """Reserve a row with sockets `port` (RTP) and `port + 1` (RTCP)."""
        stream = self.bank.reserve_row()
        row = stream.handle.row
        self.bank.addresses.rtp_port[row], self.bank.addresses.rtcp_port[row] = port, port + 1
        self.bank.demultiplexer.bind(port, row, control=False)
        self.bank.demultiplexer.bind(port + 1, row, control=True)
        return stream.handle

    @property
    def row(self) -> int:
        return self.handle.row

    def open(self, spec: StreamSpec, *, now: float = 0.0) -> None:
        remote_rtcp = spec.remote_rtcp or (spec.remote[0], spec.remote[1] + 1)
        far_end = RemoteAddresses(raw_address(*spec.remote), raw_address(*remote_rtcp))
        open_stream(self.bank, self.handle, spec, far_end, frame=0, now=now)

    def take(self, datagram: Datagram, *, at: float) -> None:
        """Put a datagram into what the next tick receives."""
        source = np.frombuffer(raw_address(*datagram.source), dtype=np.uint8)
        assert self.incoming.append_packet(-1, datagram.port, source, datagram.data)
        self.incoming.arrival[self.incoming.count - 1] = at

    def tick(self, frame: int) -> list[Datagram]:
        """Run one frame, and give what left."""
        moment = TickTime(frame, frame * FRAME, WALL + frame * FRAME)
        out = tick(self.bank, 0, self.incoming, self.outgoing, moment)
        self.incoming.count = 0
        self.events += self.bank.take_events()
        return [
            Datagram(
                out.packet(at),
                (self.host, int(out.port[at])),
                int.from_bytes(out.address[at, 2:4].tobytes(), "big"),
            )
            for at in range(out.count)
        ]


@dataclass(frozen=True)
class Datagram:
    """Octets, where they came from, and the port that they go to."""

    data: bytes
    source: tuple[str, int]
    port: int

    @property
    def is_rtp(self) -> bool:
        return self.port % 2 == 0


Tamper = Callable[[int, Datagram], list[Datagram]]


class Wire:
    """Two stations, A at 10.0.0.1 and B at 10.0.0.2, and the frames they have run."""

    def __init__(self, *, suite: CryptoSuite | None = None, **fields: object) -> None:
        self.a = Station("10.0.0.1", seed=1)
        self.b = Station("10.0.0.2", seed=2)
        self.frame = 0
        one = None if suite is None else srtp_key(suite, 3)
        two = None if suite is None else srtp_key(suite, 4)
        self.keys = one, two
        self.a.open(StreamSpec(("10.0.0.2", 5000), send_key=one, receive_key=two, **fields))
        self.b.open(StreamSpec(("10.0.0.1", 5000), send_key=two, receive_key=one, **fields))

    def run(
        self,
        frames: int,
        *,
        to_a: Tamper | None = None,
        to_b: Tamper | None = None,
    ) -> None:
        """Run both stations for `frames` frames; what is sent arrives before the next."""
        for frame in range(self.frame, self.frame + frames):
            at = frame * FRAME + 0.001
            for sender, receiver, tamper in ((self.a, self.b, to_b), (self.b, self.a, to_a)):
                for datagram in sender.tick(frame):
                    for arriving in [datagram] if tamper is None else tamper(frame, datagram):
                        receiver.take(arriving, at=at)
        self.frame += frames
