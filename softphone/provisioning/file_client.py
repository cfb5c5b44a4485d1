"""Clients that fetch a device's files by TFTP, HTTP or HTTPS, and failover between servers.

A `FileClient` fetches one file by its name.  A file is trusted for its signature, not for the
server it comes from.  CUCM's ports: TFTP 69, HTTP 6970, HTTPS 6972.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from softphone.errors import (
    CertificateError,
    ConfigurationError,
    TransportError,
    TransportTimeout,
)
from softphone.net import Driver, DriverConfig
from softphone.provisioning.fetch_error import (
    DownloadRefused,
    FetchError,
    FileMissing,
    FileTooLarge,
)
from softphone.provisioning.listed_tls_settings import HttpsTrust
from softphone.provisioning.tftp import TftpDownload, TftpEvent, TftpFailed, TftpTimes
from softphone.sans_io import Target, Transport

if TYPE_CHECKING:
    from softphone.net.http import HttpsEnvironment

logger = logging.getLogger("softphone.provisioning")

LARGEST_FILE = 1 << 20
"""Largest file in bytes; phones accept lists up to 64 KiB, and configurations are smaller."""

PORTS = {"tftp": 69, "http": 6970, "https": 6972}

_PLACE = re.compile(
    r"(?:(?P<scheme>[a-z]+)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?/?"
)


@dataclass(frozen=True, slots=True)
class FileServerAddress:
    """The address of a file server: scheme ("tftp", "http" or "https"), host and port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_file_servers(text: str) -> tuple[FileServerAddress, ...]:
    """Parse "SCHEME://HOST[:PORT]", or "HOST", which means HTTP first and then TFTP.

    Raises ConfigurationError, also for a port without a scheme.
    """
    match = _PLACE.fullmatch(text)
    scheme = match["scheme"] if match else None
    known = match is not None and (scheme is None or scheme in PORTS)
    port = int(match["port"] or 1) if match else 0
    if match is None or not known or not 0 < port <= 65535:
        raise ConfigurationError(
            f"server {text}: expected HOST, tftp://HOST[:PORT], http://HOST[:PORT] or"
            " https://HOST[:PORT]"
        )
    host = match["host"].strip("[]")
    if scheme is not None:
        return (FileServerAddress(scheme, host, int(match["port"] or PORTS[scheme])),)
    if match["port"]:
        raise ConfigurationError(f"server {text}: a port needs its protocol, as in http://{text}")
    return tuple(FileServerAddress(each, host, PORTS[each]) for each in ("http", "tftp"))


class FileClient(Protocol):
    """A client of one file server."""

    @property
    def address(self) -> str:
        """The server's URL, for messages."""

    async def fetch_file(self, name: str) -> bytes:
        """Fetch a file by its name.

        Raises FileMissing, FileTooLarge, DownloadRefused; TransportError when the server cannot be
        reached; CertificateError or a subclass.
        """


@dataclass(frozen=True, slots=True)
class TftpFiles:
    """A client of a TFTP server; `limit` is the largest file in bytes."""

    host: str
    port: int = PORTS["tftp"]
    times: TftpTimes = field(default_factory=TftpTimes)
    driver: DriverConfig = field(default_factory=DriverConfig)
    limit: int = LARGEST_FILE
    within: float = 60.0
    """Seconds for a whole file, so that slow blocks cannot add up without bound."""

    @property
    def address(self) -> str:
        """The server's URL, for messages."""
        return str(FileServerAddress("tftp", self.host, self.port))

    async def fetch_file(self, name: str) -> bytes:
        """See `FileClient`.  Each file uses a new socket, and so a transfer ID of its own."""
        target = Target(Transport.UDP, self.host, self.port)
        machine = TftpDownload(name, target, limit=self.limit, times=self.times)
        ended: asyncio.Future[TftpEvent] = asyncio.get_running_loop().create_future()
        running: Driver[TftpEvent] = Driver(machine, on_event=ended.set_result, config=self.driver)
        async with running as driver:
            with driver.change() as now:
                machine.start(now=now)
            waiting: set[asyncio.Future[Any]] = {ended, driver.closed}
            await asyncio.wait(waiting, timeout=self.within, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                if driver.closed.done():
                    driver.closed.result()
                raise TransportTimeout(
                    f"{self.address} did not send {name} within {self.within:g} s"
                )
            event = ended.result()
        if isinstance(event, TftpFailed):
            raise event.error
        return event.data


@dataclass(frozen=True, slots=True)
class HttpFiles:
    """A client of an HTTP server, or with `trust`, which verifies it, of an HTTPS server.

    `limit` is the largest file in bytes, `within` the time for one in seconds; `environment` are
    the dependencies of the HTTP client, by default its own: it may have a tunnel to the server.
    """

    host: str
    port: int = PORTS["http"]
    trust: HttpsTrust | None = None
    limit: int = LARGEST_FILE
    within: float = 20.0
    environment: HttpsEnvironment | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """The server's URL, for messages."""
        scheme = "http" if self.trust is None else "https"
        return str(FileServerAddress(scheme, self.host, self.port))

    async def fetch_file(self, name: str) -> bytes:
        """See `FileClient`.  Imports the HTTP client on first use.

        A status of 500 or more is a TransportError, so that another node is asked.
        """
        from softphone.net.http import Downloader, HttpsLimits, ResponseTooLarge

        transport = Transport.TCP if self.trust is None else Transport.TLS
        tls = None if self.trust is None else self.trust.settings
        limits = HttpsLimits(self.limit, self.within)
        downloader = Downloader(tls=tls, limits=limits, environment=self.environment)
        try:
            got = await downloader.download(Target(transport, self.host, self.port), name)
        except ResponseTooLarge as exc:
            raise FileTooLarge(str(exc)) from exc
        if got.status in (404, 410):
            raise FileMissing(f"{self.address} has no {name}")
        if 300 <= got.status < 400:
            raise DownloadRefused(
                f"{self.address} sends us elsewhere for {name}: nobody goes there"
            )
        if got.status >= 500:
            # A server that cannot serve counts as unreachable, so another node is asked.
            raise TransportError(
                f"{self.address} cannot serve {name} now: it answered {got.status}"
            )
        if got.status != 200:
            raise DownloadRefused(f"{self.address} answered {got.status} for {name}")
        return got.body


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A fetched file, not verified yet, and the URL of its server."""

    name: str
    data: bytes = field(repr=False)
    place: str


def file_client_for(
    place: FileServerAddress,
    web: HttpsTrust,
    *,
    driver: DriverConfig | None = None,
    environment: HttpsEnvironment | None = None,
) -> FileClient:
    """Make the client for a server address; `web` verifies HTTPS servers.

    `driver` and `environment` are the dependencies of TFTP and of HTTP, by default their own.
    """
    if place.scheme == "tftp":
        return TftpFiles(place.host, place.port, driver=driver or DriverConfig())
    trust = web if place.scheme == "https" else None
    return HttpFiles(place.host, place.port, trust, environment=environment)


class FailoverFileClient:
    """Tries several servers in order; moves one that cannot be reached to the end.

    The nodes of a cluster hold the same files, so when one has no such file no other is asked.
    """

    def __init__(self, servers: Sequence[FileClient]) -> None:
        """Raises ConfigurationError when there is none."""
        if not servers:
            raise ConfigurationError("there is no server to get files from")
        self._servers = list(servers)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The servers' URLs, in the current order."""
        return tuple(each.address for each in self._servers)

    async def fetch_file(self, name: str) -> FetchedFile:
        """Fetch the file from the first server that answers.

        Raises the FetchError of the first server that answers, TransportError, which names every
        server, when none does, and CertificateError at once, without failover to another server.
        """
        failures: list[TransportError] = []
        for server in tuple(self._servers):
            try:
                return FetchedFile(name, await server.fetch_file(name), server.address)
            except (FetchError, CertificateError):
                raise
            except TransportError as exc:
                logger.info("%s is left for the next server: %s", server.address, exc)
                failures.append(exc)
                self._servers.remove(server)
                self._servers.append(server)
        if len(failures) == 1:
            raise failures[0]
        kind = TransportTimeout if _all_timeouts(failures) else TransportError
        said = "; ".join(dict.fromkeys(map(str, failures)))
        raise kind(f"no file server answers: {said}") from failures[0]


def _all_timeouts(failures: Sequence[TransportError]) -> bool:
    return all(isinstance(each, TransportTimeout) for each in failures)
