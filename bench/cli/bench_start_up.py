"""Measures start-up time: `python bench/cli/bench_start_up.py`.

Each row is the best and median of several fresh interpreters; the baseline is an interpreter that
does nothing.  The claim: `import softphone` and `softphone --help` take at most 0.3 s more than the
baseline, and load none of av, aiortc and aiohttp; and, as ratios of processor time, which other
work on the machine changes little: `softphone --help` takes at most 1.5 times `import typer`, and
`from softphone import Phone` at most 2.5 times the libraries that a phone stands on.  What making
the first phone then loads has a row of its own.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.python_build import measured_on

RESULTS = Path(__file__).parents[1] / "results" / "start_up.json"
ROUNDS = 7
CASES = {
    "floor: an empty program": ["-c", "pass"],
    "import softphone": ["-c", "import softphone"],
    "import typer": ["-c", "import typer"],
    "the libraries of a phone": [
        "-c",
        "import asyncio, ssl, numpy, cryptography.x509, pylibsrtp",
    ],
    "from softphone import Phone": ["-c", "from softphone import Phone"],
    "a phone, made": ["-c", "from softphone import Phone; Phone()"],
    "softphone --help": ["-m", "softphone", "--help"],
    "softphone call --help": ["-m", "softphone", "call", "--help"],
}
LOADED = "import sys; print([m for m in ('av', 'aiortc', 'aiohttp') if m in sys.modules])"


def seconds(arguments: list[str]) -> float:
    """Return the seconds that a fresh interpreter takes with `arguments`."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def processor_seconds() -> float:
    """Return the processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure() -> dict[str, dict[str, float]]:
    """Return best and median of each case, and its least processor time.

    Cases alternate, so that load affects all alike.
    """
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    worked: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(ROUNDS):
        for name, arguments in CASES.items():
            before = processor_seconds()
            taken[name].append(seconds(arguments))
            worked[name].append(processor_seconds() - before)
    return {
        name: {
            "best_s": round(min(times), 4),
            "median_s": round(statistics.median(times), 4),
            "processor_s": round(min(worked[name]), 4),
        }
        for name, times in taken.items()
    }


def ratio(rows: dict[str, dict[str, float]], case: str, floor: str) -> float:
    """Return how many times the processor time of `floor` a case takes."""
    return round(rows[case]["processor_s"] / rows[floor]["processor_s"], 2)


def commit() -> str:
    """Return the commit checked out."""
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def main() -> None:
    """Measure, print and write the results."""
    seconds(CASES["softphone call --help"])  # compiles the byte code before measuring
    rows = measure()
    code = f"import softphone.phone.phone; {LOADED}"
    heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    print(f"{'what':32} {'best':>8} {'median':>8}   seconds")
    for name, row in rows.items():
        print(f"{name:32} {row['best_s']:8.3f} {row['median_s']:8.3f}")
    helped = ratio(rows, "softphone --help", "import typer")
    named = ratio(rows, "from softphone import Phone", "the libraries of a phone")
    made = ratio(rows, "a phone, made", "the libraries of a phone")
    print(f"softphone --help takes {helped} times the processor time of import typer (1.5 allowed)")
    print(f"from softphone import Phone takes {named} times that of its libraries (2.5 allowed)")
    print(f"with a phone that is made it is {made} times")
    print(f"of av, aiortc and aiohttp a whole phone loads {heavy.stdout.strip()}")
    found = {
        "bench": "start_up",
        **measured_on(),
        "loaded_of_av_aiortc_aiohttp": heavy.stdout.strip(),
        "help_to_typer_ratio": helped,
        "phone_to_libraries_ratio": named,
        "made_phone_to_libraries_ratio": made,
        "results": rows,
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
