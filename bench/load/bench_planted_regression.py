"""Plants a regression and compares: `python bench/load/bench_planted_regression.py`.

In a clone of this repository one commit makes the lab slower (each INVITE takes `--plant` seconds
more, 0.01).  The lab of the commit before, the same lab again, and the slower one are loaded by the
same plan, in turns, `--rounds` times; `softphone load compare --fail-on regression` judges the runs
of the second and of the third against those of the first, and each single run against each single
one of the first.  Needs a quiet machine.

Fails unless the slower commit is found, by the times of set-up, and the same commit is not.
Results go to results/planted_regression.json, the page of the comparison beside it, and the
summaries of the runs to `--record FOLDER`, where tests/load/compare repeats the comparisons.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.python_build import measured_on

PROJECT = Path(__file__).resolve().parents[2]
RESULTS = PROJECT / "bench" / "results" / "planted_regression.json"
PLACE = Path("softphone/lab/server.py")
BEFORE = "                    self._calls.handle_invite(event)\n"
LATE = '                    __import__("time").sleep({seconds})\n'
PLAN = ("--calls", "60", "--rate", "20", "--hold", "1", "--duration", "20")
RULE = ("--fail-on", "regression")
AS_NOBODY = ("-c", "user.name=bench", "-c", "user.email=bench@example.test")


def git(tree: Path, *arguments: str) -> str:
    """Run git and return what it printed."""
    command = ["git", "-C", str(tree), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def plant(folder: Path, seconds: float) -> Path:
    """Clone this repository, and commit a slower lab there."""
    tree = folder / "slower"
    subprocess.run(["git", "clone", "-q", str(PROJECT), str(tree)], check=True)
    file = tree / PLACE
    text = file.read_text()
    if BEFORE not in text:
        raise SystemExit(f"{PLACE} no longer has the line to replace: {BEFORE.strip()}")
    file.write_text(text.replace(BEFORE, LATE.format(seconds=seconds) + BEFORE))
    git(tree, *AS_NOBODY, "commit", "-qam", "lab: answer later")
    for kernel in (PROJECT / "softphone/media/kernel").glob("*.so"):
        (tree / "softphone/media/kernel" / kernel.name).write_bytes(kernel.read_bytes())
    return tree


@contextmanager
def lab_of(tree: Path, folder: Path) -> Iterator[Path]:
    """Run the lab of a tree; gives its folder."""
    environment = os.environ | {"PYTHONPATH": f"{tree}:{tree / 'codecs'}"}
    command = [sys.executable, "-m", "softphone", "lab", "--dir", str(folder), "--json"]
    with subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None or "ready" not in process.stdout.readline():
            raise SystemExit(f"the lab of {tree} did not start")
        try:
            yield folder
        finally:
            process.terminate()


def softphone(*arguments: str, folder: Path) -> tuple[int, list[dict[str, Any]]]:
    """Run a command of this tree in a folder; return its exit code and JSON lines."""
    environment = os.environ | {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'codecs'}"}
    command = [sys.executable, "-m", "softphone", *arguments, "--json"]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    if not lines:
        raise SystemExit(ended.stderr)
    return ended.returncode, lines


def load(tree: Path, folder: Path, name: str, tolerate_late: str) -> dict[str, Any]:
    """Load the lab of a tree, and return the summary."""
    with lab_of(tree, folder / f"lab-{name}") as lab:
        account = str(lab / "alice.toml")
        asked = ("--account", account, "--target", "600", "--tolerate-late", tolerate_late, *PLAN)
        code, lines = softphone("load", "run", *asked, folder=folder)
    summary = lines[-1]
    if code or not summary["valid"]:
        raise SystemExit(f"the run {name} proves nothing: {summary['invalid_because']}")
    print(f"{name:8} set-up, ms: {summary['setup_ms']}, jitter: {summary['jitter_ms']}", flush=True)
    return summary


def judge(before: Path, after: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Compare two runs, or folders of runs, by the rule; return the exit code and the comparison.

    They are named relative to their folder: the page shows their names.
    """
    folder = before.parent if before.is_dir() else before.parent.parent
    named = [str(each.relative_to(folder)) for each in (before, after)]
    code, lines = softphone("load", "compare", *named, *RULE, *more, folder=folder)
    return code, lines[-1]["comparisons"][0]


def worse_figures(comparison: dict[str, Any]) -> list[str]:
    """The figures that are worse."""
    return [each["figure"] for each in comparison["figures"] if each["verdict"] == "worse"]


def load_in_turns(trees: dict[str, Path], folder: Path, runs: Path, options: Any) -> None:
    """Load the lab of each tree, several times, and keep each summary in a file."""
    for turn in range(1, options.rounds + 1):
        for name, tree in trees.items():
            summary = load(tree, folder, name, options.tolerate_late)
            file = runs / name / f"{turn}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(summary) + "\n")


def judge_all(runs: Path) -> dict[str, Any]:
    """Compare the sides, and each single run with each of the first side; write the page."""
    found: dict[str, Any] = {"exit_codes": {}, "worse": {}, "figures": {}}
    for name in ("same", "slower"):
        report = ("--report", str(RESULTS.with_suffix(".html"))) if name == "slower" else ()
        code, comparison = judge(runs / "before", runs / name, *report)
        found["exit_codes"][name] = code
        found["worse"][name] = worse_figures(comparison)
        found["figures"][name] = comparison["figures"]
    files = {name: sorted((runs / name).glob("*.json")) for name in ("before", "same", "slower")}
    found["exit_codes_of_single_runs"] = {
        name: [judge(one, other)[0] for one in files["before"] for other in files[name]]
        for name in ("same", "slower")
    }
    return found


def main() -> int:
    """Load the three, compare, and record; return 1 if the comparison is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--plant", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tolerate-late", default="1", help="percent, on a busy machine more")
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="softphone-planted-") as name:
        folder = Path(name)
        trees = {"before": PROJECT, "same": PROJECT, "slower": plant(folder, options.plant)}
        runs = options.record.absolute() if options.record else folder / "runs"
        load_in_turns(trees, folder, runs, options)
        found = judge_all(runs)
    codes, worse = found["exit_codes"], found["worse"]
    print(f"{codes}; worse: {worse}; single runs: {found['exit_codes_of_single_runs']}")
    document = {
        "bench": "planted_regression",
        "planted_ms": options.plant * 1e3,
        "rounds": options.rounds,
        "commit": git(PROJECT, "rev-parse", "--short", "HEAD"),
        **found,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    right = codes == {"same": 0, "slower": 1}
    return 0 if right and any(each.startswith("setup") for each in worse["slower"]) else 1


if __name__ == "__main__":
    sys.exit(main())
