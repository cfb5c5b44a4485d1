"""The figures of a load run for Prometheus (text format 0.0.4), on loopback: GET of any path."""

from __future__ import annotations

from collections.abc import Mapping

from softphone.load.measure.histogram import Histogram
from softphone.load.measure.tally import RunSecond, Tally
from softphone.monitoring import Page, PageAccess, PageServer, append_family, escape_label
from softphone.monitoring.exposition import CONTENT_TYPE

QUANTILES = (0.05, 0.5, 0.95, 0.99)


class PrometheusPage(PageServer):
    """An async context that serves the page; call `add_second` with each second of the run."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._total = Tally()
        self._second = RunSecond(0.0)
        super().__init__({"": self._page}, PageAccess(host, port), what="the Prometheus page")

    def add_second(self, second: RunSecond) -> None:
        """Add a second of the run to the page."""
        self._second = second
        self._total.merge(second.tally)

    def _page(self) -> Page:
        return Page(exposition(self._second, self._total), content_type=CONTENT_TYPE)


def exposition(second: RunSecond, total: Tally) -> str:
    """Format the page: counters since the start, gauges of the last second."""
    lines: list[str] = []
    counters = {
        "calls_attempted": total.attempted,
        "calls_answered": total.answered,
        "registrations": total.registrations,
        "registrations_granted": total.registered,
        "packets_sent": total.sent,
        "packets_received": total.received,
        "packets_late": total.late,
        "packets_too_late": total.too_late,
        "packets_skipped": total.skipped,
        "cpu_seconds": total.cpu_seconds,
        "call_seconds": total.call_seconds,
    }
    for name, value in counters.items():
        _family(lines, f"{name}_total", "counter", {"": value})
    for name, found in (
        ("calls_failed", total.failed),
        ("calls_dropped", total.dropped),
        ("registrations_refused", total.registrations_failed),
    ):
        labeled = {f'{{cause="{escape_label(cause)}"}}': count for cause, count in found.items()}
        _family(lines, f"{name}_total", "counter", labeled)
    # A gauge: packets that arrive late reduce the loss, and a counter must never fall.
    gauges = {"packets_lost": total.lost, "calls_up": second.up, "cpu_share": second.cpu}
    for name, value in gauges.items():
        _family(lines, name, "gauge", {"": value})
    for name, histogram in (
        ("setup_milliseconds", total.setup_ms),
        ("lateness_milliseconds", total.lateness_ms),
        ("mos", second.mos_now),
        ("jitter_milliseconds", second.jitter_now_ms),
    ):
        _family(lines, name, "gauge", _ranks(histogram))
    return "\n".join(lines) + "\n"


def _family(lines: list[str], name: str, kind: str, values: Mapping[str, float]) -> None:
    append_family(lines, f"softphone_load_{name}", kind, values)


def _ranks(histogram: Histogram) -> dict[str, float]:
    found = {}
    for share in QUANTILES:
        value = histogram.quantile(share)
        if value is not None:
            found[f'{{quantile="{share:g}"}}'] = value
    return found
