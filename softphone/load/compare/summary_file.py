"""Reads the summary of an earlier run, as `softphone load run --json` printed it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softphone.errors import ConfigurationError
from softphone.load.design_effect import DesignEffect, design_effects, read_effects
from softphone.load.measure import Histogram, OperationTally, Tally
from softphone.load.plan import Figure
from softphone.load.result import HISTOGRAMS, NO_RESULT, LoadResult, plan_fields
from softphone.operating_system import open_to_read

_LARGEST = 16 << 20
"""Octets at the end of a file that are read: a summary with all histograms is far smaller."""
_SUFFIXES = (".json", ".jsonl")
MOST_RUNS = 64
_MOST = 1 << 53
"""A count above this is no count."""
_BUCKETS = 1 << 16
"""More than a histogram of any time or percentage has."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The compared parts of a run: its counts, and its settings (empty when unknown).

    Several runs of one version are a record, too: `parts` are theirs, and `tally` is their sum.
    """

    name: str
    tally: Tally
    plan: Mapping[str, Any] = field(default_factory=dict)
    invalid_because: tuple[str, ...] = ()
    interrupted: bool = False
    effects: Mapping[str, DesignEffect] = field(default_factory=dict)
    parts: tuple[RunRecord, ...] = ()

    @classmethod
    def of_result(cls, result: LoadResult, name: str = "this run") -> RunRecord:
        """The record of a run that has just ended."""
        return cls(
            name,
            result.total,
            plan_fields(result.plan, result.changes),
            tuple(result.invalid_because),
            result.interrupted,
            design_effects(result.seconds),
        )

    @classmethod
    def of_runs(cls, name: str, runs: Sequence[RunRecord]) -> RunRecord:
        """The record of several runs of one version, one at least."""
        total = Tally()
        for run in runs:
            total.merge(run.tally)
        return cls(
            name,
            total,
            runs[0].plan,
            tuple(f"{run.name}: {why}" for run in runs for why in run.invalid_because),
            any(run.interrupted for run in runs),
            parts=tuple(runs),
        )

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """Each run by itself."""
        return self.parts or (self,)

    def values(self, figure: Figure) -> list[float]:
        """The value of a figure in each run that has measured it."""
        values = (figure.measure(run.tally) for run in self.runs)
        return [value for value in values if value is not None]

    def mean(self, figure: Figure) -> float | None:
        """The mean of `values`; None without any."""
        values = self.values(figure)
        return sum(values) / len(values) if values else None

    def differences(self, other: RunRecord) -> list[str]:
        """The settings that differ, as text; the target, the user and the seed may differ."""
        first, *others = (*self.runs, *other.runs)
        return list(dict.fromkeys(text for run in others for text in first._differing(run)))

    def _differing(self, other: RunRecord) -> list[str]:
        names = [name for name in self.plan if name in other.plan]
        return [
            f"{name} {_shown(self.plan[name])} and {_shown(other.plan[name])}"
            for name in names
            if self.plan[name] != other.plan[name] and name not in ("target", "aor", "seed")
        ]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value in (None, "") else str(value)


def read_runs(path: Path) -> RunRecord:
    """Read a summary, or all summaries of a folder, by name: several runs of one version.

    Raises ConfigurationError that says what is wrong with it.
    """
    if not path.is_dir():
        return read_summary(path)
    files = sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES)
    if not 0 < len(files) <= MOST_RUNS:
        raise ConfigurationError(
            f"{path} holds {len(files)} files {' and '.join(_SUFFIXES)}: expected 1 to {MOST_RUNS},"
            " each what `softphone load run --json` printed"
        )
    return RunRecord.of_runs(str(path), [read_summary(each) for each in files])


def read_summary(path: Path) -> RunRecord:
    """Read a file whose last line, or whole text, is the summary of a run.

    Raises ConfigurationError that says what is wrong with it.
    """
    found = _last_object(path)
    if found.get("event", "summary") != "summary":
        raise _wrong(path, f"it ends with {found['event']!r}: the run did not come to its summary")
    if "capacity" in found:
        raise _wrong(path, "it is of a search, whose figures are of another number of calls")
    try:
        reasons = tuple(str(each) for each in found["invalid_because"])
        tally, plan = _tally(found), {"changes": [], **(found.get("plan") or {})}
        valid, interrupted = found["valid"] is True, found["interrupted"] is True
        effects = read_effects(found.get("design_effects", {}))
    except KeyError as error:
        raise _wrong(path, f"it lacks {error}") from error
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise _wrong(path, str(error)) from error
    if reasons and reasons[0].startswith(NO_RESULT):
        raise _wrong(path, reasons[0])
    if not valid and not reasons:
        reasons = ("it says so, and gives no reason",)
    return RunRecord(str(path), tally, plan, reasons, interrupted, effects)


def _last_object(path: Path) -> dict[str, Any]:
    try:
        with open_to_read(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LARGEST))
            text = file.read(_LARGEST).decode("utf-8", "replace").strip()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from error
    for part in (text.rpartition("\n")[2], text):
        try:
            found = json.loads(part, parse_constant=_refuse)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    raise _wrong(path, "neither its last line nor the whole is a JSON object")


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _wrong(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is no summary of a run: {why}; expected what `softphone load run --json` printed"
    )


def _tally(found: Mapping[str, Any]) -> Tally:
    """The counts of a summary.  Raises KeyError, TypeError, ValueError or AttributeError."""
    calls, packets = found["calls"], found["packets"]
    registrations, audio = found["registrations"], found["audio"]
    tally = Tally(
        attempted=_count(calls["attempted"]),
        answered=_count(calls["answered"]),
        failed=Counter({str(k): _count(n) for k, n in calls["failed"].items()}),
        dropped=Counter({str(k): _count(n) for k, n in calls["dropped"].items()}),
        registrations=_count(registrations["attempted"]),
        registered=_count(registrations["registered"]),
        retried=_count(registrations["retried"]),
        sent=_count(packets["sent"]),
        received=_count(packets["received"]),
        # Packets that come twice make the loss negative.
        lost=_count(packets["lost"], least=-_MOST),
        late=_count(packets["late"]),
        due=_count(packets.get("due", packets["sent"])),
        checked=_count(audio["checked"]),
        heard=_count(audio["heard"]),
    )
    stored = found["histograms"]
    for name in HISTOGRAMS:
        setattr(tally, name, _histogram(stored[name], getattr(tally, name).unit))
    for name, value in (found.get("operations") or {}).items():
        # Runs of versions without them have none.
        tally.operations[str(name)] = each = OperationTally(
            attempted=_count(value["attempted"]),
            succeeded=_count(value["succeeded"]),
            failed=Counter({str(k): _count(n) for k, n in value["failed"].items()}),
        )
        each.ms = _histogram(value["histogram"], each.ms.unit)
        tally.span = _seconds(value["seconds"])
    return tally


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
        raise ValueError(f"{str(value)[:40]!r} is no number of seconds")
    return float(value)


def _histogram(plain: Mapping[str, Any], unit: float) -> Histogram:
    for bucket, count in plain.get("counts", {}).items():
        _count(count)
        _count(int(bucket), most=_BUCKETS)
    made = Histogram.from_plain(plain)
    if made.unit != unit:
        raise ValueError(f"a histogram of unit {made.unit:g}, expected {unit:g}")
    return made


def _count(value: Any, *, least: int = 0, most: int = _MOST) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < most:
        raise ValueError(f"{str(value)[:40]!r} is no count")
    return value
