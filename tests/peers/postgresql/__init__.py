"""PostgreSQL from Debian on 127.0.0.1, as its own user."""

from tests.peers.postgresql.server import Postgresql

__all__ = ["Postgresql"]
