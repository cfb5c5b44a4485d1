"""The figures of a load run for Prometheus (text format 0.0.4), on loopback: GET of any path.

Names follow Prometheus' rules: base units, counters end in `_total`, distributions are histograms,
which add up over processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from softphone.load.measure.histogram import Histogram
from softphone.load.measure.operation import OPERATIONS
from softphone.load.measure.tally import RunSecond, Tally
from softphone.monitoring import (
    Page,
    PageAccess,
    PageServer,
    append_family,
    append_histogram,
    escape_label,
)
from softphone.monitoring.exposition import CONTENT_TYPE

WAIT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The upper bounds, in seconds, of the buckets of what a caller waits for."""
LATENESS_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
JITTER_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
MOS_BOUNDS = (1.5, 2.0, 2.5, 3.0, 3.25, 3.5, 3.6, 3.7, 3.8, 3.9, 4.0, 4.1, 4.2, 4.3, 4.4)
MILLISECONDS = 1e3
OBSERVED = "of calls that are up, observed once a second."


class PrometheusPage(PageServer):
    """An async context that serves the page; call `add_second` with each second of the run."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._run = RunSecond(0.0)
        self._second = RunSecond(0.0)
        super().__init__({"": self._page}, PageAccess(host, port), what="the Prometheus page")

    def add_second(self, second: RunSecond) -> None:
        """Add a second of the run to the page."""
        self._second = second
        self._run.follow(second)

    def _page(self) -> Page:
        return Page(exposition(self._second, self._run), content_type=CONTENT_TYPE)


def exposition(second: RunSecond, run: RunSecond) -> str:
    """Format the page: counters and histograms of the `run` so far, gauges of its last `second`."""
    lines: list[str] = []
    _append_counters(lines, run.tally)
    for name, meaning, value in (
        # A gauge: packets that arrive late reduce the loss, and a counter must never fall.
        ("packets_lost", "Media packets lost since the start of the run.", run.tally.lost),
        ("calls_up", "Calls that are up.", second.up),
        ("workers", "Processes that make calls.", second.workers),
        ("cpu_ratio", "Processor time over time, of the busiest process.", second.cpu),
    ):
        _family(lines, name, "gauge", meaning, {"": value})
    _append_histograms(lines, run)
    _append_operations(lines, run.tally)
    return "\n".join(lines) + "\n"


def _append_counters(lines: list[str], total: Tally) -> None:
    for name, meaning, value in (
        ("calls_attempted", "Calls begun.", total.attempted),
        ("calls_answered", "Calls answered.", total.answered),
        ("registrations", "Registrations attempted.", total.registrations),
        ("registrations_granted", "Registrations granted.", total.registered),
        ("packets_sent", "Media packets sent.", total.sent),
        ("packets_received", "Media packets received.", total.received),
        ("packets_late", "Own packets more than 5 ms late.", total.late),
        ("packets_too_late", "Own packets more than 20 ms late.", total.too_late),
        ("packets_skipped", "Own packets skipped since they were too late.", total.skipped),
        ("cpu_seconds", "Processor time of the generator.", total.cpu_seconds),
        ("call_seconds", "Time of all calls together.", total.call_seconds),
    ):
        _family(lines, f"{name}_total", "counter", meaning, {"": value})
    for name, meaning, found in (
        ("calls_failed", "Calls without an answer or without media.", total.failed),
        ("calls_dropped", "Answered calls that were lost.", total.dropped),
        ("registrations_refused", "Registrations refused.", total.registrations_failed),
    ):
        labeled = {f'{{cause="{escape_label(cause)}"}}': count for cause, count in found.items()}
        _family(lines, f"{name}_total", "counter", meaning, labeled)


def _append_histograms(lines: list[str], run: RunSecond) -> None:
    total = run.tally
    from_schedule = "From when the schedule had a call to its answer."
    for name, meaning, values, bounds in (
        ("setup", "From INVITE to answer.", total.setup_ms, WAIT_BOUNDS),
        ("arrival", from_schedule, total.arrival_ms, WAIT_BOUNDS),
        ("registration", "From REGISTER to its answer.", total.registration_ms, WAIT_BOUNDS),
        ("lateness", "Lateness of own packets.", total.lateness_ms, LATENESS_BOUNDS),
        ("jitter", f"Jitter {OBSERVED}", run.jitter_now_ms, JITTER_BOUNDS),
    ):
        _histogram(lines, f"{name}_seconds", meaning, values, bounds, MILLISECONDS)
    _histogram(
        lines,
        "mos",
        f"Narrowband mean opinion score (G.107) {OBSERVED}",
        run.mos_now,
        MOS_BOUNDS,
        1.0,
    )


def _append_operations(lines: list[str], total: Tally) -> None:
    """Append what runs without calls repeat; a histogram for each, since its name says what."""
    for name, meaning, part in (
        ("operations_attempted", "Operations begun, of runs without calls.", "attempted"),
        ("operations_succeeded", "Operations that succeeded.", "succeeded"),
    ):
        labeled = {
            f'{{operation="{each}"}}': getattr(tally, part)
            for each, tally in total.operations.items()
        }
        _family(lines, f"{name}_total", "counter", meaning, labeled)
    failed = {
        f'{{operation="{each}",cause="{escape_label(cause)}"}}': count
        for each, tally in total.operations.items()
        for cause, count in tally.failed.items()
    }
    _family(lines, "operations_failed_total", "counter", "Operations that failed.", failed)
    for each, tally in total.operations.items():
        meaning = f"Latency of operations: {OPERATIONS[each].meaning}."
        _histogram(lines, f"{each}_seconds", meaning, tally.ms, WAIT_BOUNDS, MILLISECONDS)


def _family(
    lines: list[str], name: str, kind: str, meaning: str, values: Mapping[str, float]
) -> None:
    append_family(lines, f"softphone_load_{name}", kind, meaning, values)


def _histogram(
    lines: list[str],
    name: str,
    meaning: str,
    histogram: Histogram,
    bounds: Sequence[float],
    unit: float,
) -> None:
    """Append a histogram whose values are `unit` times the base unit."""
    counts = histogram.counts_up_to([bound * unit for bound in bounds])
    up_to = dict(zip(bounds, counts, strict=True))
    full_name, observed = f"softphone_load_{name}", histogram.sum / unit
    append_histogram(lines, full_name, meaning, up_to, histogram.total, observed)
