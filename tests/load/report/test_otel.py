"""What is pushed to OpenTelemetry: the same figures, and names, as Prometheus' page has."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("opentelemetry.sdk.metrics.export")

from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum

from softphone.load.measure import FULL_HANDSHAKE, RunSecond, Tally
from softphone.load.plan import BaseSpec, LoadPlan, OtelSpec, UserSpec
from softphone.load.report import OtelMetrics, otel
from softphone.load.report.load_metrics import load_metrics
from softphone.load.report.otel import metrics_data
from softphone.load.report.prometheus import exposition

SPEC = OtelSpec("http://127.0.0.1:9", "abc")
PLAN = LoadPlan("folder/mine.py:calls", "600", BaseSpec(), (UserSpec("sip:a@h"),), otel=SPEC)


def second(at=1.0):
    tally = Tally(attempted=10, answered=9, lost=-1, cpu_seconds=0.5)
    tally.failed["486"] += 1
    tally.setup_ms.record_value(12.0)
    tally.setup_ms.record_value(30.0)
    tally.operations.begin(FULL_HANDSHAKE)
    tally.operations.fail(FULL_HANDSHAKE, "timeout")
    return RunSecond(at, up=9, tally=tally, cpu=0.25)


def pushed():
    (whole,) = metrics_data(second(), second(), {"service.name": "x"}, (5, 9)).resource_metrics
    (scope,) = whole.scope_metrics
    return whole.resource, {each.name: each for each in scope.metrics}


def test_sums_gauges_and_histograms_have_their_values():
    resource, found = pushed()
    assert dict(resource.attributes) == {"service.name": "x"}
    attempted = found["softphone_load.calls_attempted"].data
    assert isinstance(attempted, Sum)
    assert attempted.is_monotonic
    (point,) = attempted.data_points
    assert (point.value, point.start_time_unix_nano, point.time_unix_nano) == (10, 5, 9)
    up = found["softphone_load.calls_up"].data
    assert isinstance(up, Gauge)
    assert up.data_points[0].value == 9
    (failed,) = found["softphone_load.calls_failed"].data.data_points
    assert (dict(failed.attributes), failed.value) == ({"cause": "486"}, 1)
    setup = found["softphone_load.setup"]
    assert isinstance(setup.data, Histogram)
    assert (setup.unit, setup.description) == ("s", "From INVITE to answer.")
    (point,) = setup.data.data_points
    assert list(point.explicit_bounds)[:4] == [0.005, 0.01, 0.025, 0.05]
    assert list(point.bucket_counts)[:4] == [0, 0, 1, 1]
    assert sum(point.bucket_counts) == point.count == 2
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert point.sum == pytest.approx(0.042)
    assert (point.min, point.max) == pytest.approx((0.012, 0.03))


def test_what_has_no_value_is_absent():
    _, found = pushed()
    assert "softphone_load.calls_dropped" not in found
    assert "softphone_load.mos" not in found
    (failed,) = found["softphone_load.operations_failed"].data.data_points
    assert dict(failed.attributes) == {"operation": "full_handshake", "cause": "timeout"}


def test_names_agree_with_those_of_prometheus():
    """By Prometheus' own rule for OTLP, of the names and units that are pushed."""
    served = set(re.findall(r"# TYPE (\S+)", exposition(second(), second())))
    units = {"": "", "s": "_seconds"}
    for metric in load_metrics(second(), second()):
        name = metric.otel_name.replace(".", "_") + units[metric.unit]
        assert name + ("_total" if metric.kind == "counter" else "") == metric.prometheus_name
        assert metric.prometheus_name in served


def test_who_sends_is_told_and_nobody_is_named():
    run, worker = SPEC.resource(PLAN.scenario), SPEC.resource(PLAN.scenario, 1)
    assert run["service.name"] == worker["service.name"] == "softphone-load"
    assert run["softphone_load.scenario"] == "mine.py:calls"
    assert (run["service.instance.id"], worker["service.instance.id"]) == ("abc", "abc-2")
    assert run["softphone_load.run"] == worker["softphone_load.run"] == "abc"
    assert (run.get("softphone_load.worker"), worker["softphone_load.worker"]) == (None, 2)


async def test_it_exports_every_five_seconds_and_what_is_new_at_the_end(monkeypatch):
    monkeypatch.setattr(otel, "require_otel", lambda: None)
    metrics = OtelMetrics(SPEC, PLAN)
    added = []
    metrics._exporter = type(
        "Kept",
        (),
        {"add": lambda self, item: added.append(item), "__aenter__": nothing, "__aexit__": nothing},
    )()
    async with metrics:
        for at in range(1, 7):
            metrics.add_second(second(float(at)))
        assert len(added) == 1
        for at in range(1, 5):  # the next run of a search
            metrics.add_second(second(float(at)))
        assert len(added) == 1
    assert len(added) == 2
    (attempted,) = (
        each
        for each in added[1].resource_metrics[0].scope_metrics[0].metrics
        if each.name == "softphone_load.calls_attempted"
    )
    assert attempted.data.data_points[0].value == 100


async def nothing(*given):
    pass
