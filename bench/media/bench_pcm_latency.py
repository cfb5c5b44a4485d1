"""Measures the latency of PCM from `write` to the wire, to `read`, and to silence after `flush`.

    python bench/media/bench_pcm_latency.py

200 calls run in one loop: 100 pairs that send each other G.711.  The reader of one call is stuck.
PCM is written and read at 8, 16, 24 and 48 kHz, and written at 24 kHz and read at 16 kHz.  The
bounds are 25 ms (one frame and 5 ms) from `write` to the wire, the playout delay and 20 ms (one
frame) from the wire to `read`, and 20 ms from `flush` to silence.  A packet is timed when it is
passed to its socket.

Also measures the share of a core that silent calls take, without readers and with 200 reading
tasks of the application, and the time from `dial` to the first sound, of calls made one by one.

`--priority` sets nice -15 for the process and for its session: with sched_autogroup, nice has no
effect against processes of other sessions.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from bench.python_build import measured_on
from softphone.config import AccountConfig, MediaPreferences
from softphone.media import MediaConfig, MediaEngine, StreamSpec
from softphone.media.audio import PcmInput, PcmOutput
from softphone.phone import Phone

RESULTS = Path(__file__).parents[1] / "results" / "pcm_latency.json"
CALLS, ROUNDS = 200, 8
RATES = {
    "at 8 kHz": (8000, 8000),
    "at 16 kHz": (16000, 16000),
    "at 24 kHz": (24000, 24000),
    "at 48 kHz": (48000, 48000),
    "written at 24 kHz, read at 16 kHz": (24000, 16000),
}
PRIORITY = -15
SET_UPS = 30
LOUDNESS = bytes(octet & 0x7F for octet in range(256))
BOUNDS = {"write to wire": 25.0, "wire to read beyond playout": 20.0, "flush to silence": 20.0}


def loud(rate: int) -> np.ndarray:
    """Return two seconds of a 500 Hz tone, int16[2 * rate]."""
    return (9000 * np.sin(np.arange(rate * 2) * 2 * np.pi * 500 / rate)).astype(np.int16)


class LoudnessTap:
    """Records by local port when sent audio last became loud, and when it was last loud."""

    def __init__(self) -> None:
        self.began: dict[int, float] = {}
        self.last: dict[int, float] = {}
        self._was: dict[int, bool] = {}

    def datagram(self, data: bytes, *, local, remote, outgoing: bool, now: float) -> None:
        """Check whether a sent RTP packet of G.711 (172 octets) is loud."""
        if not outgoing or len(data) != 172:
            return
        port = local[1]
        # Without the sign bit, mu-law octets of sound below about -50 dBm0 are 0x5B and up.
        is_loud = min(data[12::3].translate(LOUDNESS)) < 0x50
        if is_loud:
            self.last[port] = time.monotonic()
            if not self._was.get(port):
                self.began[port] = self.last[port]
        self._was[port] = is_loud


class CallSide:
    """One side of a call, with the PCM output and input of its application."""

    def __init__(self, engine: MediaEngine, rates: tuple[int, int]) -> None:
        self.engine = engine
        self.loud = loud(rates[0])
        self.local = engine.allocate_stream()
        self.said, self.heard = PcmOutput(rates[0]), PcmInput(rates[1])
        self.heard_at = 0.0

    def open(self, other: CallSide) -> None:
        """Open the stream to the other side, and attach output and input."""
        self.engine.open_stream(
            self.local.handle, StreamSpec((other.local.host, other.local.rtp_port))
        )
        self.engine.play(self.local.handle, self.said)
        self.engine.record(self.local.handle, self.heard)

    async def listen(self, *, stuck: bool) -> None:
        """Read all audio and note when it becomes loud; if `stuck`, stop after the first chunk."""
        was = False
        while len(chunk := await self.heard.read()):
            is_loud = int(np.abs(chunk.pcm).max()) > 2000
            if is_loud and not was:
                self.heard_at = time.monotonic()
            was = is_loud
            if stuck:
                await asyncio.Event().wait()


async def measure(rates: tuple[int, int]) -> dict[str, list[float]]:
    """Measure at the rates (written, read) in Hz.

    Returns the milliseconds of each kind, and by "dropped unread" numbers of samples.
    """
    found: dict[str, list[float]] = {name: [] for name in BOUNDS}
    wire = LoudnessTap()
    async with MediaEngine(MediaConfig(), tap=wire) as engine:
        sides = [CallSide(engine, rates) for _ in range(CALLS)]
        pairs = list(zip(sides[::2], sides[1::2], strict=True))
        for one, other in pairs:
            one.open(other)
            other.open(one)
        readers = [asyncio.create_task(side.listen(stuck=at == 1)) for at, side in enumerate(sides)]
        await asyncio.sleep(2.0)
        for _ in range(ROUNDS):
            await asyncio.gather(
                *(talk(at, one, other, wire, found) for at, (one, other) in enumerate(pairs))
            )
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        late = engine.lateness
        found["packets late"] = [late.quantile_ms(0.5), late.quantile_ms(0.99)]
        found["dropped unread"] = [side.heard.dropped_samples for side in sides[:4]]
    return found


async def talk(
    at: int, one: CallSide, other: CallSide, wire: LoudnessTap, found: dict[str, list[float]]
) -> None:
    """Write audio on one side, time its arrival at the other, and flush it.

    Raises RuntimeError if the audio is not sent or nothing is left to flush.
    """
    port = one.local.rtp_port
    await asyncio.sleep(0.011 * at % 0.5)
    begin = time.monotonic()
    await one.said.write(one.loud)
    await asyncio.sleep(0.4)
    sent = wire.began.get(port, 0.0)
    if sent < begin:
        raise RuntimeError("what was written was not sent")
    found["write to wire"].append(1e3 * (sent - begin))
    if at:  # the second side of the first pair has the stuck reader
        playout = one.engine.statistics(other.local.handle).playout_delay_ms
        delay = 1e3 * (other.heard_at - sent)
        found["wire to read beyond playout"].append(delay - playout)
    begin = time.monotonic()
    if not one.said.flush():
        raise RuntimeError("there was nothing to flush")
    await asyncio.sleep(0.3)
    found["flush to silence"].append(max(0.0, 1e3 * (wire.last[port] - begin)))


async def silent_share(rates: tuple[int, int], *, read: bool) -> float:
    """Return the share of a core that all calls take in silence, with readers if `read`."""
    async with MediaEngine(MediaConfig()) as engine:
        sides = [CallSide(engine, rates) for _ in range(CALLS)]
        for one, other in zip(sides[::2], sides[1::2], strict=True):
            one.open(other)
            other.open(one)
        heard = sides if read else []
        readers = [asyncio.create_task(side.listen(stuck=False)) for side in heard]
        await asyncio.sleep(1.0)
        begun = time.process_time(), time.monotonic()
        await asyncio.sleep(4.0)
        used = (time.process_time() - begun[0]) / (time.monotonic() - begun[1])
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    return used


async def set_up() -> list[float]:
    """Return the milliseconds from `dial` to the first audio read from the far end."""
    took = []

    def account(name: str) -> AccountConfig:
        return AccountConfig(
            aor=f"sip:{name}@127.0.0.1", listen="udp:127.0.0.1:0", media=MediaPreferences()
        )

    async def attend(account) -> None:
        async for incoming in account.incoming():
            call = await incoming.answer()
            await call.audio.write(loud(16000))

    async with Phone() as phone:
        alice, bob = await phone.register(account("alice")), await phone.register(account("bob"))
        attending = asyncio.create_task(attend(bob))
        _, host, port = bob.listening
        for _ in range(SET_UPS):
            begin = time.monotonic()
            async with alice.dial(f"sip:bob@{host}:{port}") as outgoing:
                call = await outgoing.answered(timeout=10)
                async for heard in call.audio:
                    if np.abs(heard.pcm).max() > 2000:
                        break
                took.append(1e3 * (time.monotonic() - begin))
        attending.cancel()
        await asyncio.gather(attending, return_exceptions=True)
    return took


def summary(values: list[float]) -> dict[str, float]:
    """Return the median, the 99th percentile and the maximum, in ms."""
    found = np.percentile(values, (50, 99, 100))
    return dict(zip(("p50", "p99", "worst"), (round(float(v), 2) for v in found), strict=True))


def judge(rates: tuple[int, int]) -> dict[str, object]:
    """Measure at the rates, and return the results with their bounds."""
    begun = time.process_time(), time.monotonic()
    found = asyncio.run(measure(rates))
    used = (time.process_time() - begun[0]) / (time.monotonic() - begun[1])
    results: dict[str, object] = {
        name: summary(found[name]) | {"bound": bound, "measured": len(found[name])}
        for name, bound in BOUNDS.items()
    }
    results["packets sent late, p50 and p99"] = [round(v, 2) for v in found["packets late"]]
    results["samples dropped unread, the second call's reader is stuck"] = found["dropped unread"]
    results["share of a core"] = round(used, 3)
    results["share of a core in silence, without and with the application's tasks"] = [
        round(asyncio.run(silent_share(rates, read=read)), 3) for read in (False, True)
    ]
    return results


def ask_for_priority() -> None:
    """Raise the priority of the process and its session.  Raises OSError if not permitted."""
    os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    group = Path("/proc/self/autogroup")
    if group.exists():
        group.write_text(str(PRIORITY))


def main() -> None:
    """Measure, print and write the results."""
    if "--priority" in sys.argv[1:]:
        again = [sys.executable, __file__, "--first"]
        sys.exit(subprocess.run(again, start_new_session=True, check=False).returncode)
    if "--first" in sys.argv[1:]:
        ask_for_priority()
    results: dict[str, object] = {}
    for name, rates in RATES.items():
        results[name] = judge(rates)
    results["dial to first sound"] = summary(asyncio.run(set_up())) | {"measured": SET_UPS}
    for name, value in results.items():
        print(f"{name}: {value}")
    record = {
        "bench": "pcm_latency",
        "unit": "ms",
        "calls": CALLS,
        "results": results,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
