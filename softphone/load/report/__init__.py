"""Reports of a load run: an HTML page with plots, and a page of metrics for Prometheus.

It shows a result and judges none: figures come from `softphone.load.result` and
`softphone.load.measure`, the findings of a search from `softphone.load.capacity`.  The live screen
is in `softphone.cli.load`.

No standard but the text format 0.0.4 of Prometheus, served over HTTP by asyncio, on loopback by
default.  The HTML page holds everything in itself, with inline SVG: it has no script and loads
nothing.
"""

from __future__ import annotations

from softphone.load.report.html import write_report
from softphone.load.report.prometheus import PrometheusPage

__all__ = ["PrometheusPage", "write_report"]
