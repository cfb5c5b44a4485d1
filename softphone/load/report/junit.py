"""The verdicts of a run as JUnit XML, which GitLab, Jenkins and the actions of GitHub read.

Valid against both schemas in use: that of Ant's JUnit tasks (the stricter) and that of Jenkins'
xUnit plugin.  Hence no attribute on the root, no zone in the timestamp, and all of `properties`,
`system-out` and `system-err`.  GitLab shows the text of a failure, others its message: both have
the same words.
"""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from xml.etree import ElementTree as ET

from softphone._version import __version__
from softphone.load.report.verdict_cases import CaseOutcome, VerdictCase
from softphone.load.result import LoadResult, failure_causes, plan_fields, result_figures

_TAGS = {
    CaseOutcome.FAILED: "failure",
    CaseOutcome.ERROR: "error",
    CaseOutcome.SKIPPED: "skipped",
}
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_document(
    cases: Sequence[VerdictCase],
    *,
    scenario: str,
    wall: datetime,
    seconds: float = 0.0,
    properties: Mapping[str, str] | None = None,
    output: str = "",
    command: str = "softphone load",
) -> str:
    """One suite of the cases, as text; `wall` is when the run began, `seconds` how long it took.

    Suite and cases are named after the `command`.
    """
    package = command.replace(" ", "-")
    counts = Counter(case.outcome for case in cases)
    root = ET.Element("testsuites")
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "id": "0",
            "package": package,
            "name": _xml_text(f"{command} {scenario}".strip()),
            "timestamp": f"{wall:%Y-%m-%dT%H:%M:%S}",
            "hostname": platform.node() or "localhost",
            "tests": str(len(cases)),
            "failures": str(counts[CaseOutcome.FAILED]),
            "errors": str(counts[CaseOutcome.ERROR]),
            "skipped": str(counts[CaseOutcome.SKIPPED]),
            "time": f"{seconds:.3f}",
        },
    )
    named = ET.SubElement(suite, "properties")
    for name, value in {"softphone": __version__, **(properties or {})}.items():
        ET.SubElement(named, "property", {"name": name, "value": _xml_text(value)})
    for case in cases:
        _add_case(suite, case, package)
    ET.SubElement(suite, "system-out").text = _xml_text(output)
    ET.SubElement(suite, "system-err")
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(suite: ET.Element, case: VerdictCase, package: str) -> None:
    group = case.group
    name = {"classname": f"{package}.{group}", "name": _xml_text(case.name), "time": "0"}
    made = ET.SubElement(suite, "testcase", name)
    text = _xml_text(case.text)
    match _TAGS.get(case.outcome):
        case None:
            return
        case "skipped":
            ET.SubElement(made, "skipped", {"message": text})
        case tag:
            ET.SubElement(made, tag, {"message": text, "type": group}).text = text


def run_properties(result: LoadResult) -> dict[str, str]:
    """The settings of a run, and how late our packets were, by stable names."""
    total = result.total
    values = {
        **plan_fields(result.plan),
        "tolerate_late": result.plan.tolerate_late,
        "late_percent_over_5_ms": round(total.late_percent, 4) if total.due else None,
        "late_percent_over_20_ms": round(total.too_late_percent, 4) if total.due else None,
        "packets_skipped": total.skipped,
    }
    return {name: _property_text(value) for name, value in values.items()}


def _property_text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def output_text(result: LoadResult) -> str:
    """The figures and the causes of failure, a line each."""
    lines = [f"{name}: {value}" for name, value in result_figures(result)]
    causes = sorted(failure_causes(result.total).items(), key=lambda item: -item[1])
    return "\n".join(lines + [f"failed, {count:,} times: {cause}" for cause, count in causes])


def _xml_text(text: str) -> str:
    """Text that XML 1.0 can hold; a cause may have a peer's octets."""
    return _NO_XML.sub("?", text)
