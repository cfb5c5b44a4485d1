"""The page for Prometheus: its format, and what a rude client gets."""

from __future__ import annotations

import asyncio
import re

import pytest

from softphone.errors import ConfigurationError
from softphone.load.measure import FULL_HANDSHAKE, RunSecond, Tally
from softphone.load.report import PrometheusPage
from softphone.load.report.prometheus import exposition
from tests.support.waiting import PATIENCE

LINE = re.compile(
    r"# TYPE [a-z_]+ (counter|gauge|histogram)|# HELP [a-z_]+ [^\\\n]+\.|"
    r'[a-z_]+(\{[a-z]+="([^"\\\n]|\\.)*"\})? -?[0-9.e+-]+'
)


def second():
    tally = Tally(attempted=10, answered=9, sent=500, lost=-1, skipped=1)
    tally.count_lateness(8.0, 3)
    tally.count_lateness(90.0, 2)
    tally.failed['say "486"\\\n'] += 1
    tally.setup_ms.record_value(12.0)
    made = RunSecond(1.0, up=9, tally=tally, cpu=0.25)
    made.mos_now.record_value(4.3)
    return made


async def ask(port, data=b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    await writer.drain()
    try:
        return await reader.read()
    finally:
        writer.close()


def test_every_line_is_in_the_format():
    text = exposition(second(), second())
    assert text.endswith("\n")
    for line in text.splitlines():
        assert LINE.fullmatch(line), line
    assert "softphone_load_calls_up 9\n" in text
    assert r'calls_failed_total{cause="say \"486\"\\\n"} 1' in text


def test_distributions_are_histograms_in_base_units():
    text = exposition(second(), second())
    for line in (
        'setup_seconds_bucket{le="0.01"} 0',
        'setup_seconds_bucket{le="0.025"} 1',
        'setup_seconds_bucket{le="+Inf"} 1',
        "setup_seconds_sum 0.012",
        "setup_seconds_count 1",
        'lateness_seconds_bucket{le="0.005"} 0',
        'lateness_seconds_bucket{le="0.01"} 3',
        'lateness_seconds_bucket{le="0.1"} 5',
        "lateness_seconds_sum 0.204",
        'mos_bucket{le="4.2"} 0',
        'mos_bucket{le="4.3"} 1',
        "mos_sum 4.3",
    ):
        assert f"\nsoftphone_load_{line}\n" in text
    assert "quantile" not in text


def test_what_is_observed_once_a_second_is_counted_over_the_run():
    page = PrometheusPage(0)
    for _ in range(3):
        page.add_second(second())
    assert "\nsoftphone_load_mos_count 3\n" in page._page().body
    assert "\nsoftphone_load_calls_up 9\n" in page._page().body


async def test_it_serves_the_sum_of_what_it_was_given():
    async with PrometheusPage(0) as page:
        page.add_second(second())
        page.add_second(second())
        answer = (await ask(page.port)).decode()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK")
    assert f"Content-Length: {len(body.encode())}" in head
    assert "softphone_load_calls_attempted_total 20\n" in body
    assert "softphone_load_packets_lost -2\n" in body
    assert "softphone_load_packets_late_total 10\n" in body
    assert "softphone_load_packets_too_late_total 4\n" in body
    assert "softphone_load_packets_skipped_total 2\n" in body


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"POST / HTTP/1.1\r\n\r\n", b"HTTP/1.1 405"),
        (b"GET /" + b"x" * 20_000, b""),
        (b"\r\n\r\n", b"HTTP/1.1 405"),
    ],
)
async def test_a_rude_client_gets_little(data, answer):
    async with PrometheusPage(0) as page:
        try:
            assert (await ask(page.port, data)).startswith(answer)
        except ConnectionError:
            assert answer == b""
        assert (await ask(page.port)).startswith(b"HTTP/1.1 200")


async def test_closing_lets_go_of_a_client_that_says_nothing():
    async with PrometheusPage(0) as page:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()


async def test_a_taken_port_is_said_to_be():
    async with PrometheusPage(0) as page:
        with pytest.raises(ConfigurationError, match=str(page.port)):
            await PrometheusPage(page.port).__aenter__()
    with pytest.raises(ConfigurationError, match="80000"):
        await PrometheusPage(80000).__aenter__()


def test_what_a_run_without_calls_repeats_has_counters_by_name_and_histograms():
    made = RunSecond(1.0)
    made.tally.operations.begin(FULL_HANDSHAKE)
    made.tally.operations.succeed(FULL_HANDSHAKE, 0.012)
    made.tally.operations.fail(FULL_HANDSHAKE, "no connection")
    text = exposition(made, made)
    for line in (
        'operations_attempted_total{operation="full_handshake"} 1',
        'operations_succeeded_total{operation="full_handshake"} 1',
        'operations_failed_total{operation="full_handshake",cause="no connection"} 1',
        'full_handshake_seconds_bucket{le="0.025"} 1',
        "full_handshake_seconds_sum 0.012",
    ):
        assert f"softphone_load_{line}\n" in text
