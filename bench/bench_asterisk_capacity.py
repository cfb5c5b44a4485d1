"""How many calls Asterisk holds, in clear and encrypted: `python bench/bench_asterisk_capacity.py`.

`softphone load find-capacity`'s search against the Asterisk of the tests, by TLS, media in clear,
AES_CM_128_HMAC_SHA1_80 and _32; its Echo application, and its bridge, in which two users of ours
call each other (`pair`), so that a call has two legs, both with that media: by doubling and
bisecting, each number held when all calls were answered, 99.9 % of their packets came and MOS p5
was 4.0 or more.  Asterisk is pinned to the first core and the generator to the last.  A search
that ends since the generator was the bottleneck, or at `--most`, gives a lower bound, and says so.
Beside the capacity stands what Asterisk took for a call-second, from its own clock while the
largest number was up.

Results go to results/asterisk_capacity.json, a plot to results/asterisk_capacity.html.
`--media clear` (or a suite) and `--way echo` or `bridge` measure some of the six and keep what is
known of the others; `--priority` as in bench_media_tick.
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
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from call_peers import spare_root
from load_rivals import processor_seconds

from softphone._version import __version__
from softphone.load import BaseSpec, LoadPlan, UserSpec, parse_expectation
from softphone.load.capacity import CapacitySearch, Trial
from softphone.load.conduct import Watcher
from softphone.load.plot import COLORS, bars
from softphone.load.report import STYLE
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
PAIRS = {
    "clear": ("plaina", "plainb"),
    "AES_CM_128_HMAC_SHA1_80": ("tag80a", "tag80b"),
    "AES_CM_128_HMAC_SHA1_32": ("tag32a", "tag32b"),
}
"""Caller and callee of the bridge, users of Asterisk's that register."""
EXPECTED = tuple(
    parse_expectation(text) for text in ("answered>=99.9%", "mos_p5>=4.0", "loss<=0.1%")
)
PORTS = (11_000, 19_999)
WAYS_THROUGH = ("echo", "bridge")


def key(way: str, media: str) -> str:
    """The name of a result: that of the media, and `bridge` before it."""
    return media if way == "echo" else f"{way}, {media}"


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
    names = [name for pair in PAIRS.values() for name in pair]
    own = tuple(pbx.User(name, srtp=not name.startswith("plain")) for name in names)
    vars(pbx)["USERS"] = (*pbx.USERS, *own)
    sections = pbx._user_sections

    def with_tag(user: Any) -> str:
        head = f"[{user.name}](ep)"
        tag = "\nsrtp_tag_32=yes" if user.name.startswith("tag32") else ""
        return str(sections(user)).replace(head, head + tag)

    vars(pbx)["_user_sections"] = with_tag
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


def bridge_of(asterisk: Any, authority: Any, media: str, folder: Path) -> LoadPlan:
    """The same, but two of our users call each other through Asterisk."""
    host, _ = asterisk.tls
    plan = plan_of(asterisk, authority, media)
    users = []
    for name in PAIRS[media]:
        secret = folder / f"{name}.secret"
        secret.touch(mode=0o600)
        secret.write_text(f"{name}pw\n")
        users.append(UserSpec(f"sip:{name}@{host}", password_file=str(secret)))
    base = replace(plan.base, registers=True)
    return replace(
        plan, scenario="pair", target=None, base=base, users=tuple(users), sockets="per-call"
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


def measure(asterisk: Any, plan: LoadPlan, name: str, options: argparse.Namespace) -> Any:
    """The search for one way."""
    search = CapacitySearch(options.first, options.most, precision=0.15, confirm=2)
    meter = Meter(asterisk)

    def tell(trial: Trial) -> None:
        outcome = "held" if trial.held else f"not held: {trial.why}"
        print(f"  {name}: {trial.calls} calls, {outcome}", flush=True)

    asyncio.run(find_capacity(plan, search, EXPECTED, watcher=Watcher(meter.second), on_trial=tell))
    last = search.trials[-1]
    # Where we were too busy to judge, Asterisk's own clock still tells what it took.
    most = max(meter.by_calls, default=0)
    return {
        "calls": search.capacity,
        "confirmed": search.confirmed,
        "lower_bound": not any(t.valid and not t.held for t in search.trials),
        "ended_by": last.why or ("the most that were asked for" if last.held else ""),
        "asterisk_ms_per_call_second": meter.by_calls.get(search.capacity or most),
        "measured_at": search.capacity or most,
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
        "applications": ["Echo", "bridge"],
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
    draw(found)


def draw(found: dict[str, Any]) -> None:
    """The page: what encryption costs Asterisk, and how many calls were held."""
    parts = []
    for way in WAYS_THROUGH:
        mine = {SHORT[media]: found[key(way, media)] for media in WAYS if key(way, media) in found}
        cost = {
            name: round(1000 * one["asterisk_ms_per_call_second"])
            for name, one in mine.items()
            if one["asterisk_ms_per_call_second"]
        }
        bounds = "; ".join(
            f"{name}: {'a lower bound' if one['calls'] else 'not known'}, since {one['ended_by']}"
            for name, one in mine.items()
            if one["lower_bound"]
        )
        calls = {name: one["calls"] for name, one in mine.items() if one["calls"]}
        parts += [
            f"<h2>{escape(way.capitalize())}: Asterisk's processor time for a call-second, "
            "in microseconds</h2>",
            bars(cost, label="microseconds a call-second", color=COLORS[0]),
            f"<h2>{escape(way.capitalize())}: calls that one core was seen to hold</h2>",
            f'{bars(calls, label="calls", color=COLORS[0])}<p class="note">{escape(bounds)}</p>',
        ]
    RESULTS.with_suffix(".html").write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Asterisk's capacity</title>"
        f"<style>{STYLE}</style><body><h1>What encryption costs Asterisk</h1>{''.join(parts)}\n"
    )


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--media", choices=WAYS)
    parser.add_argument("--way", choices=WAYS_THROUGH)
    parser.add_argument("--priority", action="store_true")
    parser.add_argument("--first", type=int, default=50)
    parser.add_argument("--most", type=int, default=800)
    options = parser.parse_args()
    if options.priority:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    root = spare_root("asterisk", "asterisk-modules")
    if isinstance(root, str):
        print(f"Asterisk: {root}")
        return
    found: dict[str, Any] = {}
    if (options.media or options.way) and RESULTS.exists():
        found = json.loads(RESULTS.read_text())["results"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asterisk, authority = start(root, folder)
        try:
            for way in [options.way] if options.way else WAYS_THROUGH:
                for media in [options.media] if options.media else WAYS:
                    plan = plan_of(asterisk, authority, media)
                    if way == "bridge":
                        plan = bridge_of(asterisk, authority, media, folder)
                    title = key(way, media)
                    found[title] = measure(asterisk, plan, title, options)
        finally:
            asterisk.stop()
    for title, one in found.items():
        bound = " or more" if one["lower_bound"] else ""
        print(f"{title:34}{one['calls']:6} calls{bound}  {one['asterisk_ms_per_call_second']} ms")
    record(found, root.versions)


if __name__ == "__main__":
    main()
