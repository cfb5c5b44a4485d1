"""Reports of a load run: an HTML page with plots, and a metrics page for Prometheus.

Presents results and judges none: the figures come from `softphone.load.result` and
`softphone.load.measure`, the outcome of a search from `softphone.load.capacity`.  The live screen
is in `softphone.cli.load`.

No standard but Prometheus' text format 0.0.4, served over HTTP by asyncio, on loopback by default.
The HTML page is self-contained, with inline SVG: it has no script and loads nothing.
"""

from __future__ import annotations

from softphone.load.report.html import write_report
from softphone.load.report.prometheus import PrometheusPage

__all__ = ["PrometheusPage", "write_report"]
