"""The figures of an agent server for Prometheus, beside those of its phone."""

from __future__ import annotations

from collections.abc import Mapping

from softphone.agents.reports import ReportKind
from softphone.monitoring import append_family


def append_agent_figures(lines: list[str], streams: int, reports: Mapping[ReportKind, int]) -> None:
    """Append how many calls have a bot now, and how often each kind of report was made.

    No label is a number, a name or an id.
    """
    name, meaning = "softphone_agent_streams", "Calls that have a bot."
    append_family(lines, name, "gauge", meaning, {"": streams})
    counted = {f'{{kind="{kind.value}"}}': reports.get(kind, 0) for kind in ReportKind}
    name, meaning = "softphone_agent_reports_total", "Reports made of calls and bots."
    append_family(lines, name, "counter", meaning, counted)
