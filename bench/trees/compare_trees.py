"""Compares the speed and memory of two trees: `python bench/trees/compare_trees.py OLD_TREE`.

OLD_TREE is a checkout of an older commit; the new tree is the one this file stands in.  Both are
copied to a temporary folder first, so that nothing is written into either, and their byte code is
compiled.  Then the benches of the old and of the new tree run alternately, each in processes of
its own with its own copy first on PYTHONPATH, on the same interpreter:

setup   bench_call_setup: processor time a call of both ends, at a steady rate and at full load
memory  bench_call_memory: kilobytes a call, shared sockets, no reader
tick    bench_media_tick: processor time a call-second of the engine on shared sockets
start   bench_start_up: processor time to import softphone and to show help
counts  scripted_call: calls of Python and C functions, octets allocated (not repeated: exact)

For every figure of the first four this prints the median of the paired ratios new/old, its 95 %
interval (bootstrap), and median and range of each side; the bound on the median is 1.05.  What
`counts` counts must not be higher in the new tree.  The exit status is 1 where a bound is missed.
The settings are short, for a comparison and not for a claim: 10 pairs take about a quarter of an
hour.  A bench is found by its file name, wherever in `bench/` it stands.

Results go to results/compare_trees.json, with the load of the machine and how Python was built.
`--pairs 10`, `--only NAME` (may be repeated).
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = next(folder for folder in HERE.parents if (folder / "pyproject.toml").exists())
RESULTS = PROJECT / "bench" / "results" / "compare_trees.json"
BOUND = 1.05
"""What the median of the paired ratios may be."""
RESAMPLES = 10_000
COPIED = ("softphone", "codecs", "bench")
KINDS = ("calls", "octets", "blocks")
TOLERANCES = {
    "python_calls": 0.0,
    "c_calls": 0.0,
    # Runs of one tree differ by 1 in 500,000.
    "allocations": 2e-6,
    # A port number has four or five digits.
    "octets_allocated": 5e-6,
    "peak_octets": 0.02,
}
"""Counts that must not be higher in the new tree, and the share by which runs of one tree differ.

Other counts are only shown.
"""

Figures = dict[str, float]
Pairs = list[tuple[Figures, Figures]]


# One bench of one tree: what the child process does ----------------------------------------------


def bench_file(tree: Path, stem: str) -> Path:
    """Returns the path of a bench by its stem.  Raises SystemExit unless there is exactly one."""
    found = sorted((tree / "bench").rglob(f"{stem}.py"))
    if len(found) != 1:
        raise SystemExit(f"expected one {stem}.py in bench/, found {len(found)}")
    return found[0]


def import_bench(tree: Path, *stems: str) -> Any:
    """Imports the bench with one of the stems, by its package, or by name if `bench` is flat.

    Raises SystemExit unless there is exactly one.
    """
    files = [path for stem in stems for path in sorted((tree / "bench").rglob(f"{stem}.py"))]
    if len(files) != 1:
        raise SystemExit(f"expected one of {', '.join(stems)} in bench/, found {len(files)}")
    place = files[0].relative_to(tree).with_suffix("")
    return importlib.import_module(place.name if len(place.parts) == 2 else ".".join(place.parts))


def run_main(tree: Path, stem: str, *arguments: str, **settings: Any) -> dict[str, Any]:
    """Runs a bench with some of its constants replaced; returns the results it has written."""
    module = import_bench(tree, stem)
    for name, value in settings.items():
        if not hasattr(module, name):
            raise SystemExit(f"{stem} has no {name}: adapt compare_trees")
        setattr(module, name, value(getattr(module, name)) if callable(value) else value)
    sys.argv = [str(bench_file(tree, stem)), *arguments]
    module.main()
    (results,) = (tree / "bench").rglob(f"{stem.removeprefix('bench_')}.json")
    document: dict[str, Any] = json.loads(results.read_text())
    return document


def measure_setup(tree: Path) -> Figures:
    """Returns CPU microseconds a call, by end.  Raises SystemExit if a call failed."""
    document = run_main(tree, "bench_call_setup", "--seconds", "3", MOST=400)
    figures = {}
    for part in ("steady", "saturated"):
        if document[part]["failed"]:
            raise SystemExit(f"calls failed: {document[part]['causes']}")
        for end, layers in document[part]["us_a_call"].items():
            figures[f"call set-up, {part}, {end}, µs"] = sum(layers.values())
    return figures


def measure_memory(tree: Path) -> Figures:
    """Returns kilobytes a call, in the first case of the bench."""
    document = run_main(
        tree, "bench_call_memory", "--calls", "100,400", WAYS=lambda ways: dict([*ways.items()][:1])
    )
    (row,) = document["results"].values()
    return {
        "call memory, kB a call": row["kilobytes_a_call"],
        "call memory, MB with 400 calls": row["megabytes"]["400"],
    }


def measure_tick(tree: Path) -> Figures:
    """Returns CPU milliseconds a call-second, with signaling in the same loop."""
    signaling = import_bench(tree, "media_signaling", "signaling_load")
    command = [sys.executable, str(bench_file(tree, "bench_media_tick"))]
    with tempfile.TemporaryDirectory() as folder:
        pem = str(signaling.make_certificate(Path(folder)))
        peer = subprocess.Popen(
            [*command, "--part", "peer", "--pem", pem],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if peer.stdin is None or peer.stdout is None:
            raise SystemExit("the far end of the signaling has no pipes")
        try:
            command += ["--part", "engine", "--sharing", "shared", "--pem", pem]
            command += ["--port", peer.stdout.readline().strip()]
            command += ["--streams", "600", "--seconds", "3"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        finally:
            peer.stdin.close()
            peer.wait(10)
            peer.stdout.close()
    row = json.loads(done.stdout.splitlines()[-1])
    return {"media tick, ms a call-second": row["ms_per_call_second"]}


def measure_start(tree: Path) -> Figures:
    """Returns CPU seconds, the best of five, which reduces the effect of other processes."""

    def seconds(arguments: list[str]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    document = run_main(tree, "bench_start_up", ROUNDS=5, seconds=lambda _: seconds)
    return {
        f"start-up, {name}, s": row["best_s"]
        for name, row in document["results"].items()
        if not name.startswith("floor")
    }


BENCHES: dict[str, Callable[[Path], Figures]] = {
    "setup": measure_setup,
    "memory": measure_memory,
    "tick": measure_tick,
    "start": measure_start,
}


# Both trees --------------------------------------------------------------------------------------


class Tree:
    """A copy of a tree, in which processes run."""

    def __init__(self, origin: Path, copy: Path) -> None:
        self.commit = git(origin, "rev-parse", "--short", "HEAD")
        self.changed = bool(git(origin, "status", "--porcelain", "--", *COPIED))
        self._folder = copy
        for name in COPIED:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(origin / name, copy / name, ignore=ignored)
        self._run([sys.executable, "-m", "compileall", "-q", *COPIED])

    def measure(self, name: str) -> Figures:
        """Runs one bench and returns its figures."""
        script = str(Path(__file__).resolve())
        command = [sys.executable, "-P", script, str(self._folder), "--part", name]
        figures: Figures = json.loads(self._run(command))
        return figures

    def count(self, kind: str) -> dict[str, list[int]]:
        """Counts the scripted call, in both trees with the script of the new one."""
        script = str(HERE / "scripted_call.py")
        command = [sys.executable, "-P", script, kind]
        numbers: dict[str, list[int]] = json.loads(self._run(command, PYTHONHASHSEED="0"))
        return numbers

    def _run(self, argv: list[str], **environment: str) -> str:
        """Runs a command and returns its last line of output.  Raises SystemExit if it fails."""
        folders = {path.parent for path in (self._folder / "bench").rglob("*.py")}
        own = [self._folder, self._folder / "codecs", *sorted(folders)]
        clean = {key: text for key, text in os.environ.items() if not key.startswith("PYTHON")}
        environment |= {
            "PYTHONPATH": os.pathsep.join(str(path) for path in own),
            # An absent folder, so that the benches find no real peer to measure.
            "SOFTPHONE_PEERS_CACHE": str(self._folder / "none"),
        }
        done = subprocess.run(
            argv,
            cwd=self._folder,
            env=clean | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(argv)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout.strip().rpartition("\n")[2]


def git(tree: Path, *arguments: str) -> str:
    """Returns the output of git in a tree, without surrounding space; "" if git fails."""
    command = ["git", "-C", str(tree), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


# Figures -----------------------------------------------------------------------------------------


def interval(ratios: list[float]) -> tuple[float, float]:
    """Returns the 95 % interval of the median, by bootstrap with a fixed seed."""
    generator = random.Random(13)
    medians = sorted(
        statistics.median(generator.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES)
    )
    return medians[round(0.025 * RESAMPLES)], medians[round(0.975 * RESAMPLES) - 1]


def compared(pairs: Pairs) -> dict[str, dict[str, Any]]:
    """Returns the rows of the first table: for each figure the paired ratios and both sides."""
    rows = {}
    for name in pairs[0][0]:
        sides = {"old": [old[name] for old, _ in pairs], "new": [new[name] for _, new in pairs]}
        ratios = [new / old for old, new in zip(sides["old"], sides["new"], strict=True)]
        middle, (low, high) = statistics.median(ratios), interval(ratios)
        rows[name] = {
            "ratio": round(middle, 4),
            "interval": [round(low, 4), round(high, 4)],
            "met": middle <= BOUND,
            **{
                side: {
                    "median": round(statistics.median(values), 4),
                    "range": [round(min(values), 4), round(max(values), 4)],
                }
                for side, values in sides.items()
            },
            "ratios": [round(ratio, 4) for ratio in ratios],
        }
    return rows


def counted(old: dict[str, list[int]], new: dict[str, list[int]]) -> dict[str, dict[str, Any]]:
    """Returns the rows of the second table: means over the calls of a run."""
    rows = {}
    for name in old:
        before, after = statistics.mean(old[name]), statistics.mean(new[name])
        tolerance = TOLERANCES.get(name)
        met = None if tolerance is None else after <= before * (1 + tolerance)
        rows[name] = {"old": round(before, 1), "new": round(after, 1), "met": met}
    return rows


def verdict(met: bool | None) -> str:
    """Returns the last column of a row."""
    return {True: "ok", False: "HIGHER", None: ""}[met]


def show(ratios: dict[str, dict[str, Any]], counts: dict[str, dict[str, Any]]) -> None:
    """Prints both tables."""
    if ratios:
        print(f"\n{'new/old, paired':50}{'median':>8}  {'95 % interval':16}{'old':>27}{'new':>27}")
    for name, row in ratios.items():
        low, high = row["interval"]
        print(f"{name:50}{row['ratio']:8.3f}  {low:6.3f} .. {high:6.3f}", end="")
        for side in ("old", "new"):
            middle, (least, most) = row[side]["median"], row[side]["range"]
            print(f"{f'{middle:.4g} ({least:.4g}..{most:.4g})':>27}", end="")
        print(f"  {verdict(row['met'])}")
    if counts:
        print(f"\n{'a scripted call':50}{'old':>16}{'new':>16}{'new - old':>14}")
    for name, row in counts.items():
        print(f"{name.replace('_', ' '):50}{row['old']:16,.1f}{row['new']:16,.1f}", end="")
        print(f"{row['new'] - row['old']:14,.1f}  {verdict(row['met'])}")


# The whole ---------------------------------------------------------------------------------------


def build_flags() -> list[str]:
    """Returns how this Python was built, without the folders of its build machine."""
    flags = [str(sysconfig.get_config_var(name) or "") for name in ("CONFIG_ARGS", "PY_CFLAGS")]
    words = [word.strip("'\"") for word in " ".join(flags).split()]
    return [word for word in dict.fromkeys(words) if word and "/" not in word]


def measure_pairs(old: Tree, new: Tree, names: list[str], count: int) -> dict[str, Any]:
    """Runs every bench of both trees in turn, pair by pair."""
    pairs: dict[str, Pairs] = {name: [] for name in names}
    for number in range(count):
        begun = time.monotonic()
        for name in names:
            pairs[name].append((old.measure(name), new.measure(name)))
        seconds = time.monotonic() - begun
        print(f"pair {number + 1} of {count}: {seconds:.0f} s", file=sys.stderr, flush=True)
    rows: dict[str, Any] = {}
    for name in names:
        rows |= compared(pairs[name])
    return rows


def record(document: dict[str, Any], *folders: Path) -> None:
    """Writes the results, without the folders of this machine."""
    text = json.dumps(document, indent=1) + "\n"
    for folder in (*folders, Path.home(), PROJECT, Path(tempfile.gettempdir())):
        if f"{folder}{os.sep}" in text:
            raise SystemExit(f"the results name a folder of this machine: {folder}")
    RESULTS.write_text(text)


def parse() -> argparse.Namespace:
    """Parses the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tree", type=Path, metavar="OLD_TREE")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--only", action="append", choices=[*BENCHES, "counts"])
    parser.add_argument("--part", choices=list(BENCHES), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Measures, prints and writes the results; returns 1 if a bound is missed."""
    options = parse()
    if options.part:
        print(json.dumps(BENCHES[options.part](options.tree)))
        return 0
    wanted = options.only or [*BENCHES, "counts"]
    load = [os.getloadavg()]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="softphone-trees-") as name:
        # Names of equal length, since they are part of some strings that are counted.
        old = Tree(options.tree.resolve(), Path(name) / "old")
        new = Tree(PROJECT, Path(name) / "new")
        counts: dict[str, Any] = {}
        for kind in KINDS if "counts" in wanted else ():
            counts |= counted(old.count(kind), new.count(kind))
        benches = [bench for bench in BENCHES if bench in wanted]
        ratios = measure_pairs(old, new, benches, options.pairs) if benches else {}
    load.append(os.getloadavg())
    show(ratios, counts)
    rows = [*ratios.values(), *counts.values()]
    missed = sum(row["met"] is False for row in rows)
    print(f"\nbound {BOUND:g} on ratios, counts not higher: {missed} missed")
    document = {
        "bench": "compare_trees",
        "pairs": options.pairs,
        "bound": BOUND,
        "ratios": ratios,
        "counts": counts,
        "missed": missed,
        "commits": {"old": old.commit, "new": new.commit},
        "uncommitted_changes": {"old": old.changed, "new": new.changed},
        "load_before_and_after": [[round(one, 2) for one in each] for each in load],
        "seconds": round(time.monotonic() - begun),
        "python": sys.version.split()[0],
        "python_build": [platform.python_compiler(), *build_flags()],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} "
        f"{platform.release()}",
    }
    record(document, options.tree.resolve(), Path(sys.prefix), Path(sys.base_prefix))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
