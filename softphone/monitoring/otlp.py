"""Sends spans and metrics to an OpenTelemetry collector: OTLP over HTTP, with `softphone[otel]`.

The collector is ours to verify: over https it passes the certificate gate like any server, and in
clear it has to be at a numeric loopback address.  Proxies, .netrc and OTEL_EXPORTER_… variables are
not read.  Whoever adds an item never waits, and never sees a failure.

OTLP 1 (github.com/open-telemetry/opentelemetry-proto), with protobuf bodies.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar
from urllib.parse import urlsplit

from softphone.backoff import ExponentialBackoff
from softphone.errors import (
    AuthenticationFailed,
    ConfigurationError,
    SoftphoneError,
    TransportError,
)
from softphone.extras import install_command
from softphone.net.http.client import (
    HttpsEnvironment,
    HttpsLimits,
    HttpsRequest,
    WebClient,
    bearer_authorization,
    web_target,
)
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

logger = logging.getLogger("softphone.monitoring.otlp")

Item = TypeVar("Item")

ANSWER_PATIENCE = 5.0
"""Seconds that the collector has for one request."""
LARGEST_ANSWER = 1 << 16
LAST_PATIENCE = 3.0
"""Seconds for what is left at the end."""
MOST_WAITING = 4096
"""Items that wait at most; what comes beyond that is dropped."""
BATCH = 64
"""Items of one request: encoding more at once would hold up the calls beside it."""
_BACKOFF = ExponentialBackoff(first=1.0, longest=30.0)
_TRY_AGAIN = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""The statuses after which OTLP has a client try again."""
_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.common")


@dataclass(frozen=True, slots=True)
class OtlpConfig:
    """Where a collector is: `url` without `/v1/…`, its authorities, and its bearer token, if any.

    Raises ConfigurationError for an address in clear that is not loopback's, for one with a query,
    and for a token that is none.
    """

    url: str
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))
    token: KeyMaterial | None = None

    def __post_init__(self) -> None:
        web_target(self.url)
        parts = urlsplit(self.url)
        if parts.query or parts.fragment:
            raise ConfigurationError("a collector's address has no query, and no fragment")
        if self.tls.service is not Service.HTTPS:
            raise ConfigurationError("the collector's TLS settings are those of HTTPS")
        self.headers()

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The header fields of each request."""
        given = [("Content-Type", "application/x-protobuf")]
        if self.token is not None:
            try:
                given.append(bearer_authorization(self.token))
            except AuthenticationFailed as error:
                raise ConfigurationError(f"the collector's token: {error}") from None
        return tuple(given)

    def url_of(self, path: str) -> str:
        """The address of one signal."""
        return f"{self.url.rstrip('/')}/{path}"


@dataclass(frozen=True, slots=True)
class OtlpSignal(Generic[Item]):
    """A kind of items: its path, its name in sentences, and its form on the wire.

    `encode` makes a request of items, `rejected` reads from an answer how many were not taken.
    """

    path: str
    what: str
    encode: Callable[[Sequence[Item]], bytes]
    rejected: Callable[[bytes], int]


def _encode_spans(spans: Sequence[Any]) -> bytes:
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    encoded: bytes = encode_spans(spans).SerializeToString()
    return encoded


def _rejected_spans(body: bytes) -> int:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    return int(ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans)


def _encode_metrics(items: Sequence[Any]) -> bytes:
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
    from opentelemetry.sdk.metrics.export import MetricsData

    whole = MetricsData([resource for each in items for resource in each.resource_metrics])
    encoded: bytes = encode_metrics(whole).SerializeToString()
    return encoded


def _rejected_points(body: bytes) -> int:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceResponse,
    )

    found = ExportMetricsServiceResponse.FromString(body).partial_success
    return int(found.rejected_data_points)


SPANS: OtlpSignal[Any] = OtlpSignal("v1/traces", "spans", _encode_spans, _rejected_spans)
"""Finished spans of the SDK."""
METRICS: OtlpSignal[Any] = OtlpSignal("v1/metrics", "metrics", _encode_metrics, _rejected_points)
"""`MetricsData` of the SDK."""


def require_otel() -> None:
    """Raise ConfigurationError unless what encodes OTLP is installed."""
    for name in _NEEDED:
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise ConfigurationError(
                f"spans and metrics need OpenTelemetry's SDK: {install_command('otel')}"
            )


class OtlpExporter(Generic[Item]):
    """An async context that sends what is added meanwhile, `every` so many seconds.

    Items that the collector cannot take now are sent again, after 1 to 30 s, as long as at most
    `MOST_WAITING` wait.  The first loss is logged, and the number of all at the end.  The end waits
    `LAST_PATIENCE` at most.
    """

    def __init__(
        self,
        config: OtlpConfig,
        signal: OtlpSignal[Item],
        *,
        every: float = 1.0,
        batch: int = BATCH,
        environment: HttpsEnvironment | None = None,
    ) -> None:
        self.taken = 0
        self.lost = 0
        self._signal = signal
        self._url, self._headers = config.url_of(signal.path), config.headers()
        self._every, self._batch = every, batch
        limits = HttpsLimits(LARGEST_ANSWER, ANSWER_PATIENCE)
        self._client = WebClient(config.tls, limits, environment)
        self._waiting: deque[Item] = deque()
        self._failures = 0
        self._leaving = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    def add(self, item: Item) -> None:
        """Queue an item; never waits."""
        if len(self._waiting) >= MOST_WAITING:
            self._lose(1, f"{MOST_WAITING:,} wait already")
            return
        self._waiting.append(item)

    async def __aenter__(self) -> Self:
        self._sending = asyncio.ensure_future(self._send_all())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._leaving.set()
        if self._sending is not None:
            await asyncio.wait({self._sending}, timeout=LAST_PATIENCE)
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        if self._waiting:
            self._lose(len(self._waiting), "we are leaving")
            self._waiting.clear()
        if self.lost:
            whole = self.lost + self.taken
            what = self._signal.what
            logger.warning("OpenTelemetry: %s of %s %s were not taken", self.lost, whole, what)

    async def _send_all(self) -> None:
        leaving = False
        while not leaving:
            pause = self._every
            if self._failures:
                pause = max(pause, _BACKOFF.delay(self._failures - 1))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._leaving.wait()
            leaving = self._leaving.is_set()
            while self._waiting and await self._send_some():
                pass

    async def _send_some(self) -> bool:
        """Send one batch; returns whether to go on at once."""
        count = min(self._batch, len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(count)]
        try:
            again, why = await self._send(batch)
        except asyncio.CancelledError:
            self._waiting.extendleft(reversed(batch))  # whoever cancels counts it
            raise
        except Exception as error:
            # Whatever it is, the run has precedence; the text may hold what a span says.
            again, why = False, f"they cannot be sent ({type(error).__name__})"
        if not why:
            self._failures = 0
            return True
        self._failures += 1
        if again and len(self._waiting) + count <= MOST_WAITING:
            self._waiting.extendleft(reversed(batch))
        else:
            self._lose(count, why)
        return False

    async def _send(self, batch: Sequence[Item]) -> tuple[bool, str]:
        """Send a batch; returns whether to try again, and why it was not taken, "" if it was."""
        content = await asyncio.to_thread(self._signal.encode, batch)
        request = HttpsRequest(self._url, "POST", self._headers, content)
        try:
            answer = await self._client.send_request(request)
        except TransportError as error:
            return True, str(error)
        except SoftphoneError as error:
            return False, str(error)
        if answer.status != HTTPStatus.OK:
            return answer.status in _TRY_AGAIN, f"the collector answers {answer.status}"
        rejected = self._signal.rejected(answer.body) if answer.body else 0
        if rejected > 0:
            self._lose(rejected, "the collector rejects some")
        self.taken += max(0, len(batch) - rejected)
        return False, ""

    def _lose(self, count: int, why: str) -> None:
        if not self.lost:
            what = self._signal.what
            logger.warning("OpenTelemetry: %s are dropped, and we go on: %s", what, why)
        self.lost += count


def span_provider(exporter: OtlpExporter[Any], resource: Mapping[str, str | int]) -> TracerProvider:
    """Make a provider of tracers whose finished spans go to `exporter`, all of them.

    The sampler and the resource are these, whatever OTEL_… variables say.
    """
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    class Queue(SpanProcessor):
        """Adds each finished span to the exporter."""

        def on_end(self, span: ReadableSpan) -> None:
            exporter.add(span)

    made = TracerProvider(ALWAYS_ON, Resource(dict(resource)), shutdown_on_exit=False)
    made.add_span_processor(Queue())
    return made
