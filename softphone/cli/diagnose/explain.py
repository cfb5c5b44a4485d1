"""`softphone explain`: prints which m-line, crypto line and rule caused the refusal of a call."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import FAILED
from softphone.cli.diagnose.options import ExplainOptions
from softphone.diagnostics.refusal_analysis import (
    LARGEST,
    RefusalFinding,
    analyze_refusals,
    count_answered_challenges,
    is_readable,
)
from softphone.errors import ConfigurationError
from softphone.operating_system import open_to_read


async def explain_file(output: CommandOutput, options: ExplainOptions) -> int:
    """Explain the messages in a file, or on standard input.  Raises ConfigurationError."""
    path = options.file
    text = _read(path)
    findings = analyze_refusals(text)
    show_findings(output, findings)
    if findings:
        return output.done("", reason="explained")
    if not is_readable(text):
        raise ConfigurationError(
            "there is neither a SIP message, a ladder, a session description nor a command's"
            f" --json in {path or 'standard input'}"
        )
    sentence = "nothing in it speaks against the call"
    challenges = count_answered_challenges(text)
    if challenges:
        were = "1 challenge (401, 407) was" if challenges == 1 else f"{challenges} challenges were"
        sentence += f": {were} answered with credentials, which is no refusal"
    return output.failed(sentence, FAILED, result="failed")


def show_findings(output: CommandOutput, findings: Sequence[RefusalFinding]) -> None:
    """Print the findings as a table, and for scripts as one object each."""
    for one in findings:
        output.event("finding", place=one.place, line=one.line, rule=one.rule)
    if findings:
        rows = [(one.place, one.line or "-", one.rule) for one in findings]
        output.table("", ("where", "crypto line", "what, and by which rule"), rows)


def _read(path: Path | None) -> str:
    if path is None or str(path) == "-":
        return sys.stdin.read(LARGEST)
    try:
        with open_to_read(path) as file:
            return file.read(LARGEST).decode("utf-8", "replace")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
