"""One table in a database: created if missing, written within a time limit, faults translated.

The audit table and the third-party archive use it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from softphone.errors import AuditError, ConfigurationError, SoftphoneError, TransportError
from softphone.messaging.storage.database import Database, require_sqlalchemy


class DatabaseTable:
    """One table of a database.

    `fault` converts a database exception to an AuditError; `within` limits each change, in seconds.
    """

    def __init__(
        self,
        database: Database,
        table: Any,
        *,
        within: float,
        fault: Callable[[BaseException], AuditError],
    ) -> None:
        self._sa = require_sqlalchemy("compliance")
        self._database = database
        self._table = table
        self._within = within
        self._fault = fault

    async def open_table(self, *, make: bool = True) -> None:
        """Create the table if it is missing; without `make` nothing is created.

        Raises ConfigurationError, AuditError, and CertificateError or a subclass.
        """
        url = self._database.url
        if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
            prepare_file(Path(url.database), make=make)
        if not make:
            return
        try:
            async with asyncio.timeout(self._within), self._database.engine.begin() as connection:
                await connection.run_sync(self._table.metadata.create_all)
        except BaseException as exc:
            await self._database.close()
            if isinstance(exc, self._sa.exc.SQLAlchemyError | OSError | TransportError):
                raise self._fault(exc) from exc
            raise

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()

    @asynccontextmanager
    async def change(self, *, passes: type[BaseException] | tuple[()] = ()) -> AsyncIterator[Any]:
        """Open a connection whose changes are committed at the end of the block.

        Exceptions in `passes` are raised unchanged.  Raises AuditError, and then nothing has
        changed.
        """
        try:
            async with asyncio.timeout(self._within), self._database.engine.begin() as connection:
                yield connection
        except passes:
            raise
        except (self._sa.exc.SQLAlchemyError, OSError, SoftphoneError) as exc:
            raise self._fault(exc) from exc


def prepare_file(path: Path, *, make: bool) -> None:
    """Create an SQLite file with mode 0600; without `make` only check that it exists.

    Raises ConfigurationError, AuditError.
    """
    if make:
        try:
            path.touch(mode=0o600)
        except OSError as exc:
            raise AuditError(f"{path} cannot be made: {exc.strerror}") from exc
    elif not path.exists():
        raise ConfigurationError(f"there is no audit table in {path}")
