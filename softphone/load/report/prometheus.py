"""A metrics page for Prometheus (text format 0.0.4), served by asyncio; loopback by default.

Answers GET of any path and nothing else; closes the connection of a client that is slow or sends
too much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from softphone.errors import ConfigurationError
from softphone.load.measure.histogram import Histogram
from softphone.load.measure.tally import RunSecond, Tally

PATIENCE = 5.0
LONGEST_REQUEST = 8192
QUANTILES = (0.05, 0.5, 0.95, 0.99)


class PrometheusPage:
    """An async context that serves the page; call `add_second` with each second of the run."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._host = host
        self._port = port
        self._total = Tally()
        self._second = RunSecond(0.0)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        """Raises ConfigurationError when the port is taken."""
        try:
            self._server = await asyncio.start_server(
                self._serve, self._host, self._port, limit=LONGEST_REQUEST
            )
        except (OSError, OverflowError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise ConfigurationError(
                f"the Prometheus page cannot be served at {self._host}:{self._port}: {reason}"
            ) from error
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._open):
                writer.close()
            await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The port on which the page is served."""
        if self._server is None or not self._server.sockets:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    def add_second(self, second: RunSecond) -> None:
        """Add a second of the run to the page."""
        self._second = second
        self._total.merge(second.tally)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            async with asyncio.timeout(PATIENCE):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(request))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            self._open.discard(writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _answer(self, request: bytes) -> bytes:
        if not request.startswith(b"GET "):
            return b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nContent-Length: 0\r\n\r\n"
        body = exposition(self._second, self._total).encode()
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


def exposition(second: RunSecond, total: Tally) -> str:
    """Format the page: counters since the start, gauges of the last second."""
    lines: list[str] = []
    counters = {
        "calls_attempted": total.attempted,
        "calls_answered": total.answered,
        "registrations": total.registrations,
        "registrations_granted": total.registered,
        "packets_sent": total.sent,
        "packets_received": total.received,
        "packets_late": total.late,
        "cpu_seconds": total.cpu_seconds,
        "call_seconds": total.call_seconds,
    }
    for name, value in counters.items():
        _put(lines, f"{name}_total", "counter", {"": value})
    for name, found in (
        ("calls_failed", total.failed),
        ("calls_dropped", total.dropped),
        ("registrations_refused", total.registrations_failed),
    ):
        labeled = {f'{{cause="{_escaped(cause)}"}}': count for cause, count in found.items()}
        _put(lines, f"{name}_total", "counter", labeled)
    # A gauge: packets that arrive late reduce the loss, and a counter must never fall.
    gauges = {"packets_lost": total.lost, "calls_up": second.up, "cpu_share": second.cpu}
    for name, value in gauges.items():
        _put(lines, name, "gauge", {"": value})
    for name, histogram in (
        ("setup_milliseconds", total.setup_ms),
        ("lateness_milliseconds", total.lateness_ms),
        ("mos", second.mos_now),
        ("jitter_milliseconds", second.jitter_now_ms),
    ):
        _put(lines, name, "gauge", _ranks(histogram))
    return "\n".join(lines) + "\n"


def _put(lines: list[str], name: str, kind: str, values: Mapping[str, float]) -> None:
    lines.append(f"# TYPE softphone_load_{name} {kind}")
    lines += [f"softphone_load_{name}{labels} {value:.10g}" for labels, value in values.items()]


def _ranks(histogram: Histogram) -> dict[str, float]:
    found = {}
    for share in QUANTILES:
        value = histogram.quantile(share)
        if value is not None:
            found[f'{{quantile="{share:g}"}}'] = value
    return found


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
