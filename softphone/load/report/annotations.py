"""Writes verdicts for code reviews: GitHub's annotations, GitLab's code quality.

GitHub reads workflow commands from the lines that a step prints, and Markdown from the file that
`GITHUB_STEP_SUMMARY` names.  GitLab reads a JSON file as the artefact `codequality`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from softphone.load.report.verdict_cases import CaseOutcome, VerdictCase

MOST_ANNOTATIONS = 10
"""Errors that GitHub shows of one step; it silently drops those beyond."""
GITLAB_FILE = "gl-code-quality-report.json"
_SIGNS = {
    CaseOutcome.PASSED: "\N{WHITE HEAVY CHECK MARK}",
    CaseOutcome.FAILED: "\N{CROSS MARK}",
    CaseOutcome.ERROR: "\N{WARNING SIGN}",
    CaseOutcome.SKIPPED: "\N{BLACK RIGHT-POINTING DOUBLE TRIANGLE}",
}
_BAD = (CaseOutcome.FAILED, CaseOutcome.ERROR)


def github_commands(cases: Sequence[VerdictCase]) -> list[str]:
    """A workflow command for each case that did not pass, errors of the run first."""
    bad = [case for case in cases if case.outcome is CaseOutcome.ERROR]
    bad += [case for case in cases if case.outcome is CaseOutcome.FAILED]
    shown = bad if len(bad) <= MOST_ANNOTATIONS else bad[: MOST_ANNOTATIONS - 1]
    lines = [_command(f"softphone load: {case.name}", case.text) for case in shown]
    if rest := bad[len(shown) :]:
        lines.append(_command("softphone load", "\n".join(case.text for case in rest)))
    return lines


def _command(title: str, text: str) -> str:
    # GitHub's escapes: a property must not hold what ends it.
    title = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::error title={title}::{_escaped(text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def markdown_summary(
    cases: Sequence[VerdictCase], figures: Sequence[tuple[str, str]], *, title: str
) -> str:
    """A table of the cases and one of the figures, in GitHub's Markdown."""
    lines = [f"### {_cell(title)}", "", "| | verdict | |", "|---|---|---|"]
    lines += [
        f"| {_SIGNS[case.outcome]} | {_cell(case.name)} | {_cell(case.text)} |" for case in cases
    ]
    if figures:
        lines += ["", "| figure | value |", "|---|---:|"]
        lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in figures]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text in a cell, all of it literal: a cause may have a peer's words."""
    escaped = "".join(f"\\{c}" if c in "\\`*_{}[]()#+!|~" else c for c in text)
    return (
        escaped.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\n", "<br>")
    )


def gitlab_document(cases: Sequence[VerdictCase], *, path: str) -> str:
    """A code quality report, as JSON text: an entry for each case that did not pass.

    `path` is the file in the repository that an entry is shown at.  Fingerprints depend on the
    names alone, so that GitLab tells a new entry from one of the run before.
    """
    entries = [
        {
            "description": f"{case.name}: {case.text}",
            "check_name": f"softphone-load.{case.group}",
            "fingerprint": hashlib.sha256(f"{case.group}\0{case.name}".encode()).hexdigest(),
            "severity": "critical" if case.outcome is CaseOutcome.ERROR else "major",
            "location": {"path": path, "lines": {"begin": 1}},
        }
        for case in cases
        if case.outcome in _BAD
    ]
    return json.dumps(entries, indent=2) + "\n"
