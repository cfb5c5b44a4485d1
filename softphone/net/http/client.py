"""Requests over HTTPS, and downloads; the server passes the gate before any byte of them is sent.

RFC 9110 and RFC 9112 on httpcore.  Each request has its own connection, bounded in size and time;
redirects, proxies and cookies are not used.  A request's content, passwords too, is sent over https
only, and only to the host of its URL.  A download sends no content.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol, TypeAlias
from urllib.parse import quote, urlsplit, urlunsplit

import httpcore

from softphone.errors import (
    AuthenticationFailed,
    ConfigurationError,
    TransportError,
    TransportTimeout,
)
from softphone.net.http.backend import HTTP_FAILURES, GatedNetwork
from softphone.net.http.revocation_fetcher import RevocationFetcher
from softphone.net.limits import TransportLimits
from softphone.net.stream import (
    AdmitTarget,
    CertificateGate,
    Dialer,
    Fetcher,
    HandshakeSlots,
    HostResolver,
    TlsClient,
    system_addresses,
)
from softphone.sans_io import PeerIdentity, Target, Transport
from softphone.security import KeyMaterial
from softphone.sip.auth import is_bearer_token
from softphone.trust import Service, TlsSettings

OnBodyChunk: TypeAlias = Callable[[bytes], None]
"""Takes a piece of a response body; an exception that it raises ends the request."""

AdmitServer: TypeAlias = Callable[[PeerIdentity], None]
"""Judges a server that has passed the gate; the SoftphoneError that it raises ends the request."""


_SET_COOKIE = b"set-cookie"
_MOST_COOKIES = 32


class ResponseTooLarge(TransportError):
    """The response is larger than the limit."""


@dataclass(frozen=True, slots=True)
class HttpsLimits:
    """`size` is the most octets of a response body, `within` the seconds for the exchange."""

    size: int = 1 << 20
    within: float = 20.0


@dataclass(frozen=True, slots=True)
class HttpsRequest:
    """One request; `content` yields the body in pieces, `length` octets in all.

    `admit`, if given, judges the server after the gate, before any byte of the request is sent.
    """

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    content: AsyncIterator[bytes] | bytes | None = field(default=None, repr=False)
    length: int | None = None
    admit: AdmitServer | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HttpsResponse:
    """A response: headers by lower-case name, body, and the identity of the server.

    `body` is empty if the pieces went to `on_chunk`.  `set_cookies` are the values of its
    Set-Cookie header fields, which cannot be joined (RFC 6265 section 3) and are not in `headers`.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    identity: PeerIdentity | None = None
    set_cookies: tuple[str, ...] = field(default=(), repr=False)


class HttpsTunnel(Protocol):
    """Carries requests to servers that cannot be reached from here, through one that can."""

    async def send_request(
        self, request: HttpsRequest, limits: HttpsLimits, on_chunk: OnBodyChunk | None = None
    ) -> HttpsResponse:
        """Send the request for an https: or http: URL; the identity is that of the tunnel's server.

        Raises what `HttpsClient.send_request` raises, and a SoftphoneError for a server that the
        tunnel does not reach.
        """


def basic_authorization(username: str, password: KeyMaterial) -> tuple[str, str]:
    """The header of Basic authentication (RFC 7617), in UTF-8."""
    pair = username.encode() + b":" + password.reveal()
    return "Authorization", f"Basic {base64.b64encode(pair).decode()}"


def bearer_authorization(token: KeyMaterial) -> tuple[str, str]:
    """The header of a bearer token (RFC 6750 section 2.1).

    Raises AuthenticationFailed for what is no such token, such as one with a line end.
    """
    text = token.reveal().decode("latin-1")
    if not is_bearer_token(text):
        raise AuthenticationFailed("what was given is not a bearer token", status=401)
    return "Authorization", f"Bearer {text}"


def https_target(url: str) -> Target:
    """The target of an https: URL.  Raises ConfigurationError for any other URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError as exc:
        raise ConfigurationError(f"{url!r} is no address: {exc}") from exc
    if parts.scheme != "https" or not parts.hostname or not url.isascii():
        raise ConfigurationError(f"{url!r} is not an https: address")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("an https: address with a password in it is not used")
    return Target(Transport.TLS, parts.hostname, port)


def web_target(url: str) -> Target:
    """Return the target of an https: URL, or of an http: one at a numeric loopback address.

    Raises ConfigurationError for any other URL; the text has neither its path nor its query.
    """
    parts = urlsplit(url)
    if parts.scheme != "http":
        return https_target(urlunsplit(parts._replace(path="", query="", fragment="")))
    try:
        if ipaddress.ip_address(parts.hostname or "").is_loopback:
            return Target(Transport.TCP, parts.hostname or "", parts.port or 80)
    except ValueError as exc:
        raise ConfigurationError(
            "an http: address has to be a numeric one of loopback, such as 127.0.0.1"
        ) from exc
    raise ConfigurationError(
        "an http: address has to be a numeric one of loopback, such as 127.0.0.1"
    )


@dataclass(frozen=True, slots=True)
class HttpsEnvironment:
    """The dependencies of a client; `fetcher` gets CRLs and OCSP answers, None makes one.

    With a `tunnel` every request goes through it, and the TLS settings of the client do not count.
    `admit`, if given, judges each server after the gate, before any byte of a request is sent;
    nothing is sent in clear then.
    """

    resolve: HostResolver = system_addresses
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    fetcher: Fetcher | None = None
    tunnel: HttpsTunnel | None = None
    admit: AdmitTarget | None = None


@dataclass(frozen=True, slots=True)
class FailureWords:
    """How the error texts of a failed exchange begin: timed out, cut off, too large."""

    late: str
    cut: str
    large: str


class HttpClient:
    """Makes one request for each connection; over TLS the server must pass the gate first."""

    def __init__(
        self,
        tls: TlsSettings | None = None,
        limits: HttpsLimits | None = None,
        environment: HttpsEnvironment | None = None,
    ) -> None:
        environment = environment or HttpsEnvironment()
        self._tunnel = environment.tunnel
        self._limits = limits or HttpsLimits()
        self._net = TransportLimits()
        self._admit = environment.admit
        gate = CertificateGate(
            limits=self._net,
            slots=HandshakeSlots.within(self._net),
            wall=environment.wall,
            fetcher=environment.fetcher
            or RevocationFetcher(resolve=environment.resolve, wall=environment.wall),
        )
        client = TlsClient(gate, {} if tls is None else {"": tls})
        self._dialer = Dialer(limits=self._net, tls=client, resolve=environment.resolve)

    async def _exchange(
        self,
        target: Target,
        request: HttpsRequest,
        words: FailureWords,
        *,
        read: Callable[[int], bool] = lambda status: True,
        on_chunk: OnBodyChunk | None = None,
    ) -> HttpsResponse:
        """Send one request for the path `request.url` to `target` and return the response.

        `read(status)` tells whether to read the body; `on_chunk` gets the pieces of a 200.
        Raises what `HttpsClient.send_request` and `Downloader.download` list.
        """
        admit = self._admission(target, request.admit)
        network = GatedNetwork(self._dialer.open_connection, self._net, target, admit)
        # httpcore sees every connection as one in clear; `GatedNetwork` decides about TLS.
        url = f"http://{_authority(target)}{request.url}"
        try:
            async with (
                asyncio.timeout(self._limits.within),
                httpcore.AsyncConnectionPool(network_backend=network, http2=False) as pool,
                pool.stream(
                    request.method, url, headers=_headers(request), content=request.content
                ) as response,
            ):
                takes = on_chunk if response.status == 200 else None
                body = await self._body(response, takes, words) if read(response.status) else b""
                return HttpsResponse(
                    response.status,
                    {
                        key.decode().lower(): text.decode("latin-1")
                        for key, text in response.headers
                        if key.lower() != _SET_COOKIE
                    },
                    body,
                    network.identity,
                    tuple(
                        text.decode("latin-1")
                        for key, text in response.headers
                        if key.lower() == _SET_COOKIE
                    )[:_MOST_COOKIES],
                )
        except TimeoutError as exc:
            raise TransportTimeout(f"{words.late} within {self._limits.within:g} s") from exc
        except HTTP_FAILURES as exc:
            if isinstance(exc, httpcore.LocalProtocolError):
                # It quotes what cannot be sent, which may be a credential.
                raise TransportError(f"{words.cut}: the request is no HTTP") from None
            raise network.failure or TransportError(f"{words.cut}: {exc or 'cut'}") from exc

    def _admission(self, target: Target, own: AdmitServer | None) -> AdmitServer | None:
        """Return what judges a verified server: the client's judgment, then that of the request."""
        general = self._admit
        if general is None:
            return own

        def admit(identity: PeerIdentity) -> None:
            general(target, identity)
            if own is not None:
                own(identity)

        return admit

    async def _body(
        self, response: httpcore.Response, on_chunk: OnBodyChunk | None, words: FailureWords
    ) -> bytes:
        size, data = 0, bytearray()
        async for chunk in response.aiter_stream():
            size += len(chunk)
            if size > self._limits.size:
                raise ResponseTooLarge(
                    f"{words.large} than {self._limits.size} bytes: it is not taken"
                )
            if on_chunk is None:
                data += chunk
            else:
                on_chunk(chunk)
        return bytes(data)


class HttpsClient(HttpClient):
    """Sends requests with one set of TLS settings.

    Raises ConfigurationError for settings of another service.
    """

    def __init__(
        self,
        tls: TlsSettings,
        limits: HttpsLimits | None = None,
        environment: HttpsEnvironment | None = None,
    ) -> None:
        if tls.service is not Service.HTTPS:
            raise ConfigurationError("the TLS settings are those of another service than HTTPS")
        super().__init__(tls, limits, environment)

    async def send_request(
        self, request: HttpsRequest, on_chunk: OnBodyChunk | None = None
    ) -> HttpsResponse:
        """Send one request and return the response; `on_chunk` gets the body of a 200 in pieces.

        Raises ResponseTooLarge, TransportTimeout, TransportError; CertificateError or CipherRefused
        for a server that did not pass the gate; ConfigurationError for a URL that is not https; and
        what `request.admit` raises.
        """
        target = self._target_of(request.url)
        if self._tunnel is not None:
            admitted = replace(request, admit=self._admission(target, request.admit))
            return await self._tunnel.send_request(admitted, self._limits, on_chunk)
        place = f"{target.host} port {target.port}"
        words = FailureWords(
            late=f"{place} did not answer {request.method}",
            cut=f"{request.method} at {place} came to nothing",
            large=f"{target.host} sends more",
        )
        within = replace(request, url=_path(request.url))
        return await self._exchange(target, within, words, on_chunk=on_chunk)

    @staticmethod
    def _target_of(url: str) -> Target:
        return https_target(url)

    async def identify_server(self, url: str) -> PeerIdentity:
        """Return the identity of the server of a URL; no byte of HTTP is sent.

        Raises what `send_request` raises for a server that cannot be reached or is refused.
        """
        target = https_target(url)
        if self._tunnel is not None:
            raise TransportError(f"{target.host} is behind a tunnel: its certificate is not seen")
        network = GatedNetwork(self._dialer.open_connection, self._net, target)
        try:
            async with asyncio.timeout(self._limits.within):
                stream = await network.connect_tcp(target.host, target.port)
        except TimeoutError as exc:
            raise TransportTimeout(f"{target.host} port {target.port} did not answer") from exc
        except httpcore.ConnectError as exc:
            raise network.failure or TransportError(str(exc)) from exc
        await stream.aclose()
        if network.identity is None:
            raise TransportError(f"{target.host} port {target.port} showed no certificate")
        return network.identity


class WebClient(HttpsClient):
    """An HTTPS client that also sends in clear, to a numeric loopback address."""

    @staticmethod
    def _target_of(url: str) -> Target:
        return web_target(url)


class Downloader(HttpClient):
    """Downloads files; `tls`, if given, holds the settings for all HTTPS downloads."""

    async def download(self, target: Target, path: str) -> HttpsResponse:
        """Fetch `path`, over TCP or TLS as `target` says; the body is read only for a 200.

        Raises ResponseTooLarge, TransportTimeout, TransportError; CertificateError or CipherRefused
        for a server that did not pass the gate; ConfigurationError for TLS without settings.
        """
        place = f"{target.host} port {target.port}"
        words = FailureWords(
            late=f"{place} did not send {path}",
            cut=f"{path} did not come from {place}",
            large=f"{path} is larger",
        )
        request = HttpsRequest(f"/{quote(path)}", headers=(("Accept", "*/*"),))
        if self._tunnel is not None:
            scheme = "https" if target.transport is Transport.TLS else "http"
            url = f"{scheme}://{_authority(target)}{request.url}"
            return await self._tunnel.send_request(replace(request, url=url), self._limits)
        return await self._exchange(target, request, words, read=lambda status: status == 200)


def _authority(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{host}:{target.port}"


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"


def _headers(request: HttpsRequest) -> list[tuple[str, str]]:
    headers = [*request.headers, ("Connection", "close")]
    if isinstance(request.content, bytes):
        headers.append(("Content-Length", str(len(request.content))))
    elif request.length is not None:
        headers.append(("Content-Length", str(request.length)))
    return headers
