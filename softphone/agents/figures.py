"""The figures of an agent server for Prometheus, beside those of its phone."""

from __future__ import annotations

from collections.abc import Mapping

from softphone.agents.reports import ReportKind
from softphone.monitoring import append_family


def append_agent_figures(lines: list[str], streams: int, reports: Mapping[ReportKind, int]) -> None:
    """Append how many calls have a bot now, and how often each kind of report was made.

    No label is a number, a name or an id.
    """
    append_family(lines, "softphone_agent_streams", "gauge", {"": streams})
    counted = {f'{{kind="{kind.value}"}}': reports.get(kind, 0) for kind in ReportKind}
    append_family(lines, "softphone_agent_reports_total", "counter", counted)
