"""Finds how many calls Asterisk holds, in clear and encrypted:
`python bench/load/bench_asterisk_capacity.py`.

Runs the search of `softphone load find-capacity` against the tests' Asterisk over TLS, with media
in clear, AES_CM_128_HMAC_SHA1_80 and _32.  The calls go to its Echo application, or through its
bridge, where two of our users call each other (`pair`), so that a call has two legs, both with that
media.  A number holds when, in every trial, all calls were answered, 99.9 % of their packets
arrived and MOS p5 was at least 4.0.

A call costs us about as much as Asterisk, so against a whole core of Asterisk the generator would
reach its own limit first.  Asterisk therefore gets a part of a core (`--share`, half by default): a
cgroup lets it run for that part of every 10 ms and pins it to the first core; the generator has the
last core to itself.  The result is the capacity of a correspondingly slower core, not of a whole
one.  Each row shows that the limit is Asterisk's: how full its share was, how often it was
throttled, how full our core was.  When the generator was the bottleneck all the same, or no cgroup
can be written, the row says `generator-bound`, and its number is a lower bound.

The cost of a call-second, on either side, is the mean over the steady seconds of the trials that
held, since lost packets reduce the work.  The first trial of a row is small and only gives the
search its start.  In each trial two thirds of the calls begin quickly and the rest slowly, so that
call set-up is not what is measured.

Results go to results/asterisk_capacity.json, plots to results/asterisk_capacity.html.  All six
rows take at most `--seconds` (540).  `--media clear` (or a suite) and `--way echo` or `bridge`
measure some of them and keep the earlier results of the others; `--priority` as in
bench_media_tick.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from dataclasses import dataclass, fields, replace
from html import escape
from pathlib import Path
from typing import Any

from bench.call.sipp_peers import spare_root
from bench.load.processor_share import PERIOD, ProcessorShare
from bench.peers.baresip_rival import processor_seconds
from bench.python_build import measured_on
from softphone.load import BaseSpec, LoadPlan, UserSpec, parse_expectation
from softphone.load.capacity import CapacitySearch, CapacityTrial
from softphone.load.distribute import RunObserver, run_plan
from softphone.load.distribute.plan_runner import trial_of
from softphone.load.measure import RunSecond
from softphone.load.report.html import page_style
from softphone.load.report.svg_plot import bar_plot

RESULTS = Path(__file__).parents[1] / "results" / "asterisk_capacity.json"
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
QUICK, SLOW = 60.0, 20.0
"""Calls a second, while a trial fills."""
BELOW = 0.55
"""Where the search begins, of what the first trial makes likely: it doubles once, and is above."""
PATIENCE = 15.0
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
        duration=4.0,
        ports=(30_000, 49_999),
        sockets="shared",
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
    return replace(plan, scenario="pair", target=None, base=base, users=tuple(users))


@dataclass(slots=True)
class SteadyUsage:
    """What was used in the seconds in which as many calls were up as were asked for."""

    call_seconds: float = 0.0
    seconds: float = 0.0
    theirs: float = 0.0
    ours: float = 0.0
    held_back: float = 0.0

    def add(self, other: SteadyUsage) -> None:
        """Add what another one has."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def plain(self) -> dict[str, Any]:
        """As JSON has it; shares are of a core."""
        calls, seconds = max(self.call_seconds, 1e-9), max(self.seconds, 1e-9)
        return {
            "asterisk_ms_per_call_second": round(self.theirs / calls * 1e3, 3),
            "our_ms_per_call_second": round(self.ours / calls * 1e3, 3),
            "asterisk_core_share": round(self.theirs / seconds, 3),
            "our_core_share": round(self.ours / seconds, 3),
            "asterisk_held_back": round(self.held_back / seconds, 3),
        }


class AsteriskMeter:
    """Asterisk's clock and ours, from second to second of one trial."""

    def __init__(self, far: AsteriskFarEnd, calls: int) -> None:
        self._far = far
        self._calls = calls
        self._before = (far.used(), far.held_back(), 0.0)
        self._was_up = 0
        self.steady = SteadyUsage()

    def second(self, second: RunSecond) -> None:
        """Take one second."""
        now = (self._far.used(), self._far.held_back(), second.at)
        used, held_back, elapsed = (a - b for a, b in zip(now, self._before, strict=True))
        self._before = now
        if second.up == self._was_up == self._calls and not second.tally.attempted:
            ours = second.tally.cpu_seconds
            self.steady.add(SteadyUsage(second.up * elapsed, elapsed, used, ours, held_back))
        self._was_up = second.up


class AsteriskFarEnd:
    """The Asterisk, and the share of a core that it has."""

    def __init__(self, root: Any, folder: Path, wanted: float) -> None:
        from tests.peers.process import descendants

        self._folder = folder
        self.asterisk, self.authority = start(root, folder)
        self._pids = descendants(self.asterisk.process.pid)
        share = (
            ProcessorShare.of(self._pids, wanted) if wanted < 1 else "a whole core was asked for"
        )
        self._group = share if isinstance(share, ProcessorShare) else None
        self.share = 1.0 if self._group is None else wanted
        self.how = (
            f"{wanted:.0%} of a core by cgroup, {wanted * PERIOD * 1e3:g} ms of each "
            f"{PERIOD * 1e3:g}"
            if self._group is not None
            else f"a whole core: {share}"
        )

    def used(self) -> float:
        """Its processor seconds so far."""
        return processor_seconds(self._pids)

    def held_back(self) -> float:
        """Seconds for which it had to wait for its next share."""
        return 0.0 if self._group is None else self._group.held_back()

    def plan(self, way: str, media: str) -> LoadPlan:
        """The calls of one row."""
        if way == "bridge":
            return bridge_of(self.asterisk, self.authority, media, self._folder)
        return plan_of(self.asterisk, self.authority, media)

    def settle(self) -> None:
        """Wait until the calls of the last trial are gone."""
        deadline = time.monotonic() + PATIENCE
        while "0 active calls" not in self.asterisk.command("core show channels count"):
            if time.monotonic() > deadline:
                self.asterisk.hang_up_all()
                deadline += PATIENCE
            time.sleep(0.2)

    def close(self) -> None:
        """End it."""
        self.asterisk.stop()
        if self._group is not None:
            self._group.close()


def ramped(plan: LoadPlan, calls: int) -> LoadPlan:
    """The plan with so many calls, of which the last third comes slowly."""
    quick = max(1, calls * 2 // 3)
    return replace(plan, calls=calls, arrival=f"step:{QUICK:g}:{quick / QUICK:g},{SLOW:g}:1")


async def attempt(
    far: AsteriskFarEnd, plan: LoadPlan, calls: int
) -> tuple[CapacityTrial, SteadyUsage]:
    """One trial, and what was used in it."""
    far.settle()
    meter = AsteriskMeter(far, calls)
    result = await run_plan(ramped(plan, calls), watcher=RunObserver(meter.second))
    return trial_of(result, EXPECTED), meter.steady


def measure(
    far: AsteriskFarEnd, plan: LoadPlan, name: str, options: Any, until: float
) -> dict[str, Any]:
    """One row: a small trial first, then the search, until it or its time is over."""
    rows: list[tuple[CapacityTrial, SteadyUsage]] = []
    steady = SteadyUsage()

    def one(calls: int) -> CapacityTrial:
        trial, used = asyncio.run(attempt(far, plan, calls))
        rows.append((trial, used))
        if trial.held:
            steady.add(used)
        word = "held" if trial.held else "not held" if trial.valid else "cannot be judged"
        said = used.plain()
        print(
            f"  {name}: {calls} calls, {word}; Asterisk {said['asterisk_core_share']:.0%} of a "
            f"core, we {said['our_core_share']:.0%}{'; ' if trial.why else ''}{trial.why}",
            flush=True,
        )
        return trial

    one(options.first)
    a_call = steady.theirs / steady.call_seconds if steady.call_seconds else 0.0
    likely = far.share / a_call if a_call else 2.0 * options.first
    first = min(options.most, max(2, round(BELOW * likely)))
    search = CapacitySearch(first, options.most, precision=0.1, confirm=3)
    took = 0.0
    while (calls := search.next_calls) is not None and time.monotonic() + took < until:
        begun = time.monotonic()
        search.add_trial(one(calls))
        took = time.monotonic() - begun
    return row_of(search, rows, steady) | {"in_time": search.next_calls is None}


def row_of(
    search: CapacitySearch, rows: list[tuple[CapacityTrial, SteadyUsage]], steady: SteadyUsage
) -> dict[str, Any]:
    """What a search came to."""
    calls, limit, bound = search.capacity, search.limit, search.unjudged_trial
    state = "held" if calls else "not held"
    if bound is not None or (limit is None and not calls):
        state = "generator-bound"
    elif limit is None:
        state = "lower bound"
    why = next((t.why for t in search.trials if t.calls == limit and not t.held and t.valid), "")
    at: dict[int, SteadyUsage] = {}
    for trial, used in rows:
        at.setdefault(trial.calls, SteadyUsage()).add(used)
    return {
        "state": state,
        "calls": calls,
        "confirmed": search.confirmed,
        "confidence": round(search.confidence, 3),
        "not_held": limit,
        "why_not": why if bound is None else bound.why,
        **steady.plain(),
        "at_capacity": at[calls].plain() if calls else None,
        "at_limit": at[limit].plain() if limit else None,
        "trials": [[t.calls, t.held, t.valid, t.why, used.plain()] for t, used in rows],
    }


def record(found: dict[str, Any], versions: dict[str, str], how: str) -> None:
    """Write the results and their plots."""
    document = {
        "bench": "asterisk_capacity",
        "applications": ["Echo", "bridge"],
        "asterisk_had": how,
        "expected": [each.text for each in EXPECTED],
        "results": found,
        "asterisk": versions.get("asterisk", ""),
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    draw(found, how)


def draw(found: dict[str, Any], how: str) -> None:
    """The page: what encryption costs Asterisk, and how many calls were held."""
    parts = [f'<p class="note">Asterisk had {escape(how)}; the generator a core of its own.</p>']
    for way in WAYS_THROUGH:
        mine = {SHORT[media]: found[key(way, media)] for media in WAYS if key(way, media) in found}
        cost = {
            name: round(1000 * one["asterisk_ms_per_call_second"])
            for name, one in mine.items()
            if one["asterisk_ms_per_call_second"]
        }
        plain = cost.get(SHORT["clear"])
        times = "; ".join(
            f"{name}: {spent / plain:.2f} times what it takes in clear"
            for name, spent in cost.items()
            if plain and name != SHORT["clear"]
        )
        outcomes = "; ".join(f"{name}: {sentence(one)}" for name, one in mine.items())
        calls = {name: one["calls"] for name, one in mine.items() if one["calls"]}
        parts += [
            f"<h2>{escape(way.capitalize())}: Asterisk's processor time for a call-second, "
            "in microseconds</h2>",
            bar_plot(cost, label="microseconds a call-second", color="series-1"),
            f'<p class="note">{escape(times)}</p>',
            f"<h2>{escape(way.capitalize())}: calls that it held</h2>",
            bar_plot(calls, label="calls", color="series-1")
            + f'<p class="note">{escape(outcomes)}</p>',
        ]
    RESULTS.with_suffix(".html").write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Asterisk's capacity</title>"
        f"<style>{page_style()}</style><body><h1>What encryption costs Asterisk</h1>"
        f"{''.join(parts)}\n"
    )


def sentence(row: dict[str, Any]) -> str:
    """A row's outcome in words."""
    calls, limit = row["calls"], row["not_held"]
    if row["state"] == "generator-bound":
        return f"at least {calls}, generator-bound: {row['why_not']}"
    if row["state"] == "lower bound":
        return f"at least {calls}: more were not tried"
    if not calls:
        return f"not even {limit}: {row['why_not']}"
    sure = "confirmed" if row["confirmed"] else "not confirmed in the time that there was"
    return f"{calls} held ({sure}, {row['confidence']:.1%}), {limit} not: {row['why_not']}"


def show(found: dict[str, Any]) -> None:
    """Print the rows."""
    print(
        f"{'':34}{'calls':>6}{'Asterisk':>10}{'ours':>8}  ms a call-second; of a core at the",
        end="",
    )
    print(" capacity and at the limit: Asterisk, we")
    for title, row in found.items():
        shares = "  ".join(
            f"{row[at]['asterisk_core_share']:.0%} {row[at]['our_core_share']:.0%}"
            if row[at]
            else "-"
            for at in ("at_capacity", "at_limit")
        )
        print(
            f"{title:34}{row['calls']:6}{row['asterisk_ms_per_call_second']:10.3f}"
            f"{row['our_ms_per_call_second']:8.3f}  {shares}  {sentence(row)}"
        )


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--media", choices=WAYS)
    parser.add_argument("--way", choices=WAYS_THROUGH)
    parser.add_argument("--priority", action="store_true")
    parser.add_argument("--share", type=float, default=0.5, help="of a core, for Asterisk")
    parser.add_argument("--seconds", type=float, default=540.0, help="for all rows together")
    parser.add_argument("--first", type=int, default=30, help="calls of the first trial")
    parser.add_argument("--most", type=int, default=1000)
    return parser.parse_args()


def main() -> None:
    """Measure, print and write down."""
    options = parse()
    if options.priority:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    root = spare_root("asterisk", "asterisk-modules")
    if isinstance(root, str):
        print(f"Asterisk: {root}")
        return
    found: dict[str, Any] = {}
    if (options.media or options.way) and RESULTS.exists():
        found = json.loads(RESULTS.read_text())["results"]
    # The quick rows first: what they leave of the time is for the others.
    rows = [
        (way, media)
        for way in ([options.way] if options.way else reversed(WAYS_THROUGH))
        for media in ([options.media] if options.media else reversed(WAYS))
    ]
    deadline = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory() as name:
        far = AsteriskFarEnd(root, Path(name), options.share)
        print(f"Asterisk has {far.how}")
        try:
            for number, (way, media) in enumerate(rows):
                now = time.monotonic()
                until = now + (deadline - now) / (len(rows) - number)
                title = key(way, media)
                found[title] = measure(far, far.plan(way, media), title, options, until)
        finally:
            far.close()
    show(found)
    record(found, root.versions, far.how)


if __name__ == "__main__":
    main()
