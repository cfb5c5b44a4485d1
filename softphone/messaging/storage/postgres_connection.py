"""Connections to PostgreSQL: we open and verify TLS, asyncpg speaks over a private local socket.

asyncpg itself never opens TLS.  The gate verifies certificate, name and revocation before the first
octet of the startup message; each connection of a pool is verified.  Cancelling a query would need
a second connection through a socket that is closed by then: the connection is dropped instead.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from softphone.errors import ConfigurationError, TransportError
from softphone.messaging.storage.ssl_request import SslRequest
from softphone.net.http import HttpsEnvironment, RevocationFetcher
from softphone.net.stream import ConnectionOwner, StreamConnection
from softphone.net.verified.connector import Connector, ConnectorConfig
from softphone.net.verified.local_relay import LocalRelay
from softphone.sans_io import Target, Transport
from softphone.trust import Service, TlsSettings

_PORT = 5432
_MAY_BE_CLEAR = (None, "", "disable", "allow", "prefer")
_LAST_WORDS = 1.0  # seconds


class DatabaseConnector:
    """Connects to databases with the settings `tls`, but without their pin (of another server).

    The user is never asked about an unknown certificate: a message is waiting.  Without `tls` there
    is no trust anchor, so no server on another machine is accepted.
    """

    def __init__(
        self, tls: TlsSettings | None = None, connector: ConnectorConfig | None = None
    ) -> None:
        settings = replace(
            tls or TlsSettings(),
            service=Service.POSTGRESQL,
            pin=None,
            unknown=None,
            maximum=None,
            protocols=("postgresql",),
        )
        self._connector = Connector(settings, connector or ConnectorConfig(RevocationFetcher()))
        self._keepers: set[asyncio.Task[None]] = set()

    async def connect(self, **options: Any) -> Any:
        """Return an `asyncpg.Connection`; `options` are those of `asyncpg.connect`.

        Several hosts are tried in order; a server that cannot be verified ends the attempt.  Raises
        TransportError, CertificateError, ConfigurationError, and what asyncpg raises.
        """
        import asyncpg

        asked = options.pop("ssl", None)
        if not options.get("host"):
            return await asyncpg.connect(**(options | {"ssl": False}))
        tls = (asked or os.environ.get("PGSSLMODE")) not in _MAY_BE_CLEAR
        places = _places(options.pop("host"), options.pop("port", None))
        failure: Exception | None = None
        for host, port in places:
            try:
                if host.startswith("/") or (is_local_host(host) and not tls):
                    here = {"host": host, "port": port, "ssl": False, "direct_tls": False}
                    return await asyncpg.connect(**(options | here))
                return await self._gated(asyncpg, host, port, options)
            except (
                OSError,
                TransportError,
                asyncpg.CannotConnectNowError,
                asyncpg.TargetServerAttributeNotMatched,
            ) as exc:
                failure = failure or exc
        raise failure or TransportError("the address names no database server")

    async def close(self) -> None:
        """End the relays that are left after the pool was closed; wait for them at most 1 s."""
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=_LAST_WORDS)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _gated(
        self, asyncpg: ModuleType, host: str, port: int, options: dict[str, Any]
    ) -> Any:
        target = Target(Transport.TLS, host, port)

        async def verified(owner: ConnectionOwner) -> StreamConnection:
            return await self._connector.open_connection(target, owner, lambda: SslRequest(host))

        relay = await LocalRelay(verified, f".s.PGSQL.{port}").__aenter__()
        folder = relay.path.parent
        lent = {
            "host": str(folder),
            "port": port,
            "ssl": False,
            "direct_tls": False,
            # asyncpg would look up a password for the local socket, not for this server.
            "passfile": folder / "none",
        }
        try:
            connection = await asyncpg.connect(**(options | lent))
        except BaseException as exc:
            await relay.close()
            # An error that the server itself reported, such as a wrong password, has precedence.
            lost = isinstance(exc, OSError | asyncpg.PostgresConnectionError)
            if lost and relay.failure is not None:
                raise relay.failure from exc
            raise
        keeper = asyncio.get_running_loop().create_task(_run_relay(relay))
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)
        return connection


def database_connector_of(tls: TlsSettings, environment: HttpsEnvironment) -> DatabaseConnector:
    """Return a connector with the resolver, clock and fetcher of an HTTPS environment."""
    fetcher = environment.fetcher or RevocationFetcher(
        resolve=environment.resolve, wall=environment.wall
    )
    return DatabaseConnector(
        tls, ConnectorConfig(fetcher, environment.resolve, wall=environment.wall)
    )


def is_local_host(host: str) -> bool:
    """Whether traffic to the host stays on this machine: a socket's folder, or loopback."""
    if host.startswith("/") or host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


async def _run_relay(relay: LocalRelay) -> None:
    """Wait until either side has closed the connection, then close the relay."""
    try:
        await relay.wait_until_ended()
    finally:
        await relay.close()


def _places(hosts: str | Sequence[str], ports: Any) -> list[tuple[str, int]]:
    """Return pairs of host and port; SQLAlchemy passes one of each, or lists of equal length."""
    hosts = [hosts] if isinstance(hosts, str) else list(hosts)
    if not isinstance(ports, list | tuple):
        ports = [ports] * len(hosts)
    usual = os.environ.get("PGPORT") or _PORT
    try:
        return [
            (host.strip("[]"), int(port or usual)) for host, port in zip(hosts, ports, strict=True)
        ]
    except ValueError as exc:
        raise ConfigurationError("the database's port (or PGPORT) is no number") from exc
