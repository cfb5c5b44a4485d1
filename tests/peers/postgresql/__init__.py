"""PostgreSQL from Debian on 127.0.0.1, as its own user."""

from tests.peers.postgresql.server import PASSWORD, Postgresql

__all__ = ["PASSWORD", "Postgresql"]
