"""The kernel and the NumPy path side by side, on the same packets at the same times: random lives.

Two banks with the same randomness live through losses, repeats, reordering, bursts, pauses, jumps,
forged and malformed packets, codec changes, digits, mutes and re-keys.  After each tick every
column of every group, every packet sent, every block delivered and every event are equal, to the
bit.
"""

from __future__ import annotations

import random
from dataclasses import astuple, replace
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import numpy as np
import pytest

from softphone.events import Direction
from softphone.media import SrtpKey, StreamSpec
from softphone.media import kernel as kernel_package
from softphone.media.audio import PcmInput, TeeSink, ToneSource
from softphone.media.bank import FRAME, PacketBatch, StreamBank
from softphone.media.kernel import BankKernel
from softphone.media.playout import PlayoutFrames
from softphone.media.playout.batch_rounds import DEPTH
from softphone.media.tick import RemoteAddresses, stream_commands
from softphone.media.tick.tick import TickTime, tick
from softphone.rtp import (
    ReceiverReport,
    RtpPacket,
    SenderReport,
    SourceDescription,
    print_compound,
)
from softphone.security import CryptoSuite
from softphone.srtp import FailureCounts, SendContext
from tests.support.wire import WALL, Station, Tape, Tone, raw_address, srtp_key

Arriving: TypeAlias = tuple[bytes, tuple[str, int]]

SUITES = [
    None,
    CryptoSuite.AES_CM_128_HMAC_SHA1_80,
    CryptoSuite.AEAD_AES_256_GCM,
    CryptoSuite.AES_256_CM_HMAC_SHA1_32,
    CryptoSuite.AES_192_CM_HMAC_SHA1_80,
    CryptoSuite.AES_CM_128_HMAC_SHA1_80,
]
STREAMS = len(SUITES)
MARKED = 5
"""The stream whose packets carry a master key identifier.

This one and that of AES 192, which libsrtp does not do, are left to the NumPy path.
"""


def key_of(suite: CryptoSuite | None, stream: int, number: int) -> SrtpKey | None:
    """Return a key of one direction of a stream."""
    if suite is None:
        return None
    return replace(srtp_key(suite, number), mki=b"\0\1" if stream == MARKED else b"")


def protecting(key: SrtpKey | None) -> SendContext | None:
    """Return the context of who sends under a key."""
    return None if key is None else SendContext(key.suite, key.key, mki=key.mki)


class FarEnd:
    """What one far end sends: RTP of one stream, mostly in order, protected by its key."""

    def __init__(self, number: int, suite: CryptoSuite | None, chance: random.Random) -> None:
        self.number, self.suite, self.chance = number, suite, chance
        self.key = key_of(suite, number, 100 + number)
        self.context = protecting(self.key)
        self.source = ("10.0.0.1", 6000 + 10 * number)
        self.ssrc = 1000 + number
        self.sequence = chance.randrange(65536)
        self.timestamp = chance.randrange(1 << 32)
        self.sent: list[bytes] = []

    def rekey(self, number: int) -> None:
        if self.suite is not None:
            self.key = key_of(self.suite, self.number, number)
            self.context = protecting(self.key)
            self.ssrc += 1

    def packet(self, payload_type: int = 0, size: int = 160, *, marker: bool = False) -> bytes:
        payload = self.chance.randbytes(size)
        plain = bytes(
            RtpPacket(
                payload_type, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF,
                self.ssrc & 0xFFFFFFFF, payload, marker=marker,
            )
        )  # fmt: skip
        self.sequence += 1
        self.timestamp += 160
        wire = plain if self.context is None else self.context.protect(plain)
        self.sent = [*self.sent[-20:], wire or b""]
        return wire or b""

    def frame(self) -> list[Arriving]:
        """The datagrams of one frame of 20 ms, with their sources."""
        odd = self.chance.choice(ODD) if self.chance.random() < 0.1 else FarEnd.plain
        return [(data, source) for data, source in odd(self) if data]

    def plain(self) -> list[Arriving]:
        return [(self.packet(), self.source)]

    def lost(self) -> list[Arriving]:
        self.packet()
        return []

    def pause(self) -> list[Arriving]:
        self.timestamp += 160 * self.chance.randrange(1, 60)
        return []

    def swapped(self) -> list[Arriving]:
        both = [self.packet(), self.packet()]
        return [(each, self.source) for each in reversed(both)]

    def backlog(self) -> list[Arriving]:
        return [(self.packet(), self.source) for _ in range(self.chance.randrange(2, 12))]

    def hostile(self) -> list[Arriving]:
        """A packet replayed, one forged and one cut."""
        old = self.chance.choice(self.sent or [b""])
        broken = bytearray(self.packet() or bytes(12))
        broken[self.chance.randrange(len(broken))] ^= 1 << self.chance.randrange(8)
        noise = self.chance.randbytes(self.chance.randrange(60))
        cut = old[: self.chance.randrange(16)]
        return [(each, self.source) for each in (old, bytes(broken), cut, noise)]

    def elsewhere(self) -> list[Arriving]:
        return [(self.packet(), (self.source[0], 7777)), (self.packet(), ("10.9.9.9", 1))]

    def other_type(self) -> list[Arriving]:
        return [(self.packet(self.chance.choice([8, 13, 101, 77])), self.source)]

    def other_size(self) -> list[Arriving]:
        return [(self.packet(size=self.chance.choice([0, 1, 80, 240, 320])), self.source)]

    def other_layout(self) -> list[Arriving]:
        """Sound of two octets a sample among the row's own; the jitter buffer starts again."""
        several = [self.packet(96, 320), self.packet(), self.packet(96, 320)]
        return [(each, self.source) for each in several[self.chance.randrange(2) :]]

    def two_sources(self) -> list[Arriving]:
        """Packets of two sources in turns."""
        first, other, found = self.ssrc, self.ssrc ^ 0x1000, []
        for ssrc in (first, other, other, first)[: self.chance.randrange(2, 5)]:
            self.ssrc = ssrc
            found.append((self.packet(), self.source))
        self.ssrc = first
        return found

    def stranger(self) -> list[Arriving]:
        """What a host sends that may be adopted, after one of the far end's own or before it."""
        six = [(self.packet(), ("10.9.9.9", 1)) for _ in range(6)]
        six[self.chance.choice([0, 5])] = (self.packet(), self.source)
        return six

    def jump(self) -> list[Arriving]:
        """Another source, sequence number or time; or packets that begin within a frame."""
        kind = self.chance.randrange(4)
        if kind == 0:
            self.ssrc = self.chance.randrange(1 << 32)
        elif kind == 1:
            self.sequence += self.chance.randrange(-70, 4000)
        elif kind == 2:
            self.timestamp += self.chance.randrange(-100000, 100000)
        else:
            self.timestamp += self.chance.choice([1, 40, 80])
        return self.plain()

    def report(self) -> list[Arriving]:
        first: SenderReport | ReceiverReport = ReceiverReport(self.ssrc & 0xFFFFFFFF)
        if self.chance.random() < 0.7:
            shown, ntp = self.timestamp + self.chance.randrange(-9000, 9000), 0xEB000000 << 32
            ntp += self.chance.randrange(1 << 40)
            first = SenderReport(self.ssrc & 0xFFFFFFFF, ntp, shown & 0xFFFFFFFF, 9, 999)
        parts = first, SourceDescription(self.ssrc & 0xFFFFFFFF, "x")
        report: bytes | None = print_compound(parts)
        if self.context is not None and report is not None:
            report = self.context.protect_rtcp(report)
        return [(report or b"", (self.source[0], self.source[1] + 1)), *self.plain()]


ODD = (
    FarEnd.lost, FarEnd.lost, FarEnd.pause, FarEnd.swapped, FarEnd.backlog, FarEnd.hostile,
    FarEnd.hostile, FarEnd.elsewhere, FarEnd.other_type, FarEnd.other_size, FarEnd.jump,
    FarEnd.report, FarEnd.other_layout, FarEnd.two_sources, FarEnd.stranger,
)  # fmt: skip


class Side:
    """A bank with STREAMS open streams, which ticks with or without the kernel."""

    def __init__(self, far_ends: list[FarEnd], compiled: ModuleType | None, *, seed: int) -> None:
        self.station = Station("10.0.0.2", seed=seed, capacity=8)
        self.bank = self.station.bank
        self.kernel = None if compiled is None else BankKernel(self.bank, compiled)
        self.incoming, self.outgoing = PacketBatch.allocate(256), PacketBatch.allocate(64)
        self.handles = [self.station.handle]
        self.handles += [self.station.add(5000 + 2 * each) for each in range(1, STREAMS)]
        self.tapes = [Tape() for _ in far_ends]
        self.inputs = [PcmInput(8000, seconds=0.3) for _ in far_ends]
        self.shared = ToneSource(440.0, seconds=3.0)
        for far_end in far_ends:
            self.open(far_end, now=0.0)
            handle = self.handles[far_end.number]
            sinks = self.tapes[far_end.number], self.inputs[far_end.number]
            stream_commands.set_sink(self.bank, handle, TeeSink(*sinks))
            stream_commands.set_source(self.bank, handle, Tone(300.0 + far_end.number))

    def open(self, far_end: FarEnd, *, now: float, frame: int = 0, pcma: bool = False) -> None:
        suite, number = far_end.suite, far_end.number
        ours = key_of(suite, number, 200 + number)
        spec = StreamSpec(
            far_end.source, send_key=ours, receive_key=far_end.key, telephone_event=101,
            comfort_noise=13, measured=number == 1, other_payload_types=(8, 96),
            other_codecs=("PCMA", "L16"), clear_latching=() if ours else ("10.9.0.0/16",),
        )  # fmt: skip
        if pcma:
            spec = replace(
                spec, codec="PCMA", payload_type=8, other_payload_types=(0, 96),
                other_codecs=("PCMU", "L16"),
            )  # fmt: skip
        host, port = far_end.source
        places = RemoteAddresses(raw_address(host, port), raw_address(host, port + 1))
        handle = self.handles[number]
        stream_commands.open_stream(self.bank, handle, spec, places, frame=frame, now=now)

    def renew(self, far_end: FarEnd, *, now: float, frame: int) -> None:
        """End a stream, and begin another in its row."""
        number = far_end.number
        self.bank.release_row(self.handles[number])
        self.handles[number] = self.station.add(5000 + 2 * number)
        self.open(far_end, now=now, frame=frame)
        sinks = self.tapes[number], self.inputs[number]
        stream_commands.set_sink(self.bank, self.handles[number], TeeSink(*sinks))
        stream_commands.set_source(self.bank, self.handles[number], Tone(300.0 + number))

    def tick(self, frame: int, arriving: list[tuple[bytes, tuple[str, int], int, float]]) -> None:
        self.incoming.count = 0
        for data, source, port, at in arriving:
            raw = np.frombuffer(raw_address(*source), dtype=np.uint8)
            self.incoming.append_packet(-1, port, raw, data)
            self.incoming.arrival[self.incoming.count - 1] = at
        moment = TickTime(frame, frame * FRAME, WALL + frame * FRAME)
        tick(self.bank, 0, self.incoming, self.outgoing, moment, self.kernel)

    async def read(self, most: int) -> bytes:
        """What an application reads that takes up to so many blocks at once."""
        heard = [
            await each.read(min(each.waiting_samples, 160 * most))
            for each in self.inputs
            if each.waiting_samples >= 160
        ]
        return b"".join(
            chunk.pcm.tobytes() + repr(astuple(replace(chunk, pcm=None))).encode()
            for chunk in heard
        )

    def state(self) -> dict[str, bytes]:
        """Everything that can be compared, as octets by name."""
        bank = self.bank
        groups = {
            "sender": bank.sender, "receiver": bank.receiver, "addresses": bank.addresses,
            "newest": bank.newest, "reception": bank.reception, "delivery": bank.delivery,
            **bank.playout.groups, "bursts": bank.playout.bursts,
        }  # fmt: skip
        groups |= {f"concealment {at}": each for at, each in enumerate(bank.concealments())}
        found = {
            f"{name}.{label}": getattr(group, label).tobytes()
            for name, group in groups.items()
            for label in group.columns
            if label not in ("_near", "_far")
        }
        for samples, feeds in bank.feeds.banks.items():
            for label in ("pcm", "number", "frame", "frames", "last"):
                found[f"feeds {samples}.{label}"] = getattr(feeds, label).tobytes()
        out = self.outgoing
        found["out"] = b"".join(out.packet(at) for at in range(out.count))
        found["to"] = out.address[: out.count].tobytes() + out.port[: out.count].tobytes()
        found["sound"] = b"".join(
            block.pcm.tobytes() + repr(astuple(replace(block, pcm=None))).encode()
            for tape in self.tapes
            for block in tape.blocks
        )
        # The kernel's rows come first; what counts is the order of one row's events.
        found["events"] = repr(sorted(bank.events, key=lambda event: event.handle.row)).encode()
        found["newest"] = repr(newest_packets(bank)).encode()
        found["failures"] = repr(
            [
                [getattr(stream.receive_keys.failures, each) for each in FailureCounts.__slots__]
                for stream in bank.streams
                if stream is not None
            ]
        ).encode()
        found["unclaimed"] = repr(bank.unclaimed).encode()
        for tape in self.tapes:
            tape.blocks.clear()
        bank.events.clear()
        return found


def newest_packets(bank: StreamBank) -> list[tuple[list[int], bool]]:
    """The sources that each receive context knows, and whether none has been heard."""
    return [
        (sorted(context._known_sources), context.unheard)
        for _, context in sorted(bank.receive_contexts.items())
    ]


def command(chance: random.Random, far_ends: list[FarEnd], sides: list[Side], frame: int) -> None:
    """Do one thing that an application does, on both sides alike."""
    far_end, kind, number = chance.choice(far_ends), chance.randrange(8), chance.randrange(1 << 30)
    if kind == 0:
        far_end.rekey(number)
    direction = chance.choice([*list(Direction), *[Direction.SENDRECV] * 6])
    for side in sides:
        handle, bank = side.handles[far_end.number], side.bank
        if kind == 0:
            side.open(far_end, now=frame * FRAME, frame=frame)
        elif kind == 1:
            stream_commands.set_muted(bank, handle, number % 2 == 0)
        elif kind == 2:
            stream_commands.set_direction(bank, handle, direction, now=frame * FRAME)
        elif kind == 3:
            stream_commands.send_digits(bank, handle, "12", duration_ms=80)
        elif kind == 4:
            side.open(far_end, now=frame * FRAME, frame=frame, pcma=number % 2 == 0)
        elif kind > 5:
            side.renew(far_end, now=frame * FRAME, frame=frame)
        elif number % 2:
            stream_commands.set_source(bank, handle, side.shared)
        else:
            stream_commands.set_source(bank, handle, Tone(200.0 + number % 900, samples=4000))


@pytest.mark.parametrize("seed", range(4))
async def test_both_paths_live_the_same_life(compiled: ModuleType, seed: int) -> None:
    await live_the_same_life(compiled, seed)


async def live_the_same_life(compiled: ModuleType, seed: int) -> None:
    """Compare a bank that ticks with the kernel with one that ticks without."""
    chance = random.Random(seed)
    far_ends = [FarEnd(n, SUITES[n], random.Random(seed * 10 + n)) for n in range(STREAMS)]
    sides = [Side(far_ends, kernel, seed=seed) for kernel in (None, compiled)]
    for frame in range(1, 300):
        if chance.random() < 0.04:
            command(chance, far_ends, sides, frame)
        jitter = chance.choice([0.0, 0.001, 0.004, 0.03])
        arriving = [
            (
                data,
                source,
                5000 + 2 * far_end.number + source[1] % 2,
                frame * FRAME - chance.random() * jitter,
            )
            for far_end in far_ends
            for data, source in far_end.frame()
        ]
        for side in sides:
            side.tick(frame, arriving)
        one, other = (side.state() for side in sides)
        if frame % 9 == 0:
            one["read"], other["read"] = [await side.read(1 + frame % 12) for side in sides]
        assert [name for name in one if one[name] != other[name]] == [], f"frame {frame}"
    kernel = sides[1].kernel
    assert kernel is not None
    assert kernel.packets_taken > 0.25 * kernel.packets_left
    assert kernel.frames_decoded > 0.25 * kernel.frames_left > 0


def test_of_an_ordinary_life_only_what_libsrtp_does_not_do_is_left_by_the_kernel(
    compiled: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor its first packet, the frames before it plays, or two packets that come together."""
    far_ends = [FarEnd(n, SUITES[n], random.Random(n)) for n in range(STREAMS)]
    side, left_rows = Side(far_ends, compiled, seed=3), []
    kernel, by_numpy = side.kernel, side.bank.playout.next_frames
    assert kernel is not None

    def note_rows(rows: np.ndarray, *, now: float) -> PlayoutFrames:
        left_rows.extend(rows.tolist())
        return by_numpy(rows, now=now)

    monkeypatch.setattr(side.bank.playout, "next_frames", note_rows)
    packets = 0
    for frame in range(1, 80):
        # Nothing at first; then one in each frame; then none and two in turns.
        count = 0 if frame < 4 else 1 if frame < 40 else 2 * (frame % 2)
        arriving = [
            (each.packet(), each.source, 5000 + 2 * each.number, frame * FRAME)
            for each in far_ends
            for _ in range(count)
        ]
        packets += count
        side.tick(frame, arriving)
        if frame < 40:
            assert left_rows == [], f"frame {frame}"
    assert sum("FirstPacket" in repr(each) for each in side.bank.events) == STREAMS
    assert left_rows != []  # when two packets had to come and none was there
    # Those of the two streams that libsrtp or the kernel does not do.
    assert kernel.packets_left == 2 * packets
    assert kernel.packets_taken == (STREAMS - 2) * packets


def test_more_packets_than_the_kernels_arrays_hold_take_the_numpy_path(
    compiled: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_ends = [FarEnd(n, SUITES[n], random.Random(n)) for n in range(STREAMS)]
    sides = [Side(far_ends, kernel, seed=3) for kernel in (None, compiled)]
    kernel = sides[1].kernel
    assert kernel is not None
    taken = []
    for frame in range(1, 60):
        if frame == 40:
            taken.append(kernel.packets_taken)
            for module in ("tick.tick", "kernel.bank_kernel"):
                monkeypatch.setattr(f"softphone.media.{module}.MOST_PACKETS", 1)
        arriving = [
            (each.packet(), each.source, 5000 + 2 * each.number, frame * FRAME) for each in far_ends
        ]
        for side in sides:
            side.tick(frame, [each for each in arriving if each[0]])
        one, other = (side.state() for side in sides)
        assert [name for name in one if one[name] != other[name]] == [], f"frame {frame}"
    assert taken == [kernel.packets_taken] != [0]


def test_as_many_packets_of_a_row_are_taken_one_by_one_on_both_paths() -> None:
    source = (Path(kernel_package.__file__).parent / "kernel.c").read_text()
    assert f" ONE_BY_ONE = {DEPTH + 1}," in source
