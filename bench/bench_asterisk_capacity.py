"""How many calls Asterisk holds, in clear and encrypted: `python bench/bench_asterisk_capacity.py`.

`softphone load find-capacity`'s search against the Asterisk of the tests, its Echo application, by
TLS, media in clear, AES_CM_128_HMAC_SHA1_80 and _32: by doubling and bisecting, each number held
when all calls were answered, 99.9 % of their packets came and MOS p5 was 4.0 or more.  Asterisk is
pinned to the first core and the generator to the last.  A search that ends since the generator was
the bottleneck, or at `--most`, gives a lower bound, and says so.  Beside the capacity stands what
Asterisk took for a call-second, from its own clock while the largest number was up.

Results go to results/asterisk_capacity.json, a plot to results/asterisk_capacity.html.
`--media clear` (or a suite) measures one of the three and keeps what is known of the others.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from call_peers import spare_root
from load_rivals import processor_seconds

from softphone._version import __version__
from softphone.load import BaseSpec, LoadPlan, UserSpec, parse_expectation
from softphone.load.capacity import CapacitySearch, Trial
from softphone.load.conduct import Watcher
from softphone.load.plot import bars
from softphone.load.search import find_capacity
from softphone.load.tally import Second

RESULTS = Path(__file__).parent / "results" / "asterisk_capacity.json"
WAYS = {
    "clear": ("plain", "off", ()),
    "AES_CM_128_HMAC_SHA1_80": ("sdes", "required", ("AES_CM_128_HMAC_SHA1_80",)),
    "AES_CM_128_HMAC_SHA1_32": ("sdes", "required", ("AES_CM_128_HMAC_SHA1_32",)),
}
"""By what is measured: Asterisk's endpoint, what we demand of the media, the suites."""
SHORT = {
    "clear": "in clear",
    "AES_CM_128_HMAC_SHA1_80": "SRTP, 80-bit tag",
    "AES_CM_128_HMAC_SHA1_32": "SRTP, 32-bit tag",
}
EXPECTED = tuple(
    parse_expectation(text) for text in ("answered>=99.9%", "mos_p5>=4.0", "loss<=0.1%")
)
PORTS = (11_000, 19_999)


def pin(core: int) -> None:
    """Stay on one core; what is started from here stays there, too."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0) | set(range(os.cpu_count() or 1)))
        os.sched_setaffinity(0, {cores[core % len(cores)]})


def start(root: Any, folder: Path) -> tuple[Any, Any]:
    """An Asterisk on the first core, with ports for thousands of calls; and its authority."""
    from tests.peers.asterisk import Asterisk, pbx
    from tests.peers.authority import TestAuthority

    vars(pbx)["media_range"] = lambda: PORTS
    authority = TestAuthority.make(folder / "authority", "bench")
    pin(0)
    asterisk = Asterisk.make(root, folder / "asterisk", authority)
    pin(-1)
    return asterisk, authority


def plan_of(asterisk: Any, authority: Any, media: str) -> LoadPlan:
    """Calls to Echo that last to the end of a run."""
    endpoint, srtp, suites = WAYS[media]
    host, port = asterisk.tls
    return LoadPlan(
        "echo",
        f"sip:600@{host}",
        BaseSpec(
            server=f"sips:{host}:{port}",
            registers=False,
            ca=(str(authority.certificate),),
            srtp=srtp,
            suites=suites,
        ),
        (UserSpec(f"sip:{endpoint}@{host}"),),
        rate=60.0,
        duration=4.0,
        ports=(30_000, 49_999),
        sockets="per-call",
        checks=0,
    )


class Meter:
    """What Asterisk takes for a call-second, from second to second; the last steady one counts."""

    def __init__(self, asterisk: Any) -> None:
        self._asterisk = asterisk
        self._before = (0.0, 0.0)
        self.by_calls: dict[int, float] = {}

    def second(self, second: Second) -> None:
        """Take one second of a run."""
        from tests.peers.process import descendants

        used = processor_seconds(descendants(self._asterisk.process.pid))
        begun, at = self._before
        self._before = (used, second.at)
        if second.up and not second.tally.attempted and second.at > at:
            share = (used - begun) / (second.at - at)
            self.by_calls[second.up] = round(share / second.up * 1e3, 3)


def measure(asterisk: Any, authority: Any, media: str, options: argparse.Namespace) -> Any:
    """The search for one way."""
    search = CapacitySearch(options.first, options.most, precision=0.15, confirm=2)
    meter = Meter(asterisk)

    def tell(trial: Trial) -> None:
        outcome = "held" if trial.held else f"not held: {trial.why}"
        print(f"  {media}: {trial.calls} calls, {outcome}", flush=True)

    plan = plan_of(asterisk, authority, media)
    asyncio.run(find_capacity(plan, search, EXPECTED, watcher=Watcher(meter.second), on_trial=tell))
    last = search.trials[-1]
    return {
        "calls": search.capacity,
        "confirmed": search.confirmed,
        "lower_bound": not any(t.valid and not t.held for t in search.trials),
        "ended_by": last.why or ("the most that were asked for" if last.held else ""),
        "asterisk_ms_per_call_second": meter.by_calls.get(search.capacity),
        "asterisk_ms_per_call_second_by_calls": meter.by_calls,
        "trials": [[t.calls, t.held, t.valid, t.why] for t in search.trials],
    }


def record(found: dict[str, Any], versions: dict[str, str]) -> None:
    """Write the results and their plot."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    document = {
        "bench": "asterisk_capacity",
        "application": "Echo",
        "expected": [each.text for each in EXPECTED],
        "results": found,
        "asterisk": versions.get("asterisk", ""),
        "softphone": __version__,
        "commit": commit,
        "python": sys.version.split()[0],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} "
        f"{platform.release()}",
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    calls = {SHORT[name]: one["calls"] for name, one in found.items()}
    cost = {
        SHORT[name]: round(1000 * one["asterisk_ms_per_call_second"])
        for name, one in found.items()
        if one["asterisk_ms_per_call_second"]
    }
    bounds = [
        f"{SHORT[name]}: a lower bound, since {one['ended_by']}"
        for name, one in found.items()
        if one["lower_bound"]
    ]
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Asterisk's capacity</title>"
        "<body style='font:16px sans-serif;max-width:50em;margin:2em;padding:0'>"
        "<h1>Calls that Asterisk's Echo was seen to hold on one core</h1>"
        f"{bars(calls, label='calls')}<p>{'; '.join(bounds)}</p>"
        "<h2>Its processor time for a call-second, in microseconds</h2>"
        f"{bars(cost, label='µs a call-second')}"
    )
    RESULTS.with_suffix(".html").write_text(page + "\n")


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--media", choices=WAYS)
    parser.add_argument("--first", type=int, default=50)
    parser.add_argument("--most", type=int, default=800)
    options = parser.parse_args()
    root = spare_root("asterisk", "asterisk-modules")
    if isinstance(root, str):
        print(f"Asterisk: {root}")
        return
    found: dict[str, Any] = {}
    if options.media and RESULTS.exists():
        found = json.loads(RESULTS.read_text())["results"]
    with tempfile.TemporaryDirectory() as name:
        asterisk, authority = start(root, Path(name))
        try:
            for media in [options.media] if options.media else WAYS:
                found[media] = measure(asterisk, authority, media, options)
        finally:
            asterisk.stop()
    for media, one in found.items():
        bound = " or more" if one["lower_bound"] else ""
        print(f"{media:26}{one['calls']:6} calls{bound}  {one['asterisk_ms_per_call_second']} ms")
    record(found, root.versions)


if __name__ == "__main__":
    main()
