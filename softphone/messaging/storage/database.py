"""Opens a database by its address; over a network, only on a verified server.

SQLite, or PostgreSQL through asyncpg, whose connections `postgres_connection` makes.  The address
of a server on another machine must contain `ssl=verify-full`.  The gate verifies certificate path,
name and revocation anyway; the setting makes the same address as safe in another program.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from softphone.errors import ConfigurationError, SoftphoneError
from softphone.extras import install_command
from softphone.messaging.storage.postgres_connection import DatabaseConnector, is_local_host

_VERIFIED = "verify-full"
_DRIVER = "asyncpg"
_ELSEWHERE = ("dsn", "service", "servicefile", "direct_tls", "passfile")
"""asyncpg settings that would redirect a connection, or take passwords from another source."""


def require_sqlalchemy(what: str) -> Any:
    """Import SQLAlchemy, which `what` needs.  Raises ConfigurationError if it is not installed."""
    try:
        import sqlalchemy
        import sqlalchemy.ext.asyncio
    except ModuleNotFoundError as exc:
        raise ConfigurationError(f"{what} needs SQLAlchemy: {install_command('im')}") from exc
    return sqlalchemy


class Database:
    """The SQLAlchemy `url` and async `engine` of an address; errors name it by the setting `where`.

    `network` connects to a PostgreSQL server.  Raises ConfigurationError for an invalid address,
    and for one whose server would not be verified.
    """

    def __init__(
        self,
        sa: Any,
        address: str,
        where: str,
        network: DatabaseConnector | None = None,
        *,
        pool_pre_ping: bool = False,
    ) -> None:
        self._network: DatabaseConnector | None = None
        options: dict[str, Any] = {}
        try:
            self.url = sa.engine.make_url(address)
            check_address(self.url, where)
            if _is_postgresql(self.url):
                self._network = network or DatabaseConnector()
                options["connect_args"] = {"async_creator_fn": self._network.connect}
            self.engine = sa.ext.asyncio.create_async_engine(
                self.url, pool_pre_ping=pool_pre_ping, **options
            )
        except (sa.exc.ArgumentError, sa.exc.InvalidRequestError, ImportError) as exc:
            raise ConfigurationError(
                f"{where}: expected an address such as sqlite+aiosqlite:///messages.db or"
                f" postgresql+asyncpg://host/name: {type(exc).__name__}"
            ) from exc

    async def close(self) -> None:
        """Close the pool and all connections."""
        await self.engine.dispose()
        if self._network is not None:
            await self._network.close()


def database_cause(exc: BaseException) -> str:
    """Return why a database failed, without the driver's text, which may contain a password."""
    cause: BaseException = getattr(exc, "orig", None) or exc
    # SQLAlchemy wraps exceptions of asyncpg in one more exception, a plain Error.
    origin = cause.__cause__ or cause if cause is not exc else exc
    return str(origin) if isinstance(origin, SoftphoneError) else type(origin).__name__


def check_address(url: Any, where: str) -> None:
    """Raise ConfigurationError if `url` (`sqlalchemy.engine.URL`) leads to an unverified server.

    Only PostgreSQL servers on other machines are verified; `where` is the setting that has the
    address.  An SQLite file is named by its path, since it is made for its owner only beforehand.
    """
    if url.get_backend_name() == "sqlite" and (url.database or "").lower().startswith("file:"):
        raise ConfigurationError(f"{where}: name the SQLite file by its path, not by file:")
    if url.get_backend_name() != "postgresql":
        return
    hosts = list(_hosts(url))
    usual = os.environ.get("PGHOST", "")
    if not hosts and not all(map(is_local_host, _each(usual))):
        raise ConfigurationError(
            f"{where}: PGHOST names another machine: write the database's host in its address"
        )
    if not hosts and url.query.get("ssl") == _VERIFIED:
        raise ConfigurationError(f"{where}: ssl={_VERIFIED} needs a host in the address")
    odd = [name for name in _ELSEWHERE if name in url.query]
    if odd and _is_postgresql(url):
        raise ConfigurationError(
            f"{where}: {odd[0]} is not taken: write host, user and password in the address"
        )
    if all(map(is_local_host, hosts)):
        return
    if url.query.get("ssl") != _VERIFIED:
        raise ConfigurationError(
            f"{where}: the database is on another machine, and nobody would verify it: add"
            f" ?ssl={_VERIFIED} to its address"
        )
    if not _is_postgresql(url):
        raise ConfigurationError(
            f"{where}: a database on another machine is reached by postgresql+{_DRIVER}: only"
        )


def _is_postgresql(url: Any) -> bool:
    """Whether the driver is asyncpg, whose connections `DatabaseConnector` makes."""
    return bool(url.drivername == f"postgresql+{_DRIVER}")


def _hosts(url: Any) -> Iterator[str]:
    """Yield every host that the driver may dial; without one it uses a local socket."""
    if url.host:
        yield url.host
    named = url.query.get("host", ())
    several: Iterable[str] = (named,) if isinstance(named, str) else named
    for each in several:
        yield from _each(each)


def _each(hosts: str) -> Iterator[str]:
    """Yield the hosts of a comma-separated list, without their ports."""
    for one in filter(None, hosts.split(",")):
        yield one if one.count(":") > 1 else one.partition(":")[0]
