"""`softphone load run --otel`: a real run, whose metrics and spans a collector gets."""

from __future__ import annotations

import pytest

from tests.support.otlp_receiver import OtlpReceiver, attributes

RUN = ("load", "run", "--target", "600", "--calls", "3", "--rate", "20", "--duration", "1")


@pytest.fixture
def run(cli, lab, worker_id):
    """`run("--otel", …)`: a small run as alice, with media ports of its own."""
    number = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 8
    first = 52000 + number % 9 * 200
    ports = f"{first}-{first + 199}"
    return lambda *given: cli(*RUN, "--account", lab["alice"], "--ports", ports, *given)


def value(metric):
    (point,) = getattr(metric, metric.WhichOneof("data")).data_points
    return getattr(point, point.WhichOneof("value"))


@pytest.mark.parametrize("workers", [1, 2])
def test_metrics_and_a_span_of_each_call_arrive(run, workers, tmp_path):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.common")
    token = tmp_path / "token"
    token.write_text("abc.DEF\n")
    with OtlpReceiver() as receiver:
        ended = run(
            *("--otel", receiver.url, "--otel-token", token, "--workers", str(workers), "--json")
        )
        calls = ended.summary["calls"]
        assert calls["answered"] == 3, ended.err
        assert all(
            headers["authorization"] == "Bearer abc.DEF" for _, headers, _ in receiver.requests
        )
        resource, metrics = receiver.metrics()
        assert resource["service.name"] == "softphone-load"
        assert resource["softphone_load.scenario"] == "echo"
        assert value(metrics["softphone_load.calls_attempted"]) == 3
        assert value(metrics["softphone_load.packets_sent"]) == ended.summary["packets"]["sent"]
        assert value(metrics["softphone_load.workers"]) == workers
        (setup,) = metrics["softphone_load.setup"].histogram.data_points
        assert (setup.count, sum(setup.bucket_counts)) == (3, 3)
        assert setup.max * 1e3 == pytest.approx(ended.summary["setup_ms"]["p99"], rel=0.01, abs=0.2)
        assert metrics["softphone_load.mos"].histogram.data_points[0].count >= 1
        assert metrics["softphone_load.lateness"].histogram.data_points[0].count >= 1
        spans = receiver.spans()
    assert {of["softphone_load.worker"] for of, _ in spans} == set(range(1, workers + 1))
    assert {of["softphone_load.run"] for of, _ in spans} == {resource["service.instance.id"]}
    assert [span.name for _, span in spans] == ["call"] * 3
    for _, span in spans:
        told = attributes(span)
        assert told["call.direction"] == "out"
        assert told["call.ended_by"] == "local"
        assert told["sip.call_id"]
        assert [event.name for event in span.events] == ["answered"]
        assert span.start_time_unix_nano < span.end_time_unix_nano
    assert "alice" not in str(spans)
    assert "not taken" not in ended.err


def test_a_collector_that_is_away_disturbs_nothing(run, caplog):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.common")
    ended = run("--otel", "http://127.0.0.1:9", "--json")
    assert ended.summary["calls"]["answered"] == 3
    assert ended.code in (0, 4)
    assert "OpenTelemetry: spans are dropped, and we go on" in caplog.text
    assert "3 of 3 spans were not taken" in caplog.text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--otel", "http://collector.example.test:4318"), "--otel: an http: address"),
        (("--otel", "https://collector.example.test", "--otel-ca", "none.pem"), "none.pem"),
        (("--otel", "https://collector.example.test", "--otel-token", "none"), "none"),
        (("--otel-ca", "ca.pem"), "--otel-ca: that goes with --otel URL"),
        (("--otel-token", "token"), "--otel-token: that goes with --otel URL"),
    ],
)
def test_what_is_no_collector_is_refused_before_anything_is_sent(run, monkeypatch, given, words):
    monkeypatch.setattr("softphone.cli.load.plan.require_otel", lambda: None)
    ended = run(*given)
    assert ended.code == 2
    assert words in ended.err


def test_without_the_extra_it_says_how_to_get_it(run, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ended = run("--otel", "http://127.0.0.1:9")
    assert ended.code == 2
    assert "softphone[otel]" in ended.err
