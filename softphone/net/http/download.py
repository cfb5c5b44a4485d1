"""Downloading one file over HTTP, in clear or behind the gate: bounded in size and in time.

GET on httpcore (RFC 9110, RFC 9112).  Every connection, TLS or not, is made by
`softphone.net.stream`, so that a server's certificate is judged before a byte is asked for.  No
redirect is followed, no proxy, cookie or credential is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

import httpcore

from softphone.errors import TransportError, TransportTimeout
from softphone.net.http.backend import HTTP_FAILURES, GatedNetwork
from softphone.net.http.revocation_fetcher import RevocationFetcher
from softphone.net.limits import TransportLimits
from softphone.net.stream import (
    CertificateGate,
    Dialer,
    HandshakeSlots,
    HostResolver,
    TlsClient,
    system_addresses,
)
from softphone.sans_io import PeerIdentity, Target
from softphone.trust import TlsSettings

__all__ = ["DownloadLimits", "DownloadResponse", "Downloader", "ResponseTooLarge"]


class ResponseTooLarge(TransportError):
    """The server sends more than is taken."""


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """`size` in bytes, `within` in seconds for a whole download."""

    size: int = 1 << 20
    within: float = 20.0


@dataclass(frozen=True, slots=True)
class DownloadResponse:
    """The status of an answer, its body when the status is 200, and who was behind TLS."""

    status: int
    body: bytes = field(default=b"", repr=False)
    identity: PeerIdentity | None = None


class Downloader:
    """Downloads files; with `tls` it can do so over HTTPS, by these settings and no others."""

    def __init__(
        self,
        *,
        tls: TlsSettings | None = None,
        resolve: HostResolver = system_addresses,
        limits: DownloadLimits | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._limits = limits or DownloadLimits()
        self._net = TransportLimits()
        slots = HandshakeSlots.within(self._net)
        gate = CertificateGate(
            limits=self._net,
            slots=slots,
            wall=wall,
            fetcher=RevocationFetcher(resolve=resolve, wall=wall),
        )
        client = TlsClient(gate, {} if tls is None else {"": tls})
        self._dialer = Dialer(limits=self._net, tls=client, resolve=resolve)

    async def download(self, target: Target, path: str) -> DownloadResponse:
        """The answer for `path`, over TCP or TLS as `target` says.

        Raises ResponseTooLarge, TransportTimeout, TransportError; CertificateError and its kin for
        a server that did not pass the gate; ConfigurationError for TLS without settings.
        """
        network = GatedNetwork(self._dialer, target, self._net)
        place = f"{target.host} port {target.port}"
        try:
            async with asyncio.timeout(self._limits.within):
                status, body = await self._get(network, target, path)
        except TimeoutError as exc:
            raise TransportTimeout(
                f"{place} did not send {path} within {self._limits.within:g} s"
            ) from exc
        except HTTP_FAILURES as exc:
            if network.failure is not None:
                raise network.failure from exc
            raise TransportError(f"{path} did not come from {place}: {exc or 'cut'}") from exc
        return DownloadResponse(status, body, network.identity)

    async def _get(self, network: GatedNetwork, target: Target, path: str) -> tuple[int, bytes]:
        host = f"[{target.host}]" if ":" in target.host else target.host
        # To httpcore every connection is in clear: what is under it is not its affair.
        url = f"http://{host}:{target.port}/{quote(path)}"
        headers = [(b"Accept", b"*/*"), (b"Connection", b"close")]
        data = bytearray()
        async with (
            httpcore.AsyncConnectionPool(network_backend=network, http2=False) as pool,
            pool.stream("GET", url, headers=headers) as response,
        ):
            if response.status == 200:
                async for chunk in response.aiter_stream():
                    data += chunk
                    if len(data) > self._limits.size:
                        raise ResponseTooLarge(
                            f"{path} is larger than {self._limits.size} bytes: it is not taken"
                        )
            return response.status, bytes(data)
