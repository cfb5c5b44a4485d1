"""Fuzzing led by coverage: `python -m tests.fuzz.coverage_guided [--minutes N] [TARGET ...]`.

The targets are those of `tests.fuzz.full`.  atheris (libFuzzer) watches which branches of
`softphone` an input takes, and keeps those that reach something new; what it has kept stays in
`.cache/fuzz/TARGET/`, so that the next run goes on from there.  Each target runs in a process of
its own, for its share of the minutes.  The last target, "media kernel", is the compiled media
kernel under sanitizers (`tests.fuzz.kernel_target`), which has `--kernel-seconds` of its own.

An exception that the target does not expect, more than ten seconds or more than 2 GB for one input
ends the run with 1.  The input is written to `tests/data/fuzz/TARGET/`, where a test repeats it for
ever after (`tests/fuzz/test_findings.py`).  TARGET is the beginning of a name; `--list` shows them.
A run of all targets, and one with `--record`, writes the row of each target that it has run to
`bench/results/fuzz.json` as the target ends: a run that is cut short has recorded what it did.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.fuzz import kernel_target

if TYPE_CHECKING:
    from tests.fuzz.full import Target

PROJECT = Path(__file__).resolve().parents[2]
KEPT = PROJECT / ".cache" / "fuzz"
FINDINGS = PROJECT / "tests" / "data" / "fuzz"
RESULTS = PROJECT / "bench" / "results" / "fuzz.json"
LONGEST_INPUT = 4096
SLOWEST_S = 10
MEMORY_MB = 2048
KERNEL_SECONDS = 180
PROGRESS = re.compile(r"#(?P<runs>\d+)\s.*?cov: (?P<cov>\d+) ft: (?P<ft>\d+) corp: (?P<corp>\d+)")


@dataclass(frozen=True)
class Outcome:
    """What one target came to: inputs run, counters reached, inputs kept, whether it held.

    `seconds` is its share of the minutes, `seed` that of its random inputs.
    """

    name: str
    runs: int
    coverage: int
    kept: int
    held: bool
    seconds: int
    seed: int


def folder_name(target: str) -> str:
    """The name of a target as that of a folder."""
    return re.sub(r"[^a-z0-9]+", "_", target.lower()).strip("_")


def names() -> list[str]:
    """Every target's name, without instrumenting anything."""
    full = importlib.import_module("tests.fuzz.full")
    return [*(target.name for target in full.targets()), kernel_target.NAME]


# One target: what the child process does ---------------------------------------------------------


def fuzz(name: str, seconds: int, seed: int) -> None:
    """Runs one target under libFuzzer, which ends the process."""
    import atheris  # of the extra `test`, where it has a wheel

    with atheris.instrument_imports(include=["softphone", "softphone_codecs"]):
        full = importlib.import_module("tests.fuzz.full")
    target: Target = next(each for each in full.targets() if each.name == name)
    kept, findings = KEPT / folder_name(name), FINDINGS / folder_name(name)
    for folder in (kept, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.corpus):
        (kept / f"seed-{number:03}").write_bytes(data[:LONGEST_INPUT])
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={LONGEST_INPUT}",
        f"-timeout={SLOWEST_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={findings}{os.sep}",
        "-print_final_stats=0",
        str(kept),
    ]
    atheris.Setup(arguments, target.check)
    atheris.Fuzz()


# All targets -------------------------------------------------------------------------------------


def run_target(name: str, seconds: int, seed: int) -> Outcome:
    """Runs one target in a child process and reads what libFuzzer told."""
    command = [sys.executable, "-m", "tests.fuzz.coverage_guided", "--child", name]
    ended = subprocess.run(
        [*command, "--seconds", str(seconds), "--seed", str(seed)],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    told = list(PROGRESS.finditer(ended.stdout))
    if ended.returncode or not told:
        print(ended.stdout[-4000:], file=sys.stderr)
    findings = FINDINGS / folder_name(name)
    if findings.is_dir() and not any(findings.iterdir()):
        findings.rmdir()
    last = told[-1] if told else None
    return Outcome(
        name,
        int(last["runs"]) if last else 0,
        int(last["cov"]) if last else 0,
        int(last["corp"]) if last else 0,
        ended.returncode == 0 and bool(told),
        seconds,
        seed,
    )


def run_kernel(seconds: int, seed: int) -> Outcome:
    """Runs the compiled media kernel; a fault is printed."""
    try:
        ended = kernel_target.fuzz_kernel(seconds, seed)
    except (OSError, subprocess.SubprocessError) as error:
        ended = kernel_target.KernelRun(0, 0, 0, f"{error}: gcc with its sanitizers is needed")
    print(ended.fault, file=sys.stderr, end="\n" if ended.fault else "")
    counts = ended.executions, ended.edges, ended.inputs
    return Outcome(kernel_target.NAME, *counts, not ended.fault, seconds, seed)


def record(outcome: Outcome, every: Sequence[str], results: Path = RESULTS) -> None:
    """Replaces the row of one target; those of targets that are no more are left out."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    run = {"commit": told.stdout.strip(), "python": sys.version.split()[0]}
    rows: dict[str, object] = {}
    if results.is_file():
        rows = {row["name"]: row for row in json.loads(results.read_text("utf-8"))["targets"]}
    rows[outcome.name] = asdict(outcome) | run
    document = {"targets": [rows[name] for name in every if name in rows]}
    results.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def run_all(
    chosen: Sequence[str],
    minutes: float,
    seed: int,
    recorded: Sequence[str] = (),
    *,
    kernel_seconds: int = KERNEL_SECONDS,
) -> list[Outcome]:
    """Runs the targets one after the other; prints a line as each ends, and a table.

    `recorded` are the names of all targets, to keep the outcomes of the chosen ones among.
    """
    console = Console()
    outcomes = []
    share = max(1, round(60 * minutes / max(1, len(set(chosen) - {kernel_target.NAME}))))
    for number, name in enumerate(chosen, 1):
        is_kernel = name == kernel_target.NAME
        seconds = kernel_seconds if is_kernel else share
        console.print(f"{number} of {len(chosen)}: {name}, {seconds} s", highlight=False)
        run = run_kernel(seconds, seed) if is_kernel else run_target(name, seconds, seed)
        outcomes.append(run)
        if recorded:
            record(outcomes[-1], recorded)
    table = Table("target", "inputs", "counters reached", "inputs kept", "outcome")
    for one in outcomes:
        verdict = "held" if one.held else "failed"
        table.add_row(one.name, f"{one.runs:,}", f"{one.coverage:,}", f"{one.kept:,}", verdict)
    console.print(table)
    return outcomes


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--minutes", type=float, default=60.0, help="for all targets together")
    parser.add_argument(
        "--kernel-seconds", type=int, default=KERNEL_SECONDS, help="for the media kernel, besides"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--record", action="store_true", help="also when not all targets are run")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        fuzz(options.child, options.seconds, options.seed)
    every = names()
    if options.list:
        print("\n".join(every))
        return
    starts = tuple(options.targets)
    chosen = [name for name in every if not starts or name.startswith(starts)]
    if not chosen:
        parser.error(f"no target begins with {' or '.join(starts)}; see --list")
    kept = every if options.record or chosen == every else ()
    outcomes = run_all(
        chosen, options.minutes, options.seed, kept, kernel_seconds=options.kernel_seconds
    )
    raise SystemExit(0 if all(one.held for one in outcomes) else 1)


if __name__ == "__main__":
    main()
