"""The cases of a conformance run as one self-contained HTML file, in the style of a report."""

from __future__ import annotations

from datetime import datetime
from html import escape
from pathlib import Path

from softphone._version import __version__
from softphone.load.conformance import CaseResult, CaseVerdict, ConformanceResult
from softphone.load.report.html import html_page, wide_table
from softphone.trust.disk import write_private

_CLASSES = {CaseVerdict.PASSED: "good", CaseVerdict.FAILED: "bad"}


def write_conformance(path: Path, result: ConformanceResult, *, wall: datetime) -> None:
    """Write the page atomically.  Raises ConfigurationError."""
    write_private(path, conformance_page(result, wall=wall).encode(), mode=0o644)


def conformance_page(result: ConformanceResult, *, wall: datetime) -> str:
    """The page as HTML text; `wall` is the time at which the run began."""
    title = f"conformance: {result.target} over {result.transport}"
    rows = "".join(map(_row, result.cases))
    head = "<tr><th>case</th><th>asked for</th><th>expected</th><th>came</th><th></th></tr>"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">softphone {__version__}, begun at {wall:%Y-%m-%d %H:%M:%S %Z}</p>',
        f"<p>{escape(result.sentence)}</p>",
        f'<div class="box bad">{escape(result.stopped)}</div>' if result.stopped else "",
        f"<p>the call meanwhile: {escape(result.call)}</p>" if result.call else "",
        wide_table(head + rows),
    ]
    return html_page(title, parts)


def _row(result: CaseResult) -> str:
    case = result.case
    why = f'<br><span class="note">{escape(result.why)}</span>' if result.why else ""
    return (
        f"<tr><td>{escape(case.name)}<br>{escape(case.title)}</td>"
        f'<td>{escape(case.asks)}<br><span class="note">{escape(case.section)}</span></td>'
        f"<td>{escape(result.expected)}</td><td>{escape(result.came)}</td>"
        f'<td class="{_CLASSES.get(result.verdict, "note")}">{result.verdict}{why}</td></tr>'
    )
