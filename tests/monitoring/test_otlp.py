"""The exporter: in order, again after a failure, within bounds, and never in the way."""

from __future__ import annotations

import asyncio
import importlib
import json
import socket
import sys

import pytest

from softphone.backoff import ExponentialBackoff
from softphone.errors import ConfigurationError
from softphone.monitoring import OtlpConfig, OtlpExporter, otlp, require_otel
from softphone.monitoring.otlp import OtlpSignal
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings
from tests.support.certificates import foreign, server, settings, store
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.waiting import until

NUMBERS = OtlpSignal(
    "v1/numbers", "numbers", lambda items: json.dumps(list(items)).encode(), lambda body: len(body)
)
"""A signal that needs no extra: an answer of N octets rejects N numbers."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(otlp, "_BACKOFF", ExponentialBackoff(first=0.0, longest=0.0))


def exporter(url, **more):
    return OtlpExporter(OtlpConfig(url), NUMBERS, **({"every": 0.01} | more))


def numbers(receiver):
    return [each for body in receiver.bodies("/v1/numbers") for each in json.loads(body)]


async def test_items_arrive_in_order_and_what_is_left_at_the_end_too():
    with OtlpReceiver() as receiver:
        async with exporter(receiver.url + "/", batch=2, every=60.0) as sending:
            for number in range(5):
                sending.add(number)
        assert numbers(receiver) == [0, 1, 2, 3, 4]
        assert [json.loads(body) for _, _, body in receiver.requests] == [[0, 1], [2, 3], [4]]
    assert (sending.taken, sending.lost) == (5, 0)
    _, headers, _ = receiver.requests[0]
    assert headers["content-type"] == "application/x-protobuf"
    assert "authorization" not in headers


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_collector_that_is_busy_gets_them_again(status, caplog):
    with OtlpReceiver(statuses=[status]) as receiver:
        async with exporter(receiver.url) as sending:
            sending.add(1)
            await until(lambda: sending.taken)
    assert numbers(receiver) == [1, 1]
    assert sending.lost == 0
    assert caplog.records == []


async def test_what_is_refused_is_told_once_and_counted_at_the_end(caplog):
    with OtlpReceiver(statuses=[400, 404]) as receiver:
        async with exporter(receiver.url, batch=1) as sending:
            for number in range(3):
                sending.add(number)
            await until(lambda: sending.taken)
    assert (sending.taken, sending.lost) == (1, 2)
    assert [record.getMessage() for record in caplog.records] == [
        "OpenTelemetry: numbers are dropped, and we go on: the collector answers 400",
        "OpenTelemetry: 2 of 3 numbers were not taken",
    ]


async def test_what_a_collector_rejects_in_part_is_counted():
    with OtlpReceiver(answer=b"xx") as receiver:
        async with exporter(receiver.url) as sending:
            for number in range(5):
                sending.add(number)
    assert (sending.taken, sending.lost) == (3, 2)


async def test_items_that_cannot_be_encoded_are_lost_and_the_next_are_sent(caplog):
    with OtlpReceiver() as receiver:
        async with exporter(receiver.url, batch=1) as sending:
            sending.add({1, 2})
            sending.add(3)
            await until(lambda: sending.taken)
    assert numbers(receiver) == [3]
    assert "cannot be sent (TypeError)" in caplog.text


async def test_nobody_there_costs_what_waits_and_no_time(caplog):
    async with exporter("http://127.0.0.1:9") as sending:
        sending.add(1)
        await asyncio.sleep(0.05)
        sending.add(2)
    assert (sending.taken, sending.lost) == (0, 2)
    assert "we are leaving" in caplog.text
    assert "2 of 2 numbers were not taken" in caplog.text


async def test_a_collector_that_says_nothing_ends_with_our_patience(monkeypatch):
    monkeypatch.setattr(otlp, "LAST_PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and reads nothing
        async with exporter(f"http://127.0.0.1:{silent.getsockname()[1]}") as sending:
            sending.add(1)
            await asyncio.sleep(0.05)
        assert (sending.taken, sending.lost) == (0, 1)


async def test_what_waits_is_bounded(monkeypatch, caplog):
    monkeypatch.setattr(otlp, "MOST_WAITING", 3)
    with OtlpReceiver(statuses=[503]) as receiver:
        async with exporter(receiver.url, every=60.0) as sending:
            for number in range(5):
                sending.add(number)
        assert numbers(receiver) == [0, 1, 2]
    assert sending.lost == 5
    assert "3 wait already" in caplog.text


async def test_what_cannot_wait_again_is_lost(monkeypatch):
    """It came back from a busy collector, and others have taken its place."""
    monkeypatch.setattr(otlp, "MOST_WAITING", 2)
    with OtlpReceiver(statuses=[503]) as receiver:
        async with exporter(receiver.url) as sending:
            encode = sending._signal.encode

            def fill(items):
                sending._waiting.extend([8, 9])
                return encode(items)

            object.__setattr__(sending, "_signal", OtlpSignal("v1/n", "numbers", fill, len))
            sending.add(1)
            await until(lambda: sending.lost)
            object.__setattr__(sending, "_signal", NUMBERS)
    assert sending.lost == 1


async def test_the_collector_passes_the_gate_and_the_token_goes_to_it_alone(tmp_path, caplog):
    credential = server().write(tmp_path, "collector")
    trusted = settings(tmp_path, None, service=Service.HTTPS)
    token = KeyMaterial(b"abc.DEF")
    with OtlpReceiver(credential=credential) as receiver:
        config = OtlpConfig(receiver.url, trusted, token)
        async with OtlpExporter(config, NUMBERS) as sending:
            sending.add(1)
        assert sending.taken == 1
        assert receiver.requests[0][1]["authorization"] == "Bearer abc.DEF"
        stranger = TlsSettings(store=store(foreign()), service=Service.HTTPS)
        async with OtlpExporter(OtlpConfig(receiver.url, stranger, token), NUMBERS) as sending:
            sending.add(2)
        assert (sending.taken, sending.lost) == (0, 1)
        assert len(receiver.requests) == 1
    assert "abc.DEF" not in repr(config)
    assert "numbers are dropped" in caplog.text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "http://collector.example.test:4318"}, "numeric one of loopback"),
        ({"url": "http://192.0.2.1:4318"}, "numeric one of loopback"),
        ({"url": "ftp://127.0.0.1"}, "not an https: address"),
        ({"url": "https://user:word@collector.example.test"}, "password in it"),
        ({"url": "https://collector.example.test/?key=1"}, "no query"),
        ({"tls": TlsSettings()}, "HTTPS"),
        ({"token": KeyMaterial(b"two words")}, "token"),
    ],
)
def test_what_is_no_collector(given, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        OtlpConfig(**{"url": "https://collector.example.test", **given})
    assert "two words" not in str(caught.value)
    assert "key=1" not in str(caught.value)


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.exporter.otlp.proto.common"])
def test_without_the_extra_it_says_how_to_get_it(monkeypatch, missing):
    real = importlib.util.find_spec

    def find_spec(name):
        if name == missing:
            return None
        if name.startswith(missing):
            raise ModuleNotFoundError(name)
        return sys.modules[__name__].__spec__ or real("json")

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(ConfigurationError, match=r"softphone\[otel\]"):
        require_otel()


async def test_the_spans_of_the_sdk_are_added_when_they_end(monkeypatch):
    pytest.importorskip("opentelemetry.sdk.trace")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    added = []
    collecting = type("Collecting", (), {"add": lambda self, span: added.append(span)})()
    provider = otlp.span_provider(collecting, {"service.name": "x"})
    span = provider.get_tracer("t").start_span("call")
    assert added == []
    span.end()
    assert [each.name for each in added] == ["call"]
    assert dict(added[0].resource.attributes) == {"service.name": "x"}


async def test_real_spans_and_metrics_are_encoded_and_rejections_read():
    pytest.importorskip("opentelemetry.exporter.otlp.proto.common")
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    answer = trace_service_pb2.ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 1
    with OtlpReceiver(answer=answer.SerializeToString()) as receiver:
        async with OtlpExporter(OtlpConfig(receiver.url), otlp.SPANS) as sending:
            tracer = otlp.span_provider(sending, {"service.name": "x"}).get_tracer("t")
            for name in ("one", "two"):
                tracer.start_span(name).end()
    assert [(found["service.name"], span.name) for found, span in receiver.spans()] == [
        ("x", "one"),
        ("x", "two"),
    ]
    assert (sending.taken, sending.lost) == (1, 1)
    answer = metrics_service_pb2.ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = 7
    assert otlp.METRICS.rejected(answer.SerializeToString()) == 7
