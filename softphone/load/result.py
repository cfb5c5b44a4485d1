"""The result of a run: its seconds, their sum, why it is invalid, and the summary for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from softphone.errors import ConfigurationError
from softphone.load.design_effect import design_effects
from softphone.load.generator_limit import GeneratorLimit
from softphone.load.measure.generator_check import GeneratorCheck
from softphone.load.measure.histogram import Histogram
from softphone.load.measure.operation import OPERATIONS, OperationTally
from softphone.load.measure.tally import (
    MEDIA_STOPPED,
    NO_MEDIA,
    TOLERATE_LATE,
    RunSecond,
    Tally,
)
from softphone.load.plan import Expectation, ExpectationVerdict, LoadPlan, base_account

HISTOGRAMS = ("setup_ms", "registration_ms", "mos", "jitter_ms", "loss")
"""The histograms in a summary, one value a call or registration, for comparisons."""

MOS_NAME = "MOS p5 / p50, narrowband"
"""By ITU-T G.107, of G.711 whatever the codec; G.107.1 and .2, of wideband, are not implemented."""


@dataclass(slots=True)
class LoadResult:
    """The result of a run by one or more workers.

    `begun_apart` is the seconds between the starts of the first and the last worker; `lost`
    describes workers that did not finish.  `failed_checks` has the check that each reason of
    `invalid_because` belongs to.  `changes` says what was changed by hand while it ran, and when.
    `limit` is what the generator holds by itself, if that was measured.
    """

    plan: LoadPlan
    seconds: list[RunSecond] = field(default_factory=list)
    total: Tally = field(default_factory=Tally)
    invalid_because: list[str] = field(default_factory=list)
    failed_checks: dict[str, GeneratorCheck] = field(default_factory=dict)
    workers: int = 1
    lost: list[str] = field(default_factory=list)
    begun_apart: float = 0.0
    interrupted: bool = False
    changes: list[str] = field(default_factory=list)
    limit: GeneratorLimit | None = None

    def add_second(self, second: RunSecond) -> None:
        """Add one second of the run."""
        self.seconds.append(second)
        self.total.merge(second.tally)

    def add_invalid_reason(self, reason: str, check: GeneratorCheck) -> None:
        """Add a reason why the run is invalid, and the check that found it."""
        self.invalid_because.append(reason)
        self.failed_checks[reason] = check

    @property
    def valid(self) -> bool:
        """Whether the figures describe the target and not the generator."""
        return not self.invalid_because

    @property
    def most_up(self) -> int:
        """The most calls that were up at once."""
        return max((second.peak for second in self.seconds), default=0)

    def summary(self, verdicts: Sequence[ExpectationVerdict] = ()) -> dict[str, Any]:
        """The JSON summary that a run ends with; scripts depend on its field names."""
        fields = _fields(self.total)
        fields["calls"]["most_up"] = self.most_up
        return {
            "valid": self.valid,
            "invalid_because": list(self.invalid_because),
            "interrupted": self.interrupted,
            "tolerate_late": self.plan.tolerate_late,
            "plan": plan_fields(self.plan, self.changes),
            **fields,
            "design_effects": {
                label: asdict(effect) for label, effect in design_effects(self.seconds).items()
            },
            "workers": {
                "started": self.workers,
                "lost": list(self.lost),
                "begun_apart_ms": round(self.begun_apart * 1e3, 1),
            },
            "generator": _limit_fields(self.limit, self.most_up),
            "verdicts": verdict_fields(verdicts),
        }


def _limit_fields(limit: GeneratorLimit | None, most_up: int) -> dict[str, Any] | None:
    """What the generator holds by itself and how much of that was up, or None if not known."""
    if limit is None:
        return None
    return {
        "calls": limit.calls,
        "at_least": limit.at_least,
        "measured": limit.measured,
        "most_up_share": round(most_up / limit.calls, 3),
    }


def verdict_fields(verdicts: Sequence[ExpectationVerdict]) -> list[dict[str, Any]]:
    """Verdicts as JSON objects."""
    return [asdict(verdict) for verdict in verdicts]


def _fields(total: Tally) -> dict[str, Any]:
    """The counts as JSON fields; scripts depend on the first five names."""
    return {
        "calls": {
            "attempted": total.attempted,
            "answered": total.answered,
            "failed": dict(total.failed),
            "dropped": dict(total.dropped),
            "ended": dict(total.ended),
            "most_up": 0,
            "held_back_s": round(total.held_back, 2),
        },
        "setup_ms": _quantiles(total.setup_ms, (50, 95, 99), 1),
        "arrival_ms": _quantiles(total.arrival_ms, (50, 95, 99), 1),
        "mos": _quantiles(total.mos, (5, 50), 2),
        "packets": _packets(total),
        "cpu_ms_per_call_second": (
            round(total.cpu_ms_per_call_second, 3) if total.call_seconds else None
        ),
        "jitter_ms": _quantiles(total.jitter_ms, (50, 95, 99), 2),
        "loss_percent": round(total.loss_percent, 4) if total.expected > 0 else None,
        "lateness_ms": {
            **_quantiles(total.lateness_ms, (50, 99), 1),
            "max": round(total.lateness_ms.maximum, 1) if total.due else None,
        },
        "late_percent": {
            "over_5_ms": round(total.late_percent, 4) if total.due else None,
            "over_20_ms": round(total.too_late_percent, 4) if total.due else None,
        },
        "suites": dict(total.suites),
        "media_paths": dict(total.media_paths),
        "registrations": {
            "attempted": total.registrations,
            "registered": total.registered,
            "retried": total.retried,
            "failed": dict(total.registrations_failed),
            "ms": _quantiles(total.registration_ms, (50, 95, 99), 1),
        },
        "audio": {"checked": total.checked, "heard": total.heard},
        "injected": dict(total.injected),
        "signaling": dict(total.signaling),
        "operations": {
            name: _operation(tally, total.span) for name, tally in total.operations.items()
        },
        "histograms": {name: getattr(total, name).to_plain() for name in HISTOGRAMS},
    }


def _operation(tally: OperationTally, span: float) -> dict[str, Any]:
    return {
        "attempted": tally.attempted,
        "succeeded": tally.succeeded,
        "failed": dict(tally.failed),
        "seconds": round(span, 3),
        "per_second": round(tally.succeeded / span, 2) if span else None,
        "ms": _quantiles(tally.ms, (50, 95, 99), 1),
        "histogram": tally.ms.to_plain(),
    }


def _packets(tally: Tally) -> dict[str, int]:
    return {
        "sent": tally.sent,
        "received": tally.received,
        "lost": tally.lost,
        "due": tally.due,
        "late": tally.late,
        "too_late": tally.too_late,
        "skipped": tally.skipped,
    }


def plan_fields(plan: LoadPlan, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the settings of a plan, and its changes, as JSON fields; holds no secrets."""
    return {
        "scenario": plan.scenario,
        "target": plan.target,
        "calls": plan.calls,
        "total_calls": None if plan.sipp is None else plan.sipp.total or None,
        "arrival": plan.arrival,
        "rate": plan.rate,
        "duration_s": plan.duration,
        "hold": plan.hold,
        "seed": plan.seed,
        "users": len(plan.users),
        "sockets": plan.sockets,
        "media": plan.placement,
        "faults": plan.faults.words(),
        "workload": None if plan.workload is None else asdict(plan.workload),
        "tls_key_log": plan.tls_key_log,
        "changes": list(changes),
        **server_fields(plan),
    }


def server_fields(plan: LoadPlan) -> dict[str, Any]:
    """Which server is called, how, as which user (the first one), and what media must have.

    Null where it is not known: a SIPp scenario that waits has no server, and one that sends says
    itself which media; a name may leave the transport to DNS.
    """
    try:
        account = base_account(plan)
    except ConfigurationError:
        # The plan was checked: it has no server, or its account file has gone since.
        account = None
    server = None if account is None else account.server_uri
    transport = None
    if account is not None and server is not None and account.transport is not None:
        transport = account.transport.value
    media = None if account is None or not plan.has_media else account.media
    return {
        "server": None if server is None else str(replace(server, user=None, password=None)),
        "transport": transport,
        "aor": plan.users[0].aor,
        "srtp": None if account is None or media is None else account.srtp.value,
        "suites": None if media is None else [suite.value for suite in media.suites],
    }


def judge_result(
    result: LoadResult, expectations: Sequence[Expectation]
) -> tuple[ExpectationVerdict, ...]:
    """Judge each expectation against the counts of the run.

    A share of which nothing happened is an outright failure only if the generator could act: it
    was slow at most.  A call that has another suite is one in any run.
    """
    verdicts = [expectation.judge_tally(result.total) for expectation in expectations]
    checks = {result.failed_checks.get(reason) for reason in result.invalid_because}
    acted = checks <= {GeneratorCheck.SPEED} and not result.interrupted
    return tuple(
        replace(verdict, outright=verdict.outright and (acted or bool(expectation.suite)))
        for expectation, verdict in zip(expectations, verdicts, strict=True)
    )


def second_fields(second: RunSecond) -> dict[str, Any]:
    """One second as JSON fields for scripts."""
    tally = second.tally
    return {
        "at": round(second.at, 2),
        "up": second.up,
        "attempted": tally.attempted,
        "answered": tally.answered,
        "failed": dict(tally.failed),
        "dropped": dict(tally.dropped),
        "registered": tally.registered,
        "setup_ms": _quantiles(tally.setup_ms, (50, 99), 1),
        "mos": _quantiles(second.mos_now, (5, 50), 2),
        "jitter_ms": _quantiles(second.jitter_now_ms, (50, 95), 2),
        "packets": _packets(tally),
        "cpu": round(second.cpu, 3),
        "lateness_ms": _quantiles(tally.lateness_ms, (99,), 1),
        "workers": second.workers,
        "operations": {
            name: {
                "attempted": each.attempted,
                "succeeded": each.succeeded,
                "failed": dict(each.failed),
                "ms": _quantiles(each.ms, (50, 99), 1),
            }
            for name, each in tally.operations.items()
        },
    }


def _quantiles(
    histogram: Histogram, percents: Sequence[int], digits: int
) -> dict[str, float | None]:
    found = {}
    for percent in percents:
        value = histogram.quantile(percent / 100.0)
        found[f"p{percent}"] = None if value is None else round(value, digits)
    return found


def result_figures(result: LoadResult) -> list[tuple[str, str]]:
    """The figures for a person to read, each with its name.

    Of a run without media, and of a SIPp scenario, those that it has not measured are left out.
    """
    if result.plan.workload is not None:
        return _workload_figures(result)
    figures = _all_figures(result)
    if result.plan.sipp is None:
        return figures
    return [(name, value) for name, value in figures if value.strip("-/ ")]


def _all_figures(result: LoadResult) -> list[tuple[str, str]]:
    total = result.total
    suites = ", ".join(f"{name} {count:,}" for name, count in total.suites.items())
    paths = ", ".join(f"{path}, {count:,} times" for path, count in total.media_paths.items())
    return [
        ("calls attempted", f"{total.attempted:,}"),
        ("answered", f"{total.answered:,}"),
        ("failed", f"{total.failed.total():,}"),
        ("dropped", f"{total.dropped.total():,}"),
        ("most calls up", f"{result.most_up:,}"),
        *_of_limit(result),
        ("held back by --calls, s", f"{total.held_back:.1f}"),
        ("users registered", _registered(total)),
        ("set-up p50 / p95 / p99, ms", quantiles_text(total.setup_ms, 0.5, 0.95, 0.99)),
        (
            "from its time in the schedule p50 / p95 / p99, ms",
            quantiles_text(total.arrival_ms, 0.5, 0.95, 0.99),
        ),
        (MOS_NAME, quantiles_text(total.mos, 0.05, 0.5)),
        ("jitter p50 / p95 / p99, ms", quantiles_text(total.jitter_ms, 0.5, 0.95, 0.99)),
        ("packets sent / received", f"{total.sent:,} / {total.received:,}"),
        (
            "packets lost",
            f"{total.lost:,} ({total.loss_percent:.3f} %)" if total.expected > 0 else "-",
        ),
        ("own packets over 5 / 20 ms late", _late(total)),
        ("own packets skipped", f"{total.skipped:,} of {total.due:,}"),
        ("own lateness p50 / p99 / max, ms", _lateness(total)),
        ("suites", suites or "-"),
        ("calls that heard what they should", f"{total.heard} of {total.checked} listened to"),
        (
            "our processor time, ms a call-second",
            f"{total.cpu_ms_per_call_second:.3f}" if total.call_seconds else "-",
        ),
        ("media path", paths.removesuffix(", 1 times") or "-"),
        ("faults injected", _injected(result)),
        ("workers", f"{result.workers}, {len(result.lost)} lost"),
        *(("changed by hand", change) for change in result.changes),
        *_tolerated(result),
        *_key_log(result),
        *(
            (f"SIPp: messages, {name}", f"{count:,}")
            for name, count in sorted(total.signaling.items())
        ),
    ]


def _workload_figures(result: LoadResult) -> list[tuple[str, str]]:
    """The figures of a run without calls: its operations, and the generator's own time."""
    total, plan = result.total, result.plan
    registers = total.registrations > 0
    figures = [
        ("users" if plan.workload is None or plan.workload.kept else "at once", f"{plan.calls:,}"),
        ("most at once", f"{result.most_up:,}"),
        ("held back by --calls, s", f"{total.held_back:.1f}"),
    ]
    if registers:
        registration = quantiles_text(total.registration_ms, 0.5, 0.95, 0.99)
        figures += [
            ("users registered", _registered(total)),
            ("registration p50 / p95 / p99, ms", registration),
        ]
    for name, operation in OPERATIONS.items():
        tally = total.operations.get(name)
        if tally is None:
            continue
        what = name.replace("_", " ")
        rate = f", {tally.succeeded / total.span:,.1f} a second" if total.span else ""
        figures += [
            (f"{what}: succeeded", f"{tally.succeeded:,} of {tally.attempted:,}{rate}"),
            (
                f"{what} p50 / p95 / p99 / max, ms ({operation.meaning})",
                f"{quantiles_text(tally.ms, 0.5, 0.95, 0.99)} / "
                + (f"{tally.ms.maximum:.4g}" if tally.ms.total else "-"),
            ),
        ]
    succeeded = sum(tally.succeeded for tally in total.operations.values()) + total.registered
    share = 100.0 * total.cpu_seconds / total.span if total.span else 0.0
    figures += [
        *((name, f"{count:,}") for name, count in sorted(total.signaling.items())),
        (
            "our processor time, % of a core / ms for each that succeeded",
            f"{share:.0f} / "
            + (f"{1e3 * total.cpu_seconds / succeeded:.3f}" if succeeded else "-"),
        ),
        ("faults injected", _injected(result)),
        ("workers", f"{result.workers}, {len(result.lost)} lost"),
        *(("changed by hand", change) for change in result.changes),
        *_key_log(result),
    ]
    return figures


def _of_limit(result: LoadResult) -> list[tuple[str, str]]:
    """The share of the generator's own limit that was up, where that was measured."""
    limit = result.limit
    if limit is None:
        return []
    calls = f"{'at least ' if limit.at_least else ''}{limit.calls:,}"
    share = result.most_up / limit.calls
    return [("of what this machine holds by itself", f"{share:.0%} of {calls}")]


def _registered(total: Tally) -> str:
    text = f"{total.registered:,} of {total.registrations - total.retried:,}"
    return f"{text}, asked again {total.retried:,} times" if total.retried else text


def _late(total: Tally) -> str:
    if not total.due:
        return "-"
    return f"{total.late_percent:.2f} % / {total.too_late_percent:.2f} %"


def _lateness(total: Tally) -> str:
    most = f"{total.lateness_ms.maximum:.4g}" if total.due else "-"
    return f"{quantiles_text(total.lateness_ms, 0.5, 0.99)} / {most}"


def _tolerated(result: LoadResult) -> list[tuple[str, str]]:
    """The share of late packets that the run was to bear, where that is not the default."""
    share = result.plan.tolerate_late
    return [] if share == TOLERATE_LATE else [("own packets to be borne late", f"{share:g} %")]


def _key_log(result: LoadResult) -> list[tuple[str, str]]:
    """Where the secrets of TLS were logged: who has them can read the run's traffic."""
    path = result.plan.tls_key_log
    return [] if path is None else [("TLS keys logged to", path)]


def _injected(result: LoadResult) -> str:
    """The injected faults, each with how often it happened, as text."""
    counts = ", ".join(f"{name} {count:,}" for name, count in result.total.injected.items())
    return "; ".join(part for part in (result.plan.faults.words(), counts) if part) or "none"


def quantiles_text(histogram: Histogram, *shares: float) -> str:
    """Quantiles as text: "5.4 / 12.1", or "-" for an empty histogram."""
    values = (histogram.quantile(share) for share in shares)
    return " / ".join("-" if value is None else f"{value:.4g}" for value in values)


_WORDS = {
    NO_MEDIA: "no_media: answered, and not one packet came",
    MEDIA_STOPPED: "media_stopped: no packet came any more towards its end",
}


def failure_causes(total: Tally) -> dict[str, int]:
    """Everything that failed, by cause."""
    found = {_WORDS.get(cause, cause): count for cause, count in total.failed.items()}
    found |= {
        f"dropped: {_WORDS.get(cause, cause)}": count for cause, count in total.dropped.items()
    }
    found |= {f"register: {cause}": count for cause, count in total.registrations_failed.items()}
    found |= {
        f"{name.replace('_', ' ')}: {cause}": count
        for name, tally in total.operations.items()
        for cause, count in tally.failed.items()
    }
    return found


NO_RESULT = "the run came to no result"
BLANK_LOAD_SUMMARY: Mapping[str, Any] = MappingProxyType(
    {
        "valid": False,
        "invalid_because": [NO_RESULT],
        "interrupted": False,
        "tolerate_late": TOLERATE_LATE,
        "plan": None,
        **_fields(Tally()),
        "design_effects": {},
        "workers": {"started": 0, "lost": [], "begun_apart_ms": 0.0},
        "generator": None,
        "verdicts": [],
    }
)
"""The summary of a run that never began."""
