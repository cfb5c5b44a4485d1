"""A database's address: over a network, messages go to a server that has proved who it is.

The driver makes this TLS itself (SQLAlchemy's `asyncpg` dialect), and by default takes whatever
the server has, TLS or none, and verifies nobody.  `ssl=verify-full` has it verify path and name,
by its own settings (PGSSLROOTCERT, else ~/.postgresql/root.crt); revocation is not asked for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from softphone.errors import ConfigurationError

__all__ = ["check_address"]

_VERIFIED = "verify-full"


def check_address(url: Any, where: str) -> None:
    """Raise ConfigurationError for a PostgreSQL server (`sqlalchemy.engine.URL`) elsewhere that
    nobody verifies; `where` is the setting that names it."""
    if url.get_backend_name() != "postgresql" or all(map(_is_near, _hosts(url))):
        return
    if url.query.get("ssl") != _VERIFIED:
        raise ConfigurationError(
            f"{where}: the database is on another machine, and nobody would verify it: add"
            f" ?ssl={_VERIFIED} to its address"
        )


def _hosts(url: Any) -> Iterator[str]:
    """Every host that the driver may dial; none is its own default, a local socket."""
    if url.host:
        yield url.host
    named = url.query.get("host", ())
    several: Iterable[str] = (named,) if isinstance(named, str) else named
    for each in several:
        for one in each.split(","):
            yield one if one.count(":") > 1 else one.partition(":")[0]


def _is_near(host: str) -> bool:
    """Whether what is said to it stays on this machine: a socket's folder, or loopback."""
    if host.startswith("/") or host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
