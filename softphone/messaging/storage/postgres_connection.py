"""Connections to PostgreSQL: verified TLS of ours, asyncpg on a private socket behind it.

asyncpg never makes TLS.  The gate has judged certificate, name and revocation before the first
octet of a startup message; each connection of a pool has its own.  A request to cancel a query
would need one more connection, and the socket is gone by then: the connection is dropped instead.
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
    """Reaches databases by `tls`, without its pin, which is another server's.

    Nobody is asked about an unknown certificate, for a message waits meanwhile.  Without `tls`
    no authority is believed, and so no server elsewhere.
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
        """An `asyncpg.Connection`; `options` are those of `asyncpg.connect`.

        Several hosts are tried one after the other; one that is reached and not believed ends
        it.  Raises TransportError, CertificateError, ConfigurationError, and what asyncpg raises.
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
        """End what is left, once the pool is closed."""
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
            # It would look up the password of localhost, which is not this server's.
            "passfile": folder / "none",
        }
        try:
            connection = await asyncpg.connect(**(options | lent))
        except BaseException as exc:
            await relay.close()
            # What the server itself has said, a wrong password say, is not hidden by its going.
            lost = isinstance(exc, OSError | asyncpg.PostgresConnectionError)
            if lost and relay.failure is not None:
                raise relay.failure from exc
            raise
        keeper = asyncio.get_running_loop().create_task(_run_relay(relay))
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)
        return connection


def database_connector_of(tls: TlsSettings, environment: HttpsEnvironment) -> DatabaseConnector:
    """One that stands on what HTTPS stands on."""
    fetcher = environment.fetcher or RevocationFetcher(
        resolve=environment.resolve, wall=environment.wall
    )
    return DatabaseConnector(
        tls, ConnectorConfig(fetcher, environment.resolve, wall=environment.wall)
    )


def is_local_host(host: str) -> bool:
    """Whether what is said to it stays on this machine: a socket's folder, or loopback."""
    if host.startswith("/") or host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


async def _run_relay(relay: LocalRelay) -> None:
    """Until either side has gone."""
    try:
        await relay.wait_until_ended()
    finally:
        await relay.close()


def _places(hosts: str | Sequence[str], ports: Any) -> list[tuple[str, int]]:
    """Hosts and ports as SQLAlchemy hands them on: one of each, or as many of both."""
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
