"""The audit table: append-only, one row per decision or transfer, chained by hashes.

SQLAlchemy on SQLite or PostgreSQL.  The database itself refuses changes and deletions
(`audit_triggers`).  An event is reported as done only after its row is committed.  A row that
cannot be written raises AuditError, and the event is stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from softphone.errors import AuditError, TransportError
from softphone.messaging.storage.audit_chain import (
    COLUMNS,
    GENESIS,
    ChainBreak,
    row_hash,
    verify_chain,
)
from softphone.messaging.storage.audit_triggers import add_append_only_triggers
from softphone.messaging.storage.database import Database, database_cause, require_sqlalchemy
from softphone.messaging.storage.postgres_connection import DatabaseConnector
from softphone.messaging.storage.table import DatabaseTable

logger = logging.getLogger("softphone.messaging")

_TEXTS = {
    "jid": 3071,
    "to_jid": 3071,
    "method": 63,
    "filename": 511,
    "real_filename": 511,
    "file_server": 511,
    "file_path": 511,
    "file_type": 127,
    "chat_type": 10,
    "direction": 10,
    "kind": 10,
    "verdict": 10,
    "reason": 511,
    "sha256": 64,
    "utc": 32,
}
_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """The content of a row; a text that is too long for its column is cut.

    `method` is POST for a file that was sent, GET for one that was fetched, IM for a message;
    `filename` is the file's name on the server, `real_filename` the user's.
    """

    jid: str
    to_jid: str
    method: str
    verdict: str
    kind: str
    direction: str
    chat_type: str = "im"
    filename: str = ""
    real_filename: str = ""
    file_server: str = ""
    file_path: str = ""
    file_type: str = ""
    file_size: int = 0
    reason: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class AuditVerification:
    """The number of valid rows, the hash of the last one, and the first invalid row, if any."""

    rows: int
    head: str
    broken: ChainBreak | None


class Audit:
    """The audit table, as an async context manager.

    `address` is an SQLAlchemy address with an async driver; `network` connects to a PostgreSQL
    server.  `within` limits each change, in seconds; `make` creates the table if it is missing.
    Raises ConfigurationError for an invalid address; on entering, AuditError when the database
    cannot be reached, CertificateError or a subclass when its server cannot be verified.
    """

    def __init__(
        self,
        address: str,
        network: DatabaseConnector | None = None,
        *,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        within: float = 10.0,
        make: bool = True,
    ) -> None:
        sa = self._sa = require_sqlalchemy("compliance")
        self._wall = wall
        self._make = make
        database = Database(sa, address, "audit", network, pool_pre_ping=True)
        self._engine = database.engine
        self._table = audit_table(sa)
        self._storage = DatabaseTable(database, self._table, within=within, fault=_unreachable)
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._storage.open_table(make=self._make)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._storage.close()

    async def append_record(self, record: AuditRecord) -> str:
        """Append a row, commit it and return its hash.  Raises AuditError if it was not written.

        Several processes may write: one that finds its index taken tries the next, 200 times.
        """
        taken = self._sa.exc.IntegrityError
        async with self._turn:
            for _ in range(_ATTEMPTS):
                try:
                    async with self._storage.change(passes=taken) as connection:
                        return await self._append(connection, record)
                except taken:
                    continue
        raise AuditError("the audit table is written by others faster than we can")

    async def _append(self, connection: Any, record: AuditRecord) -> str:
        table, sa = self._table, self._sa
        newest = sa.select(table.c.aft_index, table.c.row_hash).order_by(table.c.aft_index.desc())
        last = (await connection.execute(newest.limit(1))).first()
        index, previous = (0, GENESIS) if last is None else (last[0], last[1])
        row = self._row(record, index + 1)
        row |= {"previous_hash": previous, "row_hash": row_hash(row, previous)}
        await connection.execute(table.insert().values(row))
        return str(row["row_hash"])

    def _row(self, record: AuditRecord, index: int) -> dict[str, Any]:
        row: dict[str, Any] = {
            name: str(getattr(record, name))[:size].replace("\0", "?")
            for name, size in _TEXTS.items()
            if name != "utc"
        }
        row["utc"] = self._wall().astimezone(UTC).isoformat(timespec="microseconds")
        return row | {"aft_index": index, "file_size": record.file_size}

    async def verify(self, head: str | None = None) -> AuditVerification:
        """Verify the chain of all rows; `head` is the newest hash that was noted elsewhere.

        Raises AuditError, CertificateError or a subclass.
        """
        query = self._table.select().order_by(self._table.c.aft_index)
        try:
            async with self._engine.connect() as connection:
                rows = (await connection.execute(query)).mappings().all()
        except (self._sa.exc.SQLAlchemyError, OSError, TransportError) as exc:
            raise _unreachable(exc) from exc
        return AuditVerification(*verify_chain(rows, head))


def audit_table(sa: Any) -> Any:
    """Return the SQLAlchemy table `aft_log`, with its append-only triggers."""
    texts = {
        name: sa.Column(name, sa.String(size), nullable=False) for name, size in _TEXTS.items()
    }
    big = sa.BigInteger
    numbers = {
        "aft_index": sa.Column("aft_index", big, primary_key=True, autoincrement=False),
        "file_size": sa.Column("file_size", big, nullable=False),
    }
    columns = [(texts | numbers)[name] for name in COLUMNS]
    chain = [
        sa.Column("previous_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("row_hash", sa.String(64), nullable=False),
    ]
    table = sa.Table("aft_log", sa.MetaData(), *columns, *chain)
    add_append_only_triggers(sa, table)
    return table


def _unreachable(exc: BaseException) -> AuditError:
    return AuditError(
        f"the audit table cannot be written or read ({database_cause(exc)}):"
        " nothing goes on without it"
    )
