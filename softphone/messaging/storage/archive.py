"""The local archive: messages in a database, kept beyond the session.

It takes any SQLAlchemy address with an async driver; an SQLite file is created with mode 0600.
Texts are stored in clear, as the specification requires, unless a key is configured.  A key
encrypts the texts only, not the addresses and times.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from softphone.errors import ConfigurationError, TransportError
from softphone.messaging.config import HistoryConfig
from softphone.messaging.message import EncryptionScope, Message, MessageDirection, MessageSecurity
from softphone.messaging.storage.archive_search import (
    LARGEST_PAGE,
    MOST_COMPARED,
    MOST_DECRYPTED,
    ArchiveSearchMethod,
    ArchiveSearchPage,
    compared,
    contains_words,
    indexed,
    prepare_index,
    split_words,
)
from softphone.messaging.storage.database import Database, require_sqlalchemy
from softphone.messaging.storage.postgres_connection import DatabaseConnector
from softphone.trust.keystore.encryption_at_rest import FileCipher, open_file_cipher

logger = logging.getLogger("softphone.messaging")


class MessageArchive:
    """The archive of one account, as an async context manager.

    `owner` is the account's bare JID; `network` connects to a PostgreSQL server.
    """

    def __init__(
        self, config: HistoryConfig, owner: str, network: DatabaseConnector | None = None
    ) -> None:
        """Raises ConfigurationError for an invalid address or key."""
        sa = self._sa = require_sqlalchemy("an archive")
        self._config = config
        self._owner = owner
        self._database = Database(sa, config.archive or "", "im.archive", network)
        self._url, self._engine = self._database.url, self._database.engine
        self._sealer: FileCipher | None = None
        if config.archive_key is not None:
            self._sealer = open_file_cipher(config.archive_key)
        self._table = _table(sa)

    async def __aenter__(self) -> Self:
        """Open the database, and create the table if it is missing.

        Raises TransportError when the database cannot be reached, CertificateError or a subclass
        when its server cannot be verified.
        """
        if self._url.get_backend_name() == "sqlite" and self._url.database not in (
            None,
            ":memory:",
        ):
            _make_private(Path(self._url.database))
        if self._sealer is None:
            logger.warning("the archive of %s holds messages in clear", self._owner)
        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(self._table.metadata.create_all)
        except BaseException as exc:
            await self._database.close()
            if isinstance(exc, self._sa.exc.SQLAlchemyError | OSError):
                raise _unreachable(exc) from exc
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._database.close()

    async def add_message(self, message: Message) -> None:
        """Store a message.  Raises TransportError or CertificateError when that fails."""
        body = message.body
        if self._sealer is not None:
            body = self._sealer.encrypt_text(
                body, bound=_bound(self._owner, message.peer, message.id)
            )
        row = {
            "owner": self._owner,
            "stanza": message.id,
            "peer": message.peer,
            "sender": message.sender,
            "room": message.room,
            "direction": message.direction.value,
            "reach": message.security.scope.value,
            "at": message.at.astimezone(UTC).replace(tzinfo=None),
            "body": body,
        }
        try:
            async with self._engine.begin() as connection:
                await connection.execute(self._table.insert().values(row))
        except (self._sa.exc.SQLAlchemyError, OSError) as exc:
            raise _unreachable(exc) from exc

    async def read_messages(
        self, peer: str | None = None, *, last: int = 100
    ) -> AsyncIterator[Message]:
        """Yield the `last` messages with one peer, or with all, oldest first.

        Raises TransportError, CertificateError, and ConfigurationError for a text that another key
        has encrypted.
        """
        columns = self._table.c
        query = self._table.select().where(columns.owner == self._owner)
        if peer is not None:
            query = query.where(columns.peer == peer)
        query = query.order_by(columns.at.desc(), columns.id.desc()).limit(last)
        try:
            async with self._engine.connect() as connection:
                rows = (await connection.execute(query)).all()
        except (self._sa.exc.SQLAlchemyError, OSError) as exc:
            raise _unreachable(exc) from exc
        for row in reversed(rows):
            yield self._message(row)

    async def search_messages(
        self, words: str, peer: str | None = None, *, limit: int = 50, before: int | None = None
    ) -> ArchiveSearchPage:
        """Return one page of the messages in which all of `words` are, the newest first.

        `limit` is at most 1,000; `before` is the `next` of the page before.  Upper and lower case
        are alike: for ASCII at least, where the database compares.  Raises ConfigurationError for
        words that nothing could have, and where Disable_IM_History forbids a history; otherwise
        what `read_messages` raises.
        """
        if self._config.disable_history:
            raise ConfigurationError(
                "im.disable_history: Disable_IM_History forbids a history, and so its search"
            )
        wanted = split_words(words)
        if not 0 < limit <= LARGEST_PAGE:
            raise ConfigurationError(f"a page of a search has 1 to {LARGEST_PAGE} messages")
        try:
            if self._sealer is not None:
                return await self._decrypt_each(wanted, peer, limit, before)
            if await prepare_index(self._sa, self._engine):
                return await self._search_index(wanted, peer, limit, before)
            return await self._compare_each(wanted, peer, limit, before)
        except (self._sa.exc.SQLAlchemyError, OSError) as exc:
            raise _unreachable(exc) from exc

    def _newest(self, peer: str | None, before: int | None, limit: int) -> Any:
        """Return the query of the owner's newest rows before one, in the order of arrival."""
        columns = self._table.c
        query = self._table.select().where(columns.owner == self._owner)
        if peer is not None:
            query = query.where(columns.peer == peer)
        if before is not None:
            query = query.where(columns.id < before)
        return query.order_by(columns.id.desc()).limit(limit)

    async def _rows(self, query: Any) -> Sequence[Any]:
        async with self._engine.connect() as connection:
            rows: Sequence[Any] = (await connection.execute(query)).all()
            return rows

    async def _search_index(
        self, words: Sequence[str], peer: str | None, limit: int, before: int | None
    ) -> ArchiveSearchPage:
        found = indexed(self._sa, words)
        rows = await self._rows(self._newest(peer, before, limit + 1).where(found))
        return self._page(rows, limit, ArchiveSearchMethod.INDEX)

    async def _compare_each(
        self, words: Sequence[str], peer: str | None, limit: int, before: int | None
    ) -> ArchiveSearchPage:
        newest = self._newest(peer, before, MOST_COMPARED).subquery()
        rows = await self._rows(
            self._sa.select(newest)
            .where(compared(self._sa, newest.c.body, words))
            .order_by(newest.c.id.desc())
            .limit(limit + 1)
        )
        page = self._page(rows, limit, ArchiveSearchMethod.COMPARISON)
        if page.next is not None:
            return page
        sa = self._sa
        (oldest,) = await self._rows(sa.select(sa.func.min(newest.c.id), sa.func.count()))
        return replace(page, next=oldest[0] if oldest[1] == MOST_COMPARED else None)

    async def _decrypt_each(
        self, words: Sequence[str], peer: str | None, limit: int, before: int | None
    ) -> ArchiveSearchPage:
        folded = [word.casefold() for word in words]
        rows = await self._rows(self._newest(peer, before, MOST_DECRYPTED))
        found: list[Message] = []
        for row in rows:
            message = self._message(row)
            if contains_words(message.body, folded):
                found.append(message)
                if len(found) == limit:
                    break
        last = None if not rows or (row is rows[-1] and len(rows) < MOST_DECRYPTED) else row.id
        return ArchiveSearchPage(tuple(found), ArchiveSearchMethod.DECRYPTION, last)

    def _page(
        self, rows: Sequence[Any], limit: int, method: ArchiveSearchMethod
    ) -> ArchiveSearchPage:
        """Return a page of at most `limit` rows, of which one more is known to follow."""
        shown = rows[:limit]
        following = shown[-1].id if len(rows) > limit else None
        return ArchiveSearchPage(tuple(map(self._message, shown)), method, following)

    def _message(self, row: Any) -> Message:
        body = row.body
        if self._sealer is not None:
            body = self._sealer.decrypt_text(body, bound=_bound(self._owner, row.peer, row.stanza))
        return Message(
            id=row.stanza,
            peer=row.peer,
            sender=row.sender,
            body=body,
            at=row.at.replace(tzinfo=UTC),
            direction=MessageDirection(row.direction),
            security=MessageSecurity(EncryptionScope(row.reach)),
            room=row.room,
        )


def _table(sa: Any) -> Any:
    return sa.Table(
        "softphone_messages",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("owner", sa.String(3071), nullable=False, index=True),
        sa.Column("stanza", sa.String(256), nullable=False),
        sa.Column("peer", sa.String(3071), nullable=False, index=True),
        sa.Column("sender", sa.String(3071), nullable=False),
        sa.Column("room", sa.Boolean, nullable=False),
        sa.Column("direction", sa.String(10), nullable=False),
        sa.Column("reach", sa.String(20), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )


def _bound(owner: str, peer: str, key: str) -> str:
    return "\x00".join((owner, peer, key))


def _make_private(path: Path) -> None:
    """Create the file with mode 0600: SQLite itself would make it readable by others."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as exc:
        raise ConfigurationError(f"im.archive: {path} cannot be made: {exc.strerror}") from exc


def _unreachable(exc: BaseException) -> TransportError:
    # The driver's error text may contain the address and its password.
    return TransportError(f"the archive does not take messages ({type(exc).__name__})")
