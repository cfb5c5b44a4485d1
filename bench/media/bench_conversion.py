"""Measures the distortion of audio written or read at another sample rate:
`python bench/media/bench_conversion.py`.

A sweep from 100 Hz to 85 % of the lower Nyquist frequency is written in pieces of all sizes to a
`PcmOutput` and read at the rate of the wire; the other way, it comes at the rate of the wire and is
read by a `PcmInput`.  The result is the ratio of the sweep to all errors in dB, with the rounding
to 16 bits included.  Reads no clock, so the numbers are reproducible.
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import cycle
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.python_build import measured_on
from softphone.media import PcmBlock
from softphone.media.audio import PcmInput, PcmOutput, at_rate
from softphone.media.audio.pcm_output import RATES
from tests.support.sounds import signal_to_error, sweep

RESULTS = Path(__file__).parents[1] / "results" / "conversion.json"
WIRE = (8000, 16000, 48000)
"""The sample rates in Hz of G.711, G.722 and Opus."""
SECONDS, SHARE = 2.0, 0.85
PIECES = (1, 7, 160, 333, 4000)
FRAMES = round(SECONDS * 50)


def highest(rate: int, wire: int) -> float:
    """Return the highest frequency of the sweep in Hz."""
    return SHARE * min(rate, wire) / 2


async def written(rate: int, wire: int) -> float:
    """Return the ratio of signal to error in dB at the wire, for audio written at `rate`."""
    top = highest(rate, wire)
    output = PcmOutput(rate)
    source = at_rate(output, wire)
    pcm, sizes, at = sweep(rate, SECONDS, top).astype(np.int16), cycle(PIECES), 0
    while at < pcm.size:
        size = next(sizes)
        await output.write(pcm[at : at + size])
        at += size
    got = np.concatenate([source.read(wire // 50) for _ in range(FRAMES)]).astype(float)
    return float(signal_to_error(got, sweep(wire, SECONDS, top), wire))


async def read(rate: int, wire: int) -> float:
    """Return the ratio of signal to error in dB of audio from the wire, read at `rate`."""
    top, step = highest(rate, wire), wire // 50
    heard = PcmInput(rate, seconds=2 * SECONDS)
    pcm = sweep(wire, SECONDS, top).astype(np.int16)
    for start in range(0, pcm.size, step):
        heard.write(PcmBlock(pcm[start : start + step], wire, start, 0))
    chunks = [await heard.read() for _ in range(FRAMES)]
    got = np.concatenate([chunk.pcm for chunk in chunks]).astype(float)
    return float(signal_to_error(got, sweep(rate, SECONDS, top)[chunks[0].timestamp :], rate))


async def measure() -> dict[str, dict[str, float]]:
    """Measure both directions at all rates."""
    found: dict[str, dict[str, float]] = {}
    for name, way in (("written", written), ("read", read)):
        found[name] = {
            f"{rate} at {wire} Hz": round(await way(rate, wire), 1)
            for rate in RATES
            for wire in WIRE
        }
    return found


def main() -> None:
    """Measure, print and write the results."""
    results = asyncio.run(measure())
    for name, values in results.items():
        for rates, value in values.items():
            print(f"{name} {rates}: {value} dB")
    record = {
        "bench": "conversion",
        "unit": "dB of the sweep above what is wrong",
        "sweep": f"100 Hz to {SHARE:.0%} of the lower half rate in {SECONDS:g} s",
        "worst": min(value for values in results.values() for value in values.values()),
        "results": results,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
