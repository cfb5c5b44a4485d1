"""Sends the requests of a discovery, with failover, and with credentials as the rule allows.

Each server passes the certificate gate before a byte of HTTP is sent.  Before a request with
credentials, `credential_rule` judges the server of that very connection.  Redirects are not
followed.  A refused certificate or password ends the discovery: no other server is tried with the
same password, since a few wrong ones lock an account.  A refused token is renewed once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from softphone.discovery.config import DiscoveryConfig
from softphone.discovery.credential_gate import CredentialGate
from softphone.discovery.document import LARGEST
from softphone.discovery.records import ServiceTarget, is_host_name
from softphone.errors import DiscoveryError, DiscoveryRefused, TransportError
from softphone.net.http import (
    Downloader,
    HttpsClient,
    HttpsEnvironment,
    HttpsLimits,
    HttpsRequest,
    basic_authorization,
    bearer_authorization,
)
from softphone.net.http.client import HttpsResponse
from softphone.sans_io import PeerIdentity, Target, Transport

OnServerSkipped: TypeAlias = Callable[[ServiceTarget, str], None]
"""Called with each server that did not answer, and why, before the next one is asked."""


class NoServerAnswered(TransportError):
    """No server of a list could be reached."""

    _hint = "check the network, and that the servers of the records run"


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """A response, and the server that gave it."""

    target: ServiceTarget
    body: bytes = field(repr=False)
    identity: PeerIdentity | None = None


@dataclass(frozen=True, slots=True)
class FetchedDocument:
    """A file, its URL, whether its server was verified, and that certificate's fingerprint."""

    url: str
    body: bytes = field(repr=False)
    verified: bool
    fingerprint: str = ""


class ServerRequests:
    """Asks the servers of one discovery.

    Its methods raise DiscoveryError or a subclass, TransportError, CertificateError and
    CipherRefused.
    """

    def __init__(
        self,
        config: DiscoveryConfig,
        gate: CredentialGate,
        environment: HttpsEnvironment,
        on_skipped: OnServerSkipped,
    ) -> None:
        limits = HttpsLimits(LARGEST, config.timeout)
        self._config = config
        self._gate = gate
        self._client = HttpsClient(config.tls, limits, environment)
        self._strict = HttpsClient(replace(config.tls, unknown=None), limits, environment)
        self._downloader = Downloader(None, limits, environment)
        self._on_skipped = on_skipped

    async def ask(self, targets: Sequence[ServiceTarget], path: str) -> ServerAnswer:
        """Send a request without credentials to the first server that answers.

        Raises NoServerAnswered when none does.
        """

        def send(target: ServiceTarget) -> Awaitable[HttpsResponse]:
            return self._client.send_request(HttpsRequest(target.url(path)))

        return await self._first(targets, send, "it wants user and password for that")

    async def ask_as(self, user: str, targets: Sequence[ServiceTarget], path: str) -> ServerAnswer:
        """Send a request with the user's credentials to the first server that answers.

        Raises CredentialsWithheld for a server that may not have them, DiscoveryRefused, and what
        the source of tokens raises.
        """

        def send(target: ServiceTarget) -> Awaitable[HttpsResponse]:
            return self._send_as(user, target, path)

        shown = "user and password" if self._config.token is None else "the token"
        return await self._first(targets, send, f"it does not accept {shown}")

    async def identify(self, target: ServiceTarget) -> PeerIdentity:
        """Return the verified identity of a server; nothing is sent to it.

        A certificate that cannot be verified is refused without asking the user: for an edge server
        there is nothing to compare it with.
        """
        return await self._strict.identify_server(target.url("/"))

    async def fetch_file(self, uri: str) -> FetchedDocument | None:
        """Fetch a file of the cluster; None when its verified server has no such file.

        A file at an http: URL is fetched over HTTPS from the port that `file_ports` gives.  If
        there is none, or that raises TransportError, it is fetched in clear where `clear_files`
        allows it.
        Raises TransportError when the server cannot be reached or answers another status than 200,
        DiscoveryError for a URL that is not fetched.
        """
        target, path, secure = _place(uri)
        place = target if secure else self._secure_place(target)
        if place is not None:
            try:
                return await self._fetch(place, path)
            except TransportError:
                if secure or not self._config.clear_files:
                    raise
        elif not self._config.clear_files:
            raise DiscoveryError(f"{uri} is in clear: it is not fetched")
        return await self._fetch_in_clear(target, path)

    def _secure_place(self, target: ServiceTarget) -> ServiceTarget | None:
        port = self._config.file_ports.get(target.port)
        return None if port is None else ServiceTarget(target.host, port)

    async def _fetch(self, target: ServiceTarget, path: str) -> FetchedDocument | None:
        url = target.url(path)
        answer = await self._client.send_request(HttpsRequest(url))
        if answer.status in (404, 410):
            return None
        if answer.status != 200:
            raise TransportError(f"{target} answered {answer.status} for {path}")
        digest = "" if answer.identity is None else answer.identity.fingerprint
        return FetchedDocument(url, answer.body, True, digest)

    async def _fetch_in_clear(self, target: ServiceTarget, path: str) -> FetchedDocument:
        place = Target(Transport.TCP, target.host, target.port)
        answer = await self._downloader.download(place, unquote(path.lstrip("/")))
        if answer.status != 200:
            raise TransportError(f"{target} answered {answer.status} for {path}")
        return FetchedDocument(f"http://{target}{path}", answer.body, False)

    async def _first(
        self,
        targets: Sequence[ServiceTarget],
        send: Callable[[ServiceTarget], Awaitable[HttpsResponse]],
        refused: str,
    ) -> ServerAnswer:
        """Send to the servers in turn until one answers; a 503 is taken as no answer.

        `refused` says what 401 means.
        """
        failures: list[str] = []
        for target in targets:
            try:
                response = await send(target)
                if response.status != 503:
                    _check_status(target, response, refused)
                    return ServerAnswer(target, response.body, response.identity)
                failure = f"{target} is busy (503)"
            except TransportError as error:
                failure = str(error)
            failures.append(failure)
            self._on_skipped(target, failure)
        raise NoServerAnswered("; ".join(dict.fromkeys(failures)) or "there is no server to ask")

    async def _send_as(self, user: str, target: ServiceTarget, path: str) -> HttpsResponse:
        response = await self._send_with(await self._credential(user, target), target, path)
        if response.status == 401 and self._config.token is not None:
            renewed = bearer_authorization(await self._config.token(True))
            response = await self._send_with(renewed, target, path)
        return response

    async def _credential(self, user: str, target: ServiceTarget) -> tuple[str, str]:
        """Return the header field with token or password.  Raises DiscoveryRefused without both."""
        password, token = self._config.password, self._config.token
        if token is not None:
            return bearer_authorization(await token(False))
        if password is None:
            raise DiscoveryRefused(f"{target} wants a password, and none was given")
        return basic_authorization(user, password)

    async def _send_with(
        self, credential: tuple[str, str], target: ServiceTarget, path: str
    ) -> HttpsResponse:
        def admit(identity: PeerIdentity) -> None:
            self._gate.admit(target, identity)

        request = HttpsRequest(target.url(path), headers=(credential,), admit=admit)
        return await self._gate.run(lambda: self._client.send_request(request))


def _check_status(target: ServiceTarget, response: HttpsResponse, refused: str) -> None:
    if response.status == 401:
        raise DiscoveryRefused(f"{target} answered 401: {refused}")
    if response.status == 403:
        raise DiscoveryRefused(
            f"{target} answered 403: it is not the user's home cluster, or this is another user"
        )
    if response.status == 404:
        raise DiscoveryRefused(f"{target} answered 404: it knows no such user")
    if response.status != 200:
        raise DiscoveryError(f"{target} answered {response.status}")


def _place(uri: str) -> tuple[ServiceTarget, str, bool]:
    """Return server and path of a file's URL, and whether it is https.  Raises DiscoveryError."""
    try:
        parts = urlsplit(uri)
        host, scheme = (parts.hostname or "").rstrip("."), parts.scheme
        port = parts.port or {"https": 443}.get(scheme, 80)
    except ValueError:
        host, scheme, port, parts = "", "", 0, urlsplit("")
    plain = uri.isascii() and uri.isprintable() and " " not in uri
    if not plain or scheme not in ("http", "https") or not is_host_name(host) or parts.username:
        raise DiscoveryError(f"{uri[:200]!r} is no address of a file: expected the server's name")
    return ServiceTarget(host, port), parts.path or "/", scheme == "https"
