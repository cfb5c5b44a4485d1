"""Observes running phones from outside: health, metrics, and spans of calls.

`HealthServer` answers an orchestrator or service manager, `MetricsServer` serves Prometheus' text
format 0.0.4, `CallTracer` makes an OpenTelemetry span of each call (`softphone[otel]`), and
`OtlpExporter` sends spans and metrics to a collector.  They only read what accounts and engines
count; they decide nothing.  No metric has a number, a name or a
Call-ID as its label.  A load run's figures are in `softphone.load.report`.

RFC 9110 and RFC 9112 (HTTP/1.1), as far as a GET needs them, RFC 6750 (bearer tokens).
"""

from __future__ import annotations

from softphone.monitoring.call_tracer import CallSpans, CallTracer
from softphone.monitoring.exposition import append_family, append_histogram, escape_label
from softphone.monitoring.health import HealthServer
from softphone.monitoring.metrics import MetricsServer, phone_exposition
from softphone.monitoring.otlp import OtlpConfig, OtlpExporter, require_otel, span_provider
from softphone.monitoring.page_server import Page, PageAccess, PageServer, parse_place

__all__ = [
    "CallSpans",
    "CallTracer",
    "HealthServer",
    "MetricsServer",
    "OtlpConfig",
    "OtlpExporter",
    "Page",
    "PageAccess",
    "PageServer",
    "append_family",
    "append_histogram",
    "escape_label",
    "parse_place",
    "phone_exposition",
    "require_otel",
    "span_provider",
]
