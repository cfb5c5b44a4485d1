"""Adds up the figures of a run as it goes on, and returns them as JSON values.  Reads no clock."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from typing import Any

from softphone.load.capacity import CapacityTrial
from softphone.load.charts import CAUSES, CHARTS, DRAWN_CAUSES, operation_charts, run_point
from softphone.load.distribute import RunControl
from softphone.load.measure import FailedCall, RunSecond, Tally
from softphone.load.plan import Expectation, ExpectationVerdict, LoadPlan
from softphone.load.result import (
    MOS_NAME,
    LoadResult,
    failure_causes,
    quantiles_text,
    verdict_fields,
)
from softphone.load.run.bottleneck import BottleneckDetector

OWN_PROCESSOR = "own processor"
POINTS = 1800
"""The most seconds that the charts show: half an hour."""
TRIALS = 200
"""The most trials of a search that are shown, the newest."""
FAILED_OF_CAUSE = 5
"""How many failed calls of each cause are in each message to the browsers, the newest."""
MOST_KEPT = 16 << 20
"""The most characters of failed calls that are kept; the oldest of the commonest cause go first."""
OF_CALL = 512
"""What a failed call counts for beside its messages."""
OLDER = 200
"""How many older failed calls a browser gets at once."""


def live_figures(
    total: Tally, second: RunSecond, *, calls: int, users: int, media: bool = True
) -> list[tuple[str, str]]:
    """Return names and texts of the figures so far; `calls` may be up, `users` exist.

    Without `media` and without calls they are those of operations.
    """
    now = second.tally
    if total.operations and not media:
        return _operation_figures(total, second, calls=calls)
    return [
        ("calls up", f"{second.up:,} of {calls:,}"),
        ("set-ups a second", f"{now.answered:,}"),
        ("attempted", f"{total.attempted:,}"),
        ("answered", f"{total.answered:,}"),
        ("users registered", f"{total.registered:,} of {users:,}"),
        ("turned away", f"{total.registrations_failed.total():,}"),
        ("failed", f"{total.failed.total():,}"),
        ("dropped", f"{total.dropped.total():,}"),
        ("set-up p50 / p99, ms", quantiles_text(total.setup_ms, 0.5, 0.99)),
        (MOS_NAME, quantiles_text(second.mos_now, 0.05, 0.5)),
        ("packets sent", f"{total.sent:,}"),
        ("packets received", f"{total.received:,}"),
        ("lost", f"{total.lost:,} ({total.loss_percent:.3f} %)"),
        ("jitter p50 / p95, ms", quantiles_text(second.jitter_now_ms, 0.5, 0.95)),
        (OWN_PROCESSOR, f"{second.cpu:.0%} of a core"),
        ("own lateness p99, ms", quantiles_text(now.lateness_ms, 0.99)),
    ]


def _operation_figures(total: Tally, second: RunSecond, *, calls: int) -> list[tuple[str, str]]:
    """The figures of a run without calls; an even number, for two abreast."""
    found = [
        ("at once", f"{second.up:,} of {calls:,}"),
        (OWN_PROCESSOR, f"{second.cpu:.0%} of a core"),
    ]
    if total.registrations:
        latency = quantiles_text(total.registration_ms, 0.5, 0.99)
        users = total.registrations - total.retried
        found += [
            ("users registered", f"{total.registered:,} of {users:,}"),
            ("registration p50 / p99, ms", latency),
        ]
    for name, tally in total.operations.items():
        what, now = name.replace("_", " "), second.tally.operations.get(name)
        rate = 0 if now is None else now.succeeded
        found += [
            (what, f"{tally.succeeded:,} of {tally.attempted:,}, {rate:,} a second"),
            (f"{what} p50 / p99, ms", quantiles_text(tally.ms, 0.5, 0.99)),
        ]
    return found


def _operations_of(plan: LoadPlan) -> tuple[str, ...]:
    """The names of what a run without calls measures; () for one of calls."""
    if plan.workload is None:
        return ()
    # It loads chat, which calls do without.
    from softphone.load.workload.kinds import workload_class

    return tuple(each.name for each in workload_class(plan.workload.kind).operations)


class LiveRun:
    """The figures of a run so far; `expectations` are judged by them.

    What it keeps is bounded by `POINTS` and `MOST_KEPT`, and by how many trials a search has.
    """

    def __init__(
        self, plan: LoadPlan, control: RunControl, expectations: Sequence[Expectation] = ()
    ) -> None:
        self._control = control
        self._expectations = expectations
        self._trials: list[CapacityTrial] = []
        self._trial = ""
        self._ids = itertools.count(1)
        self._outcome: dict[str, Any] | None = None
        self._reset(plan)

    def _reset(self, plan: LoadPlan) -> None:
        """Begin to count a run."""
        self._plan = plan
        self._operations = _operations_of(plan)
        self._charts = operation_charts(self._operations) if self._operations else CHARTS
        self._total = Tally()
        self._second = RunSecond(0.0)
        self._registered = (0, len(plan.users))
        self._points: deque[dict[str, Any]] = deque(maxlen=POINTS)
        self._workers: dict[int, dict[str, Any]] = {}
        self._failed: dict[int, FailedCall] = {}
        self._failed_of: dict[str, deque[int]] = {}
        self._failed_size = 0
        self._detector = BottleneckDetector(
            shared=plan.sockets == "shared", tolerate_late=plan.tolerate_late
        )

    def begin_trial(self, plan: LoadPlan) -> None:
        """Begin the next run of a search: what was counted before does not belong to it."""
        self._trial = f"trial {len(self._trials) + 1}, with {plan.calls:,} calls"
        self._reset(plan)

    def add_trial(self, trial: CapacityTrial) -> None:
        """Note how a run of a search ended."""
        self._trials.append(trial)

    def add_second(self, second: RunSecond) -> None:
        """Add the figures of one second of the run."""
        self._second = second
        self._total.merge(second.tally)
        self._detector.add_second(second)
        self._points.append(run_point(second, self._operations))

    def progress(self, done: int, whole: int) -> None:
        """Note that `done` of `whole` users have registered or have been refused."""
        self._registered = (done, whole)

    def add_worker(self, number: int, what: RunSecond | str) -> None:
        """Note a second of one worker, or why it was lost."""
        row = self._workers.setdefault(number, {"number": number + 1, "attempted": 0, "failed": 0})
        if isinstance(what, str):
            row["lost"] = what
            return
        operations = what.tally.operations.values()
        row["attempted"] += what.tally.attempted + sum(each.attempted for each in operations)
        row["failed"] += what.tally.failed.total() + what.tally.dropped.total()
        row["failed"] += sum(each.failed.total() for each in operations)
        point = run_point(what)
        row |= {name: point[name] for name in ("at", "up", "answered", "mos5", "cpu", "late99")}
        row["answered"] += sum(each.succeeded for each in operations)

    def add_failure(self, call: FailedCall) -> None:
        """Keep a call that failed, in the place of older ones when there are too many."""
        number = next(self._ids)
        self._failed[number] = call
        self._failed_of.setdefault(call.cause, deque()).append(number)
        self._failed_size += _size_of(call)
        while self._failed_size > MOST_KEPT:
            cause, oldest = max(self._failed_of.items(), key=lambda each: len(each[1]))
            self._failed_size -= _size_of(self._failed.pop(oldest.popleft()))
            if not oldest:
                del self._failed_of[cause]

    def failed_call(self, number: int) -> FailedCall | None:
        """Return the failed call of a number; None if it is no longer kept."""
        return self._failed.get(number)

    def older_failed(self, before: int) -> list[dict[str, Any]]:
        """Return the failed calls that were kept before number `before`, newest first, some."""
        numbers = (number for number in reversed(self._failed) if number < before)
        return [self._entry(number) for number in itertools.islice(numbers, OLDER)]

    def _entry(self, number: int) -> dict[str, Any]:
        """What stands in the list for a failed call."""
        call = self._failed[number]
        return {"id": number, "at": round(call.at, 1), "cause": call.cause}

    def _newest_failed(self) -> list[dict[str, Any]]:
        """The newest of each of the commonest causes, newest first."""
        common = sorted(self._failed_of.values(), key=len, reverse=True)[:CAUSES]
        newest = itertools.chain.from_iterable(list(each)[-FAILED_OF_CAUSE:] for each in common)
        return [self._entry(number) for number in sorted(newest, reverse=True)]

    def _kept_of_failed(self) -> list[int]:
        """How many failed calls are kept, and how many there are so far."""
        total = self._total
        return [len(self._failed), total.failed.total() + total.dropped.total()]

    def finish(
        self, result: LoadResult, verdicts: Sequence[ExpectationVerdict], sentence: str
    ) -> None:
        """Note the result of the run; `sentence` is what the command prints about it."""
        self._outcome = {
            "valid": result.valid,
            "met": not any(verdict.broken for verdict in verdicts),
            "sentence": sentence,
            "verdicts": verdict_fields(verdicts),
        }

    def heading(self) -> dict[str, Any]:
        """Return what each stream begins with: title, limits, the charts so far, `state()`."""
        control = self._control
        return {
            "title": f"{self._plan.scenario}: {self._plan.target or 'users call each other'}",
            "adjustable": control.adjustable,
            "limits": {
                "calls": [control.least_calls, control.most_calls],
                "rate": control.most_rate,
            },
            "charts": [chart.to_plain() for chart in self._charts],
            "without_calls": bool(self._operations),
            "drawn_causes": DRAWN_CAUSES,
            "points": list(self._points),
            "now": self.state(),
        }

    def state(self) -> dict[str, Any]:
        """Return the run as it stands, as JSON values."""
        control, outcome = self._control, self._outcome
        causes = sorted(failure_causes(self._total).items(), key=lambda item: -item[1])
        figures = live_figures(
            self._total,
            self._second,
            calls=control.calls,
            users=self._registered[1],
            media=self._plan.has_media,
        )
        judged = [each.judge_tally(self._total) for each in self._expectations]
        return {
            "at": round(self._second.at, 1),
            "phase": "over" if outcome else "running" if self._second.at else "registering",
            "registered": self._registered,
            "point": self._points[-1] if self._points else None,
            "figures": figures,
            "causes": causes[:CAUSES],
            "workers": [self._workers[number] for number in sorted(self._workers)],
            "verdicts": outcome["verdicts"] if outcome else verdict_fields(judged),
            "invalid": [] if outcome else list(self._detector.invalid_reasons()),
            "outcome": outcome and {key: outcome[key] for key in ("valid", "met", "sentence")},
            "load": {"rate": control.rate, "calls": control.calls, "stopped": control.stopped},
            "changes": list(control.changes),
            "trial": self._trial,
            "trials": [
                {"calls": each.calls, "held": each.held, "valid": each.valid, "why": each.why}
                for each in self._trials[-TRIALS:]
            ],
            "failed": self._newest_failed(),
            "failed_kept": self._kept_of_failed(),
        }


def _size_of(call: FailedCall) -> int:
    """The characters that a failed call counts for."""
    return OF_CALL + len(call.ladder) + len(call.messages)
