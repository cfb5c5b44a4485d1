"""Compares the adaptive jitter buffer with two others on bad networks, by delay and concealment.

    python bench/media/bench_playout_loss.py [SECONDS]

There is one trace for each condition, in virtual time: packets of 20 ms that are lost, late,
duplicated or out of order, from a sender whose clock drifts or who holds packets back and sends
several at once.  Three buffers play it: ours, a fixed one of 60 ms, and aiortp's `AdaptivePlayout`
if it is installed (`pip install aiortp`).  PJSIP's is left out, since there is no wheel.

The delay is from the sending of a frame to its playout, less the fixed transit.  `concealed` is
the share of 20 ms ticks without a frame to play.  `beyond` is `concealed` less the share that the
network lost: the loss that the buffer adds.  Fails if ours misses `BEYOND` or its delay bound.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.python_build import measured_on
from softphone.media.playout import FrameStatus, JitterBufferBank
from softphone.media.playout.jitter_buffer import JitterBufferConfig, ReceivedPackets

try:
    from aiortp import __version__ as aiortp_version
    from aiortp.playout import AdaptivePlayout
except ImportError:
    AdaptivePlayout = None
    aiortp_version = ""

RESULTS = Path(__file__).parents[1] / "results" / "playout_loss.json"
SECONDS = 300
FRAME = 0.02
TRANSIT = 0.03
FIXED = 0.06
BEYOND = 0.03
"""The largest share of frames that ours may conceal in addition to the lost ones."""
DELAY_MS = 170.0
"""The largest mean delay of ours: 130 ms, the 97th percentile of the worst jitter, and 2 frames."""
HELD_MS = 40.0
"""The mean delay allowed in addition to the longest time that packets are held back: 2 frames."""


@dataclass(frozen=True, slots=True)
class PacketTrace:
    """The packets that arrive.

    `number` int64[n] is the frame and `arrival` float64[n] its time in seconds, sorted by arrival;
    `sent` float64[frames] is when each frame was sent, and `lost` the share of frames lost.
    """

    number: np.ndarray
    arrival: np.ndarray
    sent: np.ndarray
    lost: float


def trace(
    seconds: int,
    *,
    loss: float = 0.0,
    burst: float = 1.0,
    jitter: float = 0.0,
    reorder: float = 0.0,
    double: float = 0.0,
    drift: float = 0.0,
    held: int = 1,
) -> PacketTrace:
    """Make a trace, the same for the same arguments.

    `loss`, `reorder` and `double` are shares of the packets.  `burst` is the mean length of a loss
    in packets.  The delay in seconds is the transit plus the magnitude of a normal variable with
    standard deviation `jitter`.  `drift` is the relative error of the sender's clock.  `held`
    packets leave together.
    """
    generator = np.random.default_rng(7)
    count = round(seconds / FRAME)
    sent = np.arange(count) * FRAME / (1.0 + drift)
    gone = np.zeros(count, dtype=bool)
    if loss:
        enter, leave = loss / (burst * (1.0 - loss)), 1.0 / burst
        bad = False
        for at, drawn in enumerate(generator.random(count)):
            bad = drawn >= leave if bad else drawn < enter
            gone[at] = bad
    delay = TRANSIT + np.abs(generator.normal(0.0, jitter, count))
    if held > 1:
        last = np.minimum(np.arange(count) // held * held + held - 1, count - 1)
        # All packets of a group leave and arrive with the last one.
        delay = sent[last] + delay[last] - sent
    # A reordered packet arrives 2.2 frames late, so the next two overtake it.
    delay += np.where(generator.random(count) < reorder, 2.2 * FRAME, 0.0)
    number = np.flatnonzero(~gone)
    again = number[generator.random(number.size) < double]
    arrival = np.concatenate((sent[number] + delay[number], sent[again] + delay[again] + 0.005))
    number = np.concatenate((number, again))
    order = np.argsort(arrival, kind="stable")
    return PacketTrace(number[order], arrival[order], sent, float(gone.mean()))


CONDITIONS: dict[str, dict[str, float]] = {
    "no loss, no jitter": {},
    "5 % random loss": {"loss": 0.05},
    "10 % random loss": {"loss": 0.10},
    "20 % random loss": {"loss": 0.20},
    "10 % loss in bursts of 4": {"loss": 0.10, "burst": 4.0},
    "60 ms jitter": {"jitter": 0.06},
    "20 ms jitter": {"jitter": 0.02},
    "5 % reordered": {"reorder": 0.05},
    "5 % doubled": {"double": 0.05},
    "drift +200 ppm": {"drift": 200e-6},
    "drift -200 ppm": {"drift": -200e-6},
    "5 % loss, 20 ms jitter, 2 % reordered, +200 ppm": {
        "loss": 0.05, "jitter": 0.02, "reorder": 0.02, "drift": 200e-6,
    },
    "3 at once, 5 ms jitter": {"held": 3, "jitter": 0.005},
    "10 at once, 5 ms jitter": {"held": 10, "jitter": 0.005},
    "10 at once, 5 ms jitter, 5 % loss": {"held": 10, "jitter": 0.005, "loss": 0.05},
}  # fmt: skip

Played = list[int | None]
"""The number of the frame played at each tick, or None."""


def ticks(given: PacketTrace) -> np.ndarray:
    """Return the playout times, float64 seconds, one each 20 ms."""
    return np.arange(0.011, given.sent[-1], FRAME)


def ours(given: PacketTrace) -> Played:
    """Play the trace with `JitterBufferBank`."""
    bank = JitterBufferBank(1, JitterBufferConfig())
    bank.open_row(0, clock_rate_hz=8000, frame_ticks=160, octets_per_tick=1, silence=0xFF)
    row, at, played = np.zeros(1, dtype=np.int32), 0, []
    for now in ticks(given):
        end = int(np.searchsorted(given.arrival, now, side="right"))
        if end > at:
            bank.insert_packets(_arrivals(given.number[at:end], given.arrival[at:end]))
            at = end
        frames = bank.next_frames(row, now=float(now))
        if frames.status[0] == FrameStatus.PLAYED:
            octets = bank.payload(row, frames.slot, 160)[0, :8].tobytes()
            played.append(int.from_bytes(octets, "little"))
        else:
            played.append(None)
    return played


def _arrivals(number: np.ndarray, arrival: np.ndarray) -> ReceivedPackets:
    count = number.size
    data = np.zeros((count, 172), dtype=np.uint8)
    data[:, 12:20] = number.astype("<u8")[:, None].view(np.uint8)
    return ReceivedPackets(
        row=np.zeros(count, dtype=np.int32),
        sequence=number.astype(np.uint16),
        timestamp=(number * 160).astype(np.uint32),
        ssrc=np.full(count, 7, dtype=np.uint32),
        payload_type=np.zeros(count, dtype=np.uint8),
        data=data,
        offset=np.full(count, 12, dtype=np.int32),
        length=np.full(count, 160, dtype=np.int32),
        arrival=arrival,
    )


def fixed(given: PacketTrace) -> Played:
    """Play the trace with a fixed delay of 60 ms after the arrival of the first packet."""
    first, played, waiting, at = given.arrival[0] + FIXED, [], set(), 0
    for now in ticks(given):
        end = int(np.searchsorted(given.arrival, now, side="right"))
        waiting.update(given.number[at:end].tolist())
        at = end
        wanted = int(np.floor((now - first) / FRAME))
        played.append(wanted if wanted in waiting else None)
        waiting.discard(wanted)
    return played


class FrameNumberCodec:
    """A codec for aiortp that records the frame number in each payload."""

    sample_rate, samples_per_frame = 8000, 160

    def __init__(self) -> None:
        self.number: int | None = None

    def decode(self, payload: bytes) -> bytes:
        """Record the frame number; return 20 ms of silence."""
        self.number = int.from_bytes(payload, "little")
        return bytes(320)

    def conceal(self, samples: int) -> bytes:
        """Return silence."""
        return bytes(2 * samples)


def aiortp(given: PacketTrace) -> Played:
    """Play the trace with aiortp's `AdaptivePlayout`."""
    clock, codec, played, at = [0.0], FrameNumberCodec(), [], 0
    buffer = AdaptivePlayout(codec, now=lambda: clock[0])
    for now in ticks(given):
        end = int(np.searchsorted(given.arrival, now, side="right"))
        for number, arrival in zip(given.number[at:end], given.arrival[at:end], strict=True):
            clock[0] = float(arrival)
            buffer.put(int(number) * 160 & 0xFFFFFFFF, int(number).to_bytes(8, "little"))
        at, clock[0], codec.number = end, float(now), None
        buffer.tick()
        played.append(codec.number)
    return played


def judged(given: PacketTrace, played: Played) -> dict[str, float]:
    """Return delays in ms and shares of ticks, without the first three seconds."""
    when = ticks(given)[150:]
    heard = [(now, each) for now, each in zip(when, played[150:], strict=True) if each is not None]
    delays = [1e3 * (now - given.sent[each] - TRANSIT) for now, each in heard]
    concealed = 1.0 - len(heard) / len(when)
    return {
        "delay_ms": round(float(np.mean(delays)), 1),
        "delay_p95_ms": round(float(np.percentile(delays, 95)), 1),
        "concealed": round(concealed, 4),
        "beyond": round(concealed - given.lost, 4),
    }


def allowed_ms(settings: dict[str, float]) -> float:
    """Return the largest mean delay in ms that ours may have under a condition."""
    return max(DELAY_MS, 1e3 * FRAME * (settings.get("held", 1) - 1) + HELD_MS)


def main() -> int:
    """Measure, print and write the results; return 1 if a bound is missed."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    buffers: dict[str, Callable[[PacketTrace], Played]] = {"ours": ours, "fixed 60 ms": fixed}
    if AdaptivePlayout is not None:
        buffers[f"aiortp {aiortp_version}"] = aiortp
    table, bad = {}, []
    for name, settings in CONDITIONS.items():
        given = trace(seconds, **settings)
        table[name] = {"lost": round(given.lost, 4)}
        for who, buffer in buffers.items():
            found = judged(given, buffer(given))
            table[name][who] = found
            print(f"{name:50}{who:16}{found}", flush=True)
        mine = table[name]["ours"]
        if mine["beyond"] > BEYOND or mine["delay_ms"] > allowed_ms(settings):
            bad.append(name)
    record = {
        "bench": "playout_loss",
        "seconds_a_trace": seconds,
        "bounds_of_ours": {"beyond": BEYOND, "delay_ms": DELAY_MS, "held_ms": HELD_MS},
        "missed": bad,
        "absent": ["PJSIP: no wheel"] + ([] if AdaptivePlayout else ["aiortp: not installed"]),
        "conditions": table,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    print("not within bounds:", bad or "none")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
