"""Posts the events of calls to an application, signed as Standard Webhooks specifies.

The signature is HMAC-SHA256 (RFC 2104, FIPS 180-4) of the event's id, the time of sending and the
body.  A call never waits for it: events queue up, within a bound, and one task sends them in order.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self
from urllib.parse import urlsplit

from softphone.agents.reports import AgentReport
from softphone.agents.web_address import WEBHOOK, check_address, place
from softphone.backoff import ExponentialBackoff
from softphone.errors import ConfigurationError, SoftphoneError, TransportError
from softphone.net.http import HttpsEnvironment, HttpsLimits, HttpsRequest, WebClient
from softphone.sans_io import Entropy
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings

logger = logging.getLogger("softphone.agents")

MOST_WAITING = 1000
"""The most events that wait to be sent; beyond that the newest are dropped."""
MOST_ATTEMPTS = 5
"""The most times that one event is sent."""
ANSWER_PATIENCE = 5.0
"""Seconds that one attempt may take."""
LARGEST_ANSWER = 1 << 16
"""The most octets of an answer; its body is ignored."""
LAST_PATIENCE = 5.0
"""Seconds to send the events that are left at the end."""
LEAST_SECRET = 24
"""The fewest octets of a secret."""

_BACKOFF: Final = ExponentialBackoff(first=1.0, longest=30.0)
_PREFIX: Final = "whsec_"
_AGAIN: Final = (408, 425, 429)
"""The statuses below 500 with which an event is sent again."""


@dataclass(frozen=True, kw_only=True)
class WebhookConfig:
    """The webhook to which events are posted.

    `url` is https:, or http: at a numeric loopback address.  `secret` is the key of the signature,
    of 24 octets or more.  Raises ConfigurationError.
    """

    url: str = field(repr=False)  # its path and query may be secret
    secret: KeyMaterial
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))

    def __post_init__(self) -> None:
        check_address(self.url, WEBHOOK)
        if self.tls.service is not Service.HTTPS:
            raise ConfigurationError("the webhook's TLS settings are those of HTTPS")
        if len(self.secret) < LEAST_SECRET:
            raise ConfigurationError(f"the webhook's secret has less than {LEAST_SECRET} octets")


def parse_webhook_secret(text: str) -> KeyMaterial:
    """Parse a secret as Standard Webhooks writes it: base64, with or without ``whsec_`` before it.

    Raises ConfigurationError, in words that hold nothing of it.
    """
    try:
        return KeyMaterial(base64.b64decode(text.strip().removeprefix(_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        raise ConfigurationError(
            "the webhook's secret is not base64: make one with `openssl rand -base64 32`"
        ) from None


def sign_event(secret: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of webhook-signature; `timestamp` is seconds since 1970."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode("ascii")


class WebhookSender:
    """An async context: reports that are offered meanwhile are posted, one after the other.

    An event that is not taken is sent again, after at most 1, 2, 4 and 8 s.  At the end the events
    that are left have 5 s.  `environment` is the network, `wall` the time in seconds since 1970.
    """

    def __init__(
        self,
        config: WebhookConfig,
        *,
        environment: HttpsEnvironment | None = None,
        backoff: ExponentialBackoff = _BACKOFF,
        wall: Callable[[], float] = time.time,
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        self._config = config
        limits = HttpsLimits(LARGEST_ANSWER, ANSWER_PATIENCE)
        self._client = WebClient(config.tls, limits, environment)
        self._backoff = backoff
        self._wall = wall
        self._entropy = entropy
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._sending: asyncio.Task[None] | None = None
        self.delivered_total = 0
        """How many events were taken by the application."""
        self.lost_total = 0
        """How many events were dropped or given up."""

    async def __aenter__(self) -> Self:
        self._sending = asyncio.ensure_future(self._send_all())
        self._sending.add_done_callback(_log_fault)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._sending is not None:
            idle = asyncio.ensure_future(self._idle.wait())
            ends: set[asyncio.Future[Any]] = {idle, self._sending}
            await asyncio.wait(ends, timeout=LAST_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            for each in (idle, self._sending):
                each.cancel()
            await asyncio.gather(idle, self._sending, return_exceptions=True)
        if self._waiting:
            self._lose(len(self._waiting), "we are leaving")
            self._waiting.clear()

    def offer(self, report: AgentReport) -> None:
        """Queue a report; never waits."""
        if len(self._waiting) >= MOST_WAITING:
            self._lose(1, f"{MOST_WAITING} wait already")
            return
        event = {
            "type": f"call.{report.kind.value}",
            "timestamp": datetime.fromtimestamp(self._wall(), UTC).isoformat(),
            "data": asdict(report),
        }
        self._waiting.append((f"msg_{self._entropy(16).hex()}", json.dumps(event).encode("ascii")))
        self._idle.clear()
        self._changed.set()

    async def _send_all(self) -> None:
        while True:
            while not self._waiting:
                self._idle.set()
                self._changed.clear()
                await self._changed.wait()
            # It stays in the queue while it is sent, so that `__aexit__` can count it as lost.
            failure = await self._send(*self._waiting[0])
            self._waiting.popleft()
            if failure:
                self._lose(1, failure)
            else:
                self.delivered_total += 1

    async def _send(self, event_id: str, body: bytes) -> str:
        """Post an event until it is taken; return why it was given up, or ""."""
        failure = ""
        for attempt in range(MOST_ATTEMPTS):
            if attempt:
                delay = self._backoff.jittered_delay(attempt - 1, entropy=self._entropy)
                await asyncio.sleep(delay)
            try:
                status = await self._post(event_id, body)
            except TransportError as error:
                failure = str(error)
                continue
            except SoftphoneError as error:
                # A certificate that is not trusted now will not be trusted in some seconds.
                return str(error)
            if 200 <= status < 300:
                return ""
            failure = f"{place(self._config.url)} answers {status}"
            if status < 500 and status not in _AGAIN:
                return failure
        return failure

    async def _post(self, event_id: str, body: bytes) -> int:
        url, now = self._config.url, int(self._wall())
        signature = sign_event(self._config.secret.reveal(), event_id, now, body)
        request = HttpsRequest(
            url,
            method="POST",
            headers=(
                ("Host", urlsplit(url).netloc),
                ("Content-Type", "application/json"),
                ("webhook-id", event_id),
                ("webhook-timestamp", str(now)),
                ("webhook-signature", signature),
            ),
            content=body,
        )
        return (await self._client.send_request(request)).status

    def _lose(self, count: int, reason: str) -> None:
        """Count events that the application will not get; log the first and every 100th."""
        before, self.lost_total = self.lost_total, self.lost_total + count
        if before == 0 or before // 100 != self.lost_total // 100:
            logger.warning(
                "an event was not delivered to the webhook, the %dth: %s", self.lost_total, reason
            )


def _log_fault(sending: asyncio.Task[None]) -> None:
    """Log an unexpected exception that has ended the sending; calls go on."""
    if not sending.cancelled() and (error := sending.exception()) is not None:
        logger.error("webhooks are sent no more", exc_info=error)
