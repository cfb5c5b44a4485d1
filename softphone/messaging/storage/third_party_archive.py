"""The third-party archive: stores every clear message in an external database before it goes on.

SQLAlchemy, one table with the columns that message archivers read: sender, recipient, time, kind of
chat, text.  A message that cannot be written raises AuditError and is stopped.  Messages encrypted
client to client are never archived here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self

from softphone.errors import AuditError
from softphone.messaging.compliance import PendingMessage
from softphone.messaging.message import EncryptionScope, MessageDirection
from softphone.messaging.storage.database import Database, database_cause, require_sqlalchemy
from softphone.messaging.storage.postgres_connection import DatabaseConnector
from softphone.messaging.storage.table import DatabaseTable

logger = logging.getLogger("softphone.messaging")


class ThirdPartyArchive:
    """An async context manager; `network` connects to a PostgreSQL server.

    `within` limits each change, in seconds.  Raises ConfigurationError for an invalid address; on
    entering, AuditError when the database cannot be reached, CertificateError or a subclass when
    its server cannot be verified.
    """

    def __init__(
        self,
        address: str,
        network: DatabaseConnector | None = None,
        *,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        within: float = 5.0,
    ) -> None:
        sa = require_sqlalchemy("compliance")
        self._wall = wall
        database = Database(sa, address, "im.compliance.archive", network, pool_pre_ping=True)
        self._engine = database.engine
        self._table = _table(sa)
        self._storage = DatabaseTable(database, self._table, within=within, fault=_unreachable)

    async def __aenter__(self) -> Self:
        await self._storage.open_table()
        logger.warning("a third-party archive holds messages in clear")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._storage.close()

    async def add_message(self, question: PendingMessage, body: str) -> None:
        """Write a clear message with the text `body`, which policies may have changed; commit it.

        Raises AuditError when it could not be written, and for a message encrypted client to
        client.
        """
        if question.scope is EncryptionScope.CLIENT_TO_CLIENT:
            raise AuditError("what is encrypted client to client is not archived by third parties")
        out = question.direction is MessageDirection.SENT
        mine, theirs = question.own, question.peer
        row = {
            "from_jid": mine if out else theirs,
            "to_jid": theirs if out else mine,
            "sender": question.sender,
            "sent_date": self._wall().astimezone(UTC).replace(tzinfo=None),
            "msg_type": "groupchat" if question.room else "im",
            "direction": question.direction.value,
            "stanza": question.id[:256],
            "body_len": question.size if body == question.body else len(body.encode()),
            "body_text": body.replace("\0", "?"),
        }
        async with self._storage.change() as connection:
            await connection.execute(self._table.insert().values(row))


def _table(sa: Any) -> Any:
    jid = sa.String(3071)
    return sa.Table(
        "jm",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("from_jid", jid, nullable=False),
        sa.Column("to_jid", jid, nullable=False),
        sa.Column("sender", jid, nullable=False),
        sa.Column("sent_date", sa.DateTime, nullable=False, index=True),
        sa.Column("msg_type", sa.String(10), nullable=False),
        sa.Column("direction", sa.String(10), nullable=False),
        sa.Column("stanza", sa.String(256), nullable=False),
        sa.Column("body_len", sa.Integer, nullable=False),
        sa.Column("body_text", sa.Text, nullable=False),
    )


def _unreachable(exc: BaseException) -> AuditError:
    return AuditError(f"the third-party archive takes no messages ({database_cause(exc)})")
