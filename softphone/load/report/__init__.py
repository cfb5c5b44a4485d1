"""Reports of a load run: an HTML page, files for CI, metrics for Prometheus and OpenTelemetry.

Presents results and judges none: the figures come from `softphone.load.result` and
`softphone.load.measure`, the outcome of a search from `softphone.load.capacity`, that of cases from
`softphone.load.conformance`.  The live screen is in `softphone.cli.load`.

No standard but the formats: JUnit XML, GitHub's workflow commands, GitLab's code quality, CSV, and
Prometheus' text format 0.0.4, served over HTTP by asyncio, on loopback by default, and OTLP over
HTTP.  The HTML page
is self-contained, with inline SVG: it has no script and loads nothing.
"""

from __future__ import annotations

from softphone.load.report.annotations import (
    GITLAB_FILE,
    github_commands,
    gitlab_document,
    markdown_summary,
)
from softphone.load.report.comparison_page import write_comparison
from softphone.load.report.conformance_page import write_conformance
from softphone.load.report.html import write_no_result, write_report
from softphone.load.report.junit import junit_document, output_text, run_properties
from softphone.load.report.otel import OtelMetrics
from softphone.load.report.prometheus import PrometheusPage
from softphone.load.report.series import SeriesFile
from softphone.load.report.verdict_cases import (
    CaseOutcome,
    VerdictCase,
    conformance_cases,
    no_result_cases,
    verdict_cases,
)

__all__ = [
    "GITLAB_FILE",
    "CaseOutcome",
    "OtelMetrics",
    "PrometheusPage",
    "SeriesFile",
    "VerdictCase",
    "conformance_cases",
    "github_commands",
    "gitlab_document",
    "junit_document",
    "markdown_summary",
    "no_result_cases",
    "output_text",
    "run_properties",
    "verdict_cases",
    "write_comparison",
    "write_conformance",
    "write_no_result",
    "write_report",
]
