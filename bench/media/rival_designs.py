"""Designs to compare the engine with: a floor, and the obvious asyncio design.

The floor is `media_floor.c` where there is a C compiler; elsewhere the same packets through
softphone's own batches, without jitter buffer, codec, statistics or RTCP.  The obvious design is a
first version in asyncio: a task for each stream that sleeps until its next packet,
`pylibsrtp.Session.protect(bytes)`, `transport.sendto`, and a protocol object for each socket.
"""

from __future__ import annotations

import asyncio
import ctypes
import math
import secrets
import shutil
import socket
import struct
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pylibsrtp
from pylibsrtp import _binding

from softphone.net.datagrams import DatagramBatch, DatagramPort, DatagramPorts, encode_address
from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp import ReceiveContext, SendContext, SrtpBatch

FRAME = 0.02
PAYLOAD = b"\xff" * 160
PROFILES = {
    CryptoSuite.AES_CM_128_HMAC_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    CryptoSuite.AEAD_AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
}
KEY_LENGTH = {CryptoSuite.AES_CM_128_HMAC_SHA1_80: 30, CryptoSuite.AEAD_AES_128_GCM: 28}


class PacketLateness:
    """A histogram of packet lateness in bins of 0.1 ms, like the engine's."""

    def __init__(self, counts: list[int] | None = None) -> None:
        self.counts = counts or [0] * 251

    def count_packet(self, seconds: float) -> None:
        self.counts[min(250, max(0, int(seconds * 1e4)))] += 1

    def quantile_ms(self, share: float) -> float:
        at = int(np.searchsorted(np.cumsum(self.counts), share * sum(self.counts)))
        return (min(at, 250) + 1) / 10

    def share_above(self, bound_ms: float) -> float:
        total = sum(self.counts)
        return sum(self.counts[round(bound_ms * 10) :]) / total if total else 0.0


def sessions(
    suite: CryptoSuite, streams: int
) -> tuple[list[pylibsrtp.Session], list[pylibsrtp.Session]]:
    """Make sending and receiving sessions; stream i receives what stream i ^ 1 sends."""
    keys = [secrets.token_bytes(KEY_LENGTH[suite]) for _ in range(streams)]

    def session(key: bytes, kind: int) -> pylibsrtp.Session:
        policy = pylibsrtp.Policy(key=key, ssrc_type=kind, srtp_profile=PROFILES[suite])
        return pylibsrtp.Session(policy)

    sending = [session(key, pylibsrtp.Policy.SSRC_ANY_OUTBOUND) for key in keys]
    receiving = [session(keys[at ^ 1], pylibsrtp.Policy.SSRC_ANY_INBOUND) for at in range(streams)]
    return sending, receiving


class SharedFloorState(ctypes.Structure):
    """`struct shared` of media_floor.c."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("rows", "phases", "frames", "sockets")),
        *(
            (name, ctypes.c_void_p)
            for name in (
                "fds", "of", "order", "owner", "by_port", "remote", "sending", "receiving",
                "protect", "unprotect",
            )
        ),
    )  # fmt: skip


def compiled(folder: Path) -> ctypes.CDLL | None:
    """Compile media_floor.c to a library in `folder` and load it; None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    library = folder / "media_floor.so"
    source = Path(__file__).with_name("media_floor.c")
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True
    )
    return ctypes.CDLL(str(library))


def bind(count: int, receive_buffer: int) -> list[socket.socket]:
    """Open `count` nonblocking UDP sockets on 127.0.0.1, each with its own port."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        one.bind(("127.0.0.1", 0))
        one.setblocking(False)
    return sockets


def pointers(pools: tuple[list[pylibsrtp.Session], ...]) -> list[Any]:
    """Return for each pool a C array of pointers to libsrtp's sessions."""
    cast = _binding.ffi.cast
    return [
        (ctypes.c_void_p * len(pool))(*(int(cast("uintptr_t", one._srtp[0])) for one in pool))
        for pool in pools
    ]


def c_floor(folder: Path, suite: CryptoSuite, streams: int, seconds: float) -> dict[str, float]:
    """Run the C program in this process, with pylibsrtp's libsrtp; {} without a compiler."""
    library = compiled(folder)
    if library is None:
        return {}
    run = library.media_floor
    run.restype = ctypes.c_int64
    srtp = ctypes.CDLL(_binding.__file__)
    sockets = bind(streams, 1 << 18)
    remote = b"".join(encode_address(sockets[at ^ 1].getsockname())[:16] for at in range(streams))
    pools = sessions(suite, streams)
    counts = (ctypes.c_int64 * 251)()
    frames = int(seconds / FRAME)
    begun = time.process_time()
    received = run(
        streams,
        4,
        frames,
        (ctypes.c_int * streams)(*(one.fileno() for one in sockets)),
        remote,
        *pointers(pools),
        ctypes.cast(srtp.srtp_protect, ctypes.c_void_p),
        ctypes.cast(srtp.srtp_unprotect, ctypes.c_void_p),
        counts,
    )
    cpu = time.process_time() - begun
    for one in sockets:
        one.close()
    return report(streams, frames * FRAME, cpu, PacketLateness(list(counts)), received)


def shared_floor(
    folder: Path, suite: CryptoSuite, streams: int, seconds: float
) -> dict[str, float]:
    """Run the C program on as many shared sockets as the engine has in this bench.

    Sockets form a grid, and a pair is a row and a column, so a source address identifies a stream.
    """
    library = compiled(folder)
    if library is None:
        return {}
    library.shared_floor.restype = ctypes.c_int64
    srtp, side, phases = ctypes.CDLL(_binding.__file__), math.ceil(math.sqrt(streams / 2)), 8
    sockets = bind(2 * side, 1 << 21)
    row = np.arange(streams)
    of = np.where(row & 1, side + row // 2 % side, row // 2 // side).astype(np.intc)
    owner = np.zeros((2 * side, 2 * side), dtype=np.intc)
    owner[of, of[row ^ 1]] = row
    # Phase p has the pairs p, p + 8, ..., like streams that the engine opens one by one.
    order = np.lexsort((of, row // 2 % phases)).astype(np.intc)
    by_port = np.zeros(1 << 16, dtype=np.uint16)
    by_port[[one.getsockname()[1] for one in sockets]] = np.arange(2 * side)
    names = [encode_address(one.getsockname())[:16] for one in sockets]
    remote = b"".join(names[at] for at in of[row ^ 1].tolist())
    fds = np.array([one.fileno() for one in sockets], dtype=np.intc)
    pools = sessions(suite, streams)
    frames = int(seconds / FRAME)
    work = SharedFloorState(
        *(streams, phases, frames, 2 * side),
        *(array.ctypes.data for array in (fds, of, order, owner, by_port)),
        ctypes.cast(ctypes.c_char_p(remote), ctypes.c_void_p),
        *(ctypes.cast(each, ctypes.c_void_p) for each in pointers(pools)),
        *(ctypes.cast(each, ctypes.c_void_p) for each in (srtp.srtp_protect, srtp.srtp_unprotect)),
    )
    counts = (ctypes.c_int64 * 251)()
    begun = time.process_time()
    received = library.shared_floor(ctypes.byref(work), counts)
    cpu = time.process_time() - begun
    for one in sockets:
        one.close()
    return report(streams, frames * FRAME, cpu, PacketLateness(list(counts)), received)


def python_floor(suite: CryptoSuite, streams: int, seconds: float) -> dict[str, float]:
    """Send and receive the same packets with softphone's batches: SRTP and sockets only."""
    ports, out, into = DatagramPorts(), DatagramBatch(streams), DatagramBatch(streams)
    mine = [DatagramPort(("127.0.0.1", 0), receive_buffer=1 << 18) for _ in range(streams)]
    for port in mine:
        ports.add_port(port, watch=False)
    out.port[:] = [port.key for port in mine]
    for at in range(streams):
        raw = encode_address(mine[at ^ 1].address)
        out.address[at] = np.frombuffer(raw, dtype=np.uint8)
    keys = [secrets.token_bytes(KEY_LENGTH[suite]) for _ in range(streams)]
    sending = [SendContext(suite, KeyMaterial(key)) for key in keys]
    receiving = [ReceiveContext(suite, KeyMaterial(keys[at ^ 1])) for at in range(streams)]
    ciphers = [
        SrtpBatch(batch.data.ctypes.data, batch.data.shape[1], streams) for batch in (out, into)
    ]
    by_key = {port.key: context for port, context in zip(mine, receiving, strict=True)}
    lateness, received, phases = PacketLateness(), 0, 4
    epoch, begun = time.monotonic() + FRAME, time.process_time()
    for tick in range(int(seconds / FRAME) * phases):
        deadline = epoch + tick * FRAME / phases
        time.sleep(max(0.0, deadline - time.monotonic()))
        frame, phase = divmod(tick, phases)
        rows = range(phase * streams // phases, (phase + 1) * streams // phases)
        span = slice(rows.start, rows.stop)
        header = struct.pack("!BBHI", 0x80, 0, frame & 0xFFFF, frame * 160 & 0xFFFFFFFF)
        out.data[span, :8] = np.frombuffer(header, dtype=np.uint8)
        out.data[span].view(">u4")[:, 2] = np.arange(rows.start + 1, rows.stop + 1)
        out.data[span, 12:172] = 0xFF
        out.length[span] = 172
        ciphers[0].protect(rows, sending[span], out.length)
        out.send_datagrams(ports, rows.start, rows.stop)
        late = time.monotonic() - deadline
        for _ in rows:
            lateness.count_packet(late)
        count = into.receive_datagrams(mine[span], now=0.0, wall=0.0)
        contexts = [by_key[key] for key in into.port[:count].tolist()]
        received += ciphers[1].unprotect(range(count), contexts, into.length).count(0)
    cpu = time.process_time() - begun
    ports.close()
    return report(streams, seconds, cpu, lateness, received)


class TaskPerStream(asyncio.DatagramProtocol):
    """One stream of the obvious design."""

    def __init__(self, sending: pylibsrtp.Session, receiving: pylibsrtp.Session) -> None:
        self.sending, self.receiving = sending, receiving
        self.received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.receiving.unprotect(data)
        self.received += 1

    async def run(self, to: object, ssrc: int, epoch: float, lateness: PacketLateness) -> None:
        loop, frame = asyncio.get_running_loop(), 0
        while True:
            deadline = epoch + frame * FRAME
            await asyncio.sleep(deadline - loop.time())
            stamp = frame * 160 & 0xFFFFFFFF
            packet = struct.pack("!BBHII", 0x80, 0, frame & 0xFFFF, stamp, ssrc) + PAYLOAD
            self.transport.sendto(self.sending.protect(packet), to)  # type: ignore[attr-defined]
            lateness.count_packet(loop.time() - deadline)
            frame += 1


async def task_per_stream(suite: CryptoSuite, streams: int, seconds: float) -> dict[str, float]:
    """Measure the obvious design; its streams start evenly over 20 ms, which favors it."""
    loop = asyncio.get_running_loop()
    protocols: list[TaskPerStream] = []
    for pair in zip(*sessions(suite, streams), strict=True):
        _, protocol = await loop.create_datagram_endpoint(
            partial(TaskPerStream, *pair), local_addr=("127.0.0.1", 0)
        )
        protocols.append(protocol)
    lateness = PacketLateness()
    epoch = loop.time() + 0.1
    tasks = []
    for at, protocol in enumerate(protocols):
        to = protocols[at ^ 1].transport.get_extra_info("sockname")
        start = epoch + at * FRAME / streams
        tasks.append(loop.create_task(protocol.run(to, at + 1, start, lateness)))
    await asyncio.sleep(0.6)
    lateness.counts[:] = [0] * 251
    begun, since = time.process_time(), loop.time()
    await asyncio.sleep(seconds)
    cpu, elapsed = time.process_time() - begun, loop.time() - since
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for protocol in protocols:
        protocol.transport.close()
    await asyncio.sleep(0)
    return report(streams, elapsed, cpu, lateness, sum(each.received for each in protocols))


def report(
    streams: int, seconds: float, cpu: float, lateness: PacketLateness, received: int
) -> dict[str, float]:
    """Return the figures that all designs have, from CPU and wall seconds."""
    return {
        "streams": streams,
        "cpu_share": cpu / seconds,
        "ms_per_call_second": 1e3 * cpu / seconds / streams,
        "packets_sent_per_second": sum(lateness.counts) / seconds,
        "p50_late_ms": lateness.quantile_ms(0.5),
        "p99_late_ms": lateness.quantile_ms(0.99),
        "share_over_5_ms": lateness.share_above(5.0),
        "received": received,
    }
