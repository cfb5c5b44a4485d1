"""softphone.load.report."""

from __future__ import annotations

from softphone.load.report.html import write_report
from softphone.load.report.prometheus import PrometheusPage

__all__ = ["PrometheusPage", "write_report"]
