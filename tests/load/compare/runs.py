"""Runs to compare: their values come from a seed."""

from __future__ import annotations

import json

import numpy as np

from softphone.load import LoadResult
from softphone.load.compare import RunRecord
from softphone.load.measure import RunSecond, Tally
from softphone.load.plan import BaseSpec, LoadPlan, UserSpec

SECONDS = 10
"""How long a run lasts, over which its calls are spread."""


def result(seed=1, *, calls=1000, answered=1.0, setup_ms=20.0, mos=4.4, loss=0.0, **plan):
    """A run whose set-up times are spread about a median in milliseconds.

    Its calls lose packets about a share of `loss` percent, of 100 each.
    """
    asked = {"base": BaseSpec(server="sip:h"), "users": (UserSpec("sip:a@h"),)} | plan
    made = LoadResult(LoadPlan("echo", "600", **asked))
    generator = np.random.default_rng(seed)
    tallies = [Tally(attempted=len(range(at, calls, SECONDS))) for at in range(SECONDS)]
    given = round(calls * answered)
    for number, value in enumerate(setup_ms * generator.lognormal(0.0, 0.3, given)):
        tally = tallies[number % SECONDS]
        tally.answered += 1
        tally.setup_ms.record_value(value)
        tally.mos.record_value(mos - 0.001 * value)
        lost = int(generator.binomial(100, loss / 100.0)) if loss else 0
        tally.loss.record_value(float(lost))
        tally.sent += 100
        tally.received += 100 - lost
        tally.lost += lost
    for at, tally in enumerate(tallies):
        if tally.attempted > tally.answered:
            tally.failed["486 Busy Here"] = tally.attempted - tally.answered
        made.add_second(RunSecond(1.0 + at, up=10, tally=tally))
    return made


def record(seed=1, *, name="run", **settings):
    return RunRecord.of_result(result(seed, **settings), name)


def write_run(path, seed=1, **settings):
    """Write what `--json` prints of such a run."""
    lines = [{"event": "second"}, {"event": "summary", **result(seed, **settings).summary()}]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path
