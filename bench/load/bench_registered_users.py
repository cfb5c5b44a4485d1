"""Keeps 10,000 bindings at the lab and lets all connections go at once:
`python bench/load/bench_registered_users.py`.

The generator is `softphone load run --scenario registered-users` over TLS, the lab a process of its
own on the same machine, so that its registrar is a part of what is measured: the numbers say what
both together do, and that every binding comes back.  `--share` users are on one connection, since
the lab admits 4,096 of them.  It takes seven minutes, and fourteen at most; the machine should have
nothing else to do.  Results go to results/registered_users.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.lab.lab_process import LabProcess
from bench.python_build import measured_on

RESULTS = Path(__file__).parents[1] / "results" / "registered_users.json"
LEAVING = 300.0
"""Seconds for what comes before and after the load: connections, and the removal of bindings."""
EXPECTED = ("registered>=100%", "refreshed>=99.9%", "recovered>=100%", "fully_recovered>=100%")


def run(lab: LabProcess, options: argparse.Namespace) -> dict[str, Any]:
    """Run the load; return its figures and those of both processes."""
    before = lab.held()
    command = [
        *(sys.executable, "-m", "softphone", "load", "run", "--scenario", "registered-users"),
        *("--account", lab.account("load00001"), "--user-template", "load{n:05}"),
        *("--password-file", str(lab.folder / "{user}.secret"), "--calls", str(options.users)),
        *("--rate", str(options.rate), "--duration", str(options.duration)),
        *("--expires", str(options.expires), "--share-connection", str(options.share)),
        *("--fault", f"outage={options.outage}s", "--tolerate-late", "50", "--json"),
        *(part for text in EXPECTED for part in ("--expect", text)),
    ]
    within = options.users / options.rate + options.duration + LEAVING
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=within)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    after = lab.held()
    summary = json.loads(ended.stdout.splitlines()[-1])
    for operation in summary["operations"].values():
        operation.pop("histogram", None)
    return {
        "users": options.users,
        "share": options.share,
        "rate": options.rate,
        "seconds": options.duration,
        "exit_code": ended.returncode,
        "valid": summary["valid"],
        "invalid_because": summary["invalid_because"],
        "registrations": summary["registrations"],
        "operations": summary["operations"],
        "injected": summary["injected"],
        "verdicts": {each["expected"]: each["met"] for each in summary["verdicts"]},
        "generator_megabytes": round(used.ru_maxrss / 1024, 1),
        "generator_cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "lab_cpu_seconds": round(after["processor"] - before["processor"], 1),
    }


def main() -> int:
    """Measure, print and write the results; return 1 unless valid, and every binding came back."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--share", type=int, default=10)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--expires", type=int, default=240)
    parser.add_argument("--outage", type=int, default=200)
    parser.add_argument("--duration", type=float, default=200.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        lab = LabProcess(Path(name) / "lab", options.users)
        try:
            found = run(lab, options)
        finally:
            lab.close()
    for title, value in found.items():
        print(f"{title:24}{value}")
    document = {
        "bench": "registered_users",
        "results": found,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if found["exit_code"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
