"""Media lives: two banks over a wire of arrays; every packet, sample, event and number of them.

A packet is written as its length and digest, RTCP in clear in full.  PCM is written as a digest,
but where it was concealed or made of comfort noise: that is floating-point arithmetic, whose last
bit is the machine's, and is written by its mean level.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from softphone.events import Direction
from softphone.media.bank.stream_bank import FRAME
from softphone.media.interface import PcmBlock
from softphone.media.quality.statistics import stream_statistics
from softphone.media.tick.rtcp import make_bye
from softphone.media.tick.stream_commands import (
    RemoteAddresses,
    send_digits,
    set_direction,
    set_keys,
    set_monitor,
    set_muted,
    set_remote,
    set_sink,
    set_source,
)
from softphone.media.tick.tick import skip_frames
from softphone.security import CryptoSuite
from tests.golden.dump import digest, samples, seconds
from tests.golden.transcript import Transcript
from tests.support.wire import WALL, Datagram, Station, Tamper, Wire, raw_address, srtp_key

CM_80, CM_32 = CryptoSuite.AES_CM_128_HMAC_SHA1_80, CryptoSuite.AES_CM_128_HMAC_SHA1_32
GCM_128, GCM_256 = CryptoSuite.AEAD_AES_128_GCM, CryptoSuite.AEAD_AES_256_GCM
SMOOTH = 2
"""Blocks after a concealed one that may still be blended with it."""


class Voice:
    """A source of whole numbers: a triangle with noise, pauses, for some samples or for ever."""

    def __init__(self, *, seed: int, rate: int = 8000, count: int | None = None) -> None:
        self.clock_rate_hz = rate
        self._random = random.Random(seed)
        self._at = 0
        self._left = count

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self._left == 0

    def read(self, samples: int) -> np.ndarray:
        """The next samples."""
        count = samples if self._left is None else min(samples, self._left)
        if self._left is not None:
            self._left -= count
        found = [self._sample(at) for at in range(self._at, self._at + count)]
        self._at += count
        return np.array(found, dtype=np.int16)

    def _sample(self, at: int) -> int:
        phase = at % 64
        loud = 0 if at // 4000 % 4 == 3 else 300
        triangle = (phase if phase < 32 else 64 - phase) - 16
        return triangle * loud + self._random.randrange(-200, 200)


class Heard:
    """A sink that writes each block down."""

    clock_rate_hz = 0
    dropped_samples = 0

    def __init__(self, life: Life, name: str, *, rate: int = 0, exact: bool = True) -> None:
        self._life = life
        self._name = name
        self._exact = exact
        self._smooth = 0
        self.clock_rate_hz = rate

    def write(self, block: PcmBlock) -> None:
        """One block."""
        self._smooth = SMOOTH if block.concealed else max(0, self._smooth - 1)
        pcm = block.pcm
        if self._exact and not self._smooth:
            shown = samples(pcm)
        else:
            shown = (
                f"{pcm.dtype.name}[{pcm.size}] level {float(np.abs(pcm.astype(int)).mean()):.2g}"
            )
        flags = "concealed " if block.concealed else ""
        flags += "by-sender " if block.captured_by_sender else ""
        captured = f"{block.captured - WALL:.6f}" if block.captured else "-"
        rate, generation = block.clock_rate_hz, block.security_generation
        self._life.say(
            f"{self._name} pcm {rate} {block.timestamp} {shown} {flags}{generation} {captured}"
        )


class Life:
    """A wire whose traffic is written down."""

    def __init__(self, *, suite: CryptoSuite | None = None, **fields: object) -> None:
        self.wire = Wire(suite=suite, **fields)
        self.transcript = Transcript(lambda: self.wire.frame * FRAME)
        self.stations: dict[str, Station] = {"a": self.wire.a, "b": self.wire.b}
        self._suite = suite
        self._told = {"a": 0, "b": 0}
        for name, station in self.stations.items():
            spec = station.bank.find_stream(station.handle).spec
            self.say(f"{name} open {self.transcript.dump.value(spec)}")

    def say(self, text: str) -> None:
        """One line."""
        self.transcript.write("media", text, at=0.0 if not self.wire.frame else None)

    def hear(self, *names: str, rate: int = 0, exact: bool = True) -> None:
        """Let stations be heard."""
        for name in names:
            station = self.stations[name]
            set_sink(station.bank, station.handle, Heard(self, name, rate=rate, exact=exact))

    def speak(self, *names: str, rate: int = 8000, count: int | None = None) -> None:
        """Let stations speak."""
        for seed, name in enumerate(names):
            station = self.stations[name]
            set_source(station.bank, station.handle, Voice(seed=seed, rate=rate, count=count))

    def run(self, frames: int, *, to_a: Tamper | None = None, to_b: Tamper | None = None) -> None:
        """Run frame after frame, and write packets and events."""
        for _ in range(frames):
            self.wire.run(1, to_a=self._noted("b", to_a), to_b=self._noted("a", to_b))
            for name, station in self.stations.items():
                for event in station.events[self._told[name] :]:
                    self.transcript.event(name, event)
                self._told[name] = len(station.events)

    def _noted(self, name: str, tamper: Tamper | None) -> Tamper:
        def note(frame: int, datagram: Datagram) -> list[Datagram]:
            data = datagram.data
            kind = "rtp" if datagram.is_rtp else "rtcp"
            clear = self._suite is None and not datagram.is_rtp
            shown = data.hex() if clear else f"{len(data)} {digest(data)[:12]}"
            arriving = [datagram] if tamper is None else tamper(frame, datagram)
            fate = "" if len(arriving) == 1 and arriving[0] is datagram else f" x{len(arriving)}"
            self.say(f"{name} {kind} {datagram.source[1]}>{datagram.port} {shown}{fate}")
            return arriving

        return note

    def statistics(self) -> None:
        """Write the numbers of both."""
        for name, station in self.stations.items():
            found = stream_statistics(station.bank, station.handle)
            self.say(f"{name} statistics {self.transcript.dump.value(found)}")
            deadlines = (
                station.bank.reports.next_deadline(),
                station.bank.digit_timers.next_deadline(),
            )
            self.say(f"{name} timers {' '.join(seconds(each) for each in deadlines)}")

    def end(self) -> str:
        """Write the numbers and the farewells."""
        self.statistics()
        at = self.wire.frame * FRAME
        for name, station in self.stations.items():
            stream = station.bank.find_stream(station.handle)
            data = make_bye(station.bank, stream, self.wire.frame * 20, now=at, wall=WALL + at)
            self.say(f"{name} bye {'-' if data is None else data.hex()}")
            station.bank.release_row(station.handle)
        return self.transcript.text


class Weather:
    """A network that loses, copies, delays and turns packets around, seeded."""

    def __init__(self, seed: int, *, loss: float, copy: float = 0.05, late: float = 0.1) -> None:
        self._random = random.Random(seed)
        self._loss, self._copy, self._late = loss, copy, late
        self._held: list[tuple[int, Datagram]] = []

    def __call__(self, frame: int, datagram: Datagram) -> list[Datagram]:
        """What arrives now."""
        due = [each for until, each in self._held if until <= frame]
        self._held = [(until, each) for until, each in self._held if until > frame]
        draw = self._random.random()
        if draw < self._loss:
            return due
        if draw < self._loss + self._copy:
            return [*due, datagram, datagram]
        if draw < self._loss + self._copy + self._late:
            self._held.append((frame + self._random.randrange(1, 9), datagram))
            return due
        return [datagram, *due]


def talk(suite: CryptoSuite | None, frames: int, **fields: object) -> str:
    """Both speak, hold and resume, mute, digits, reports, an end."""
    life = Life(suite=suite, telephone_event=101, measured=True, **fields)
    life.hear("a", "b")
    life.speak("a", "b")
    life.run(30)
    a = life.wire.a
    send_digits(a.bank, a.handle, "1#", duration_ms=80)
    life.run(30)
    set_direction(a.bank, a.handle, Direction.SENDONLY, now=life.wire.frame * FRAME)
    life.run(15)
    set_direction(a.bank, a.handle, Direction.SENDRECV, now=life.wire.frame * FRAME)
    set_muted(a.bank, a.handle, True)
    life.run(15)
    set_muted(a.bank, a.handle, False)
    life.run(frames)
    return life.end()


def bad_network(suite: CryptoSuite | None, frames: int) -> str:
    """Loss, copies, reordering and late packets: what is concealed, counted and reported."""
    life = Life(
        suite=suite,
        measured=True,
        extended_reports=("voip-metrics", "rcvr-rtt"),
        telephone_event=101,
    )
    life.hear("b")
    life.speak("a", "b")
    b = life.wire.b
    life.run(frames, to_b=Weather(3, loss=0.1), to_a=Weather(4, loss=0.3))
    send_digits(b.bank, b.handle, "159D", duration_ms=100)
    life.run(60, to_b=Weather(5, loss=0.02, late=0.4), to_a=Weather(6, loss=0.3))
    life.statistics()
    life.run(20, to_b=lambda frame, datagram: [])
    life.run(20)
    return life.end()


def keys() -> str:
    """New keys in mid-call, old ones dead, forged and replayed packets, a changed generation."""
    life = Life(suite=GCM_256)
    life.hear("b")
    life.speak("a", "b")
    life.run(20)
    caught: list[Datagram] = []
    a, b = life.wire.a, life.wire.b

    def repeated(frame: int, datagram: Datagram) -> list[Datagram]:
        caught.append(datagram)
        forged = Datagram(datagram.data[:-1] + b"\0", datagram.source, datagram.port)
        return [datagram, caught[0], forged]

    life.run(10, to_b=repeated)
    one, two = srtp_key(CM_32, 8), srtp_key(GCM_128, 9)
    set_keys(a.bank, a.handle, one, two, 1)
    life.run(5)
    set_keys(b.bank, b.handle, two, one, 1)
    life.run(20, to_b=lambda frame, datagram: [datagram, caught[0]])
    b.bank.sender.ssrc[b.row] += 1
    life.run(20)
    return life.end()


def places() -> str:
    """Media from elsewhere, another source, a jump of media time, silence on the wire."""
    life = Life(suite=None)
    life.hear("a", "b")
    life.speak("a", "b")
    life.run(10)
    moved = "10.0.0.1", 5002

    def elsewhere(frame: int, datagram: Datagram) -> list[Datagram]:
        return [Datagram(datagram.data, moved, datagram.port)]

    life.run(20, to_b=elsewhere)
    a, b = life.wire.a, life.wire.b
    for host in ("10.0.0.9", "10.0.0.1"):
        set_remote(
            b.bank, b.handle, RemoteAddresses(raw_address(host, 5000), raw_address(host, 5001))
        )
        life.run(3)
    a.bank.sender.ssrc[a.row] = 0x12345678
    life.run(20)

    def echo(frame: int, datagram: Datagram) -> list[Datagram]:
        ssrc = int(b.bank.sender.ssrc[b.row]).to_bytes(4, "big")
        return [
            Datagram(datagram.data[:8] + ssrc + datagram.data[12:], datagram.source, datagram.port)
        ]

    life.run(3, to_b=echo)
    for station in life.stations.values():
        skip_frames(station.bank, 0, 20, now=(life.wire.frame + 20) * FRAME)
    life.wire.frame += 20
    life.run(20)
    life.run(110, to_b=lambda frame, datagram: [])
    life.run(10)
    return life.end()


def sources() -> str:
    """A source that ends, one that starves, silence suppression, a monitor, no source at all."""
    life = Life(suite=CM_80, silence_suppression=True, codec="PCMA", payload_type=8)
    life.hear("a", "b")
    life.speak("a", count=160 * 12 + 80)
    a, b = life.wire.a, life.wire.b
    set_monitor(a.bank, a.handle, Heard(life, "a sends"))
    life.run(25)
    life.speak("a", "b", count=160 * 5)
    life.run(25)
    set_direction(b.bank, b.handle, Direction.INACTIVE, now=life.wire.frame * FRAME)
    life.run(10)
    return life.end()


def comfort() -> str:
    """Comfort noise (RFC 3389) in pauses."""
    life = Life(suite=CM_80, comfort_noise=13)
    life.hear("b", exact=False)
    life.speak("a", count=160 * 20)
    life.run(60)
    life.speak("a", count=160 * 20)
    life.run(30)
    return life.end()


def packet_times() -> str:
    """Every packet time, and linear PCM at two rates."""
    texts = []
    for ptime in (10, 30, 40, 60):
        life = Life(suite=CM_80, ptime_ms=ptime)
        life.hear("a", "b")
        life.speak("a", "b")
        life.run(15)
        texts.append(life.end())
    for codec, payload_type, rate in (("L16", 96, 8000), ("L16/16000", 97, 16000)):
        life = Life(suite=GCM_128, codec=codec, payload_type=payload_type)
        life.hear("b")
        life.speak("a", "b", rate=rate)
        life.run(15)
        texts.append(life.end())
    return "".join(texts)


def wide_band() -> str:
    """G.722, whose coder has a state, with loss."""
    life = Life(suite=GCM_256, codec="G722", payload_type=9)
    life.hear("a", "b")
    life.speak("a", "b", rate=16000)
    life.run(40)
    life.run(40, to_b=Weather(8, loss=0.1))
    return life.end()


TRANSCRIPTS: dict[str, Callable[[], str]] = {
    "media-talk-clear": lambda: talk(None, 110),
    "media-talk-cm": lambda: talk(CM_80, 10, codec="PCMA", payload_type=8),
    "media-talk-gcm": lambda: talk(GCM_256, 50),
    "media-network-clear": lambda: bad_network(None, 160),
    "media-network-cm": lambda: bad_network(CM_32, 30),
    "media-keys": keys,
    "media-places": places,
    "media-sources": sources,
    "media-comfort-noise": comfort,
    "media-packet-times": packet_times,
    "media-wide-band": wide_band,
}
