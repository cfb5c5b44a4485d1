"""Measures the cost of a stream in and around jitter buffers: `python
bench/media/bench_playout.py`.

4,000 rows of G.711 in 8 phases of 500, as the media loop serves them: packets go in in shuffled
order, one frame for each row comes out.  Measures CPU time, which other processes disturb little.
"concealment" is the share of rows with a reader.  The comparison is the simplest design: a
dictionary of payload bytes for each stream.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench.python_build import measured_on
from softphone.media.bank.reception import ReceptionBank
from softphone.media.playout import Concealment, JitterBufferBank
from softphone.media.playout.jitter_buffer import ReceivedPackets
from softphone_codecs import find_codec

RESULTS = Path(__file__).parents[1] / "results" / "playout.json"
ROWS, PHASES, FRAMES, WARM, REPEATS = 4000, 8, 60, 25, 5
WIDTH = ROWS // PHASES
TICK = 0.02


def phases(loss: float, seed: int) -> Iterator[tuple[int, float, ReceivedPackets]]:
    """Yield for each phase of each tick its first row, its time and its arriving packets."""
    generator = np.random.default_rng(seed)
    data = generator.integers(0, 256, (WIDTH, 1500)).astype(np.uint8)
    for tick in range(FRAMES):
        for phase in range(PHASES):
            now = TICK * tick + phase * TICK / PHASES
            came = generator.permutation(WIDTH)[generator.random(WIDTH) >= loss]
            count = came.size
            arrivals = ReceivedPackets(
                row=(came + phase * WIDTH).astype(np.int32),
                sequence=np.full(count, tick, dtype=np.uint16),
                timestamp=np.full(count, 160 * tick, dtype=np.uint32),
                ssrc=np.full(count, 7, dtype=np.uint32),
                payload_type=np.zeros(count, dtype=np.uint8),
                data=data[:count],
                offset=np.full(count, 12, dtype=np.int32),
                length=np.full(count, 160, dtype=np.int32),
                arrival=now - generator.uniform(0.0, 0.01, count),
            )
            yield phase * WIDTH, now, arrivals


def bank_run(loss: float) -> dict[str, float]:
    """Return microseconds a row and frame of each part, without the warm-up ticks."""
    bank, reception = JitterBufferBank(ROWS), ReceptionBank(ROWS)
    concealment, law = Concealment(ROWS, 160), find_codec("PCMU")
    for row in range(ROWS):
        bank.open_row(row, clock_rate_hz=8000, frame_ticks=160, octets_per_tick=1, silence=0xFF)
        reception.open_row(row, clock_rate_hz=8000)
    spent = dict.fromkeys(("reception", "insert", "get", "gather", "decode", "concealment"), 0.0)
    served = 0

    def timed(part: str, work: Callable[[], object]) -> object:
        begin = time.process_time()
        result = work()
        if served >= WARM * ROWS:
            spent[part] += time.process_time() - begin
        return result

    for first, now, arrivals in phases(loss, seed=1):
        rows = np.arange(first, first + WIDTH, dtype=np.int32)
        fields = (arrivals.row, arrivals.sequence, arrivals.timestamp, arrivals.ssrc)
        timed("reception", lambda f=fields, a=arrivals: reception.update(*f, a.arrival))
        timed("insert", lambda a=arrivals: bank.insert_packets(a))
        frames = timed("get", lambda r=rows, t=now: bank.next_frames(r, now=t))
        payload = timed("gather", lambda r=rows, f=frames: bank.payload(r, f.slot, 160))
        pcm = timed("decode", lambda p=payload, f=frames: law.decode(p, f.length))
        timed("concealment", lambda r=rows, p=pcm, f=frames: concealment.apply(r, p, f.status))
        served += WIDTH
    counted = (FRAMES - WARM) * ROWS
    return {part: 1e6 * seconds / counted for part, seconds in spent.items()}


def dictionary_run() -> float:
    """Return microseconds a row and frame with a dictionary of payloads for each stream."""
    waiting: list[dict[int, bytes]] = [{} for _ in range(ROWS)]
    playing = [-2] * ROWS
    spent = 0.0
    for first, _, arrivals in phases(0.0, seed=1):
        octets = [arrivals.data[at].tobytes() for at in range(WIDTH)]
        fields = list(zip(arrivals.row.tolist(), arrivals.sequence.tolist(), octets, strict=True))
        begin = time.process_time()
        for row, sequence, packet in fields:
            waiting[row][sequence] = packet[12:172]
        for row in range(first, first + WIDTH):
            playing[row] += 1
            waiting[row].pop(playing[row], None)
        spent += time.process_time() - begin
    return 1e6 * spent / (FRAMES * ROWS)


def main() -> None:
    """Measure, print and write the results."""
    results: dict[str, object] = {}
    for loss in (0.0, 0.05):
        runs = [bank_run(loss) for _ in range(REPEATS)]
        parts = {part: round(min(run[part] for run in runs), 3) for part in runs[0]}
        results[f"loss {loss:.0%}"] = parts
        phase = (parts["insert"] + parts["get"]) * 512 / 1000
        print(f"loss {loss:.0%}: µs a row and frame: {parts}")
        print(f"         insert and get, a phase of 512 rows: {phase:.3f} ms")
        results[f"phase of 512 rows, loss {loss:.0%}, ms"] = round(phase, 3)
    plain = min(dictionary_run() for _ in range(REPEATS))
    results["a dictionary a stream, no adaptation"] = round(plain, 3)
    print(f"a dictionary a stream, without adaptation or statistics: {plain:.3f} µs")
    RESULTS.write_text(
        json.dumps(
            {
                "bench": "playout",
                "unit": "microseconds of CPU a row and frame of 20 ms",
                "rows": ROWS,
                "phases": PHASES,
                "results": results,
                **measured_on(),
            },
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
