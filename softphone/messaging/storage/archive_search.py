"""Searches the local archive: by the full-text index of SQLite (FTS5), or text by text.

The index is made with the first search, in the archive's own file, and triggers keep it from then
on.  There a text matches if it has, for each word searched for, a word that begins with it.  In
other databases, and without FTS5, the database compares the newest texts (`ILIKE`): one matches
that contains each word.  Texts under a key are decrypted one by one and compared in the same way,
and nothing of them is ever put into an index.  Each page of a search compares a bounded number of
texts, and says where the next one begins.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from softphone.errors import ConfigurationError
from softphone.messaging.message import Message

logger = logging.getLogger("softphone.messaging")

MOST_WORDS = 10
LONGEST_WORD = 100
MOST_COMPARED = 50_000
"""How many texts one page compares at most without an index."""
MOST_DECRYPTED = 5_000
"""How many texts one page decrypts at most."""
LARGEST_PAGE = 1_000
_INDEX = "softphone_messages_index"
_TABLE = "softphone_messages"


class ArchiveSearchMethod(StrEnum):
    """How an archive was searched; the value is a phrase for people."""

    INDEX = "by the full-text index"
    COMPARISON = "by comparison of each text"
    DECRYPTION = "by decryption of each text"


@dataclass(frozen=True, slots=True)
class ArchiveSearchPage:
    """One page of a search: its messages, the newest first.

    `next` is the `before` of the following page, None at the end: a page may have no message, and
    yet not be the last.
    """

    messages: tuple[Message, ...]
    method: ArchiveSearchMethod
    next: int | None = None


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of a search, each once.  Raises ConfigurationError for none or too many."""
    words = tuple(dict.fromkeys(unicodedata.normalize("NFC", text).split()))
    if not words or len(words) > MOST_WORDS:
        raise ConfigurationError(f"a search takes 1 to {MOST_WORDS} words")
    for word in words:
        if len(word) > LONGEST_WORD:
            raise ConfigurationError(f"a word of a search has {LONGEST_WORD} characters at most")
        if any(unicodedata.category(each) in ("Cc", "Cs") for each in word):
            raise ConfigurationError("a word of a search has a character that no text has")
    return words


def match_expression(words: Sequence[str]) -> str:
    """Return the FTS5 expression for texts that have a word beginning with each of `words`.

    Each is a string of FTS5's grammar, in which only the quotation mark is special: doubled it
    stands for itself.
    """
    return " ".join('"{}"*'.format(word.replace('"', '""')) for word in words)


def contains_words(text: str, folded: Sequence[str]) -> bool:
    """Whether a text contains each word, given casefolded; in time linear in the text."""
    plain = unicodedata.normalize("NFC", text).casefold()
    return all(word in plain for word in folded)


async def prepare_index(sa: Any, engine: Any) -> bool:
    """Make the full-text index of an SQLite archive, if it is missing; whether there is one.

    A program that crashes in between leaves nothing: the index, its content and its triggers come
    into being together.
    """
    if engine.url.get_backend_name() != "sqlite":
        return False
    there = f"SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{_INDEX}'"
    try:
        async with engine.begin() as connection:
            if (await connection.exec_driver_sql(there)).first() is not None:
                return True
            # The driver begins no transaction of its own before statements that make tables.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            if (await connection.exec_driver_sql(there)).first() is None:
                for statement in _MAKE_INDEX:
                    await connection.exec_driver_sql(statement)
            return True
    except sa.exc.SQLAlchemyError as exc:
        # Without FTS5, in a file that may only be read, or that another program has locked.
        cause = type(getattr(exc, "orig", None) or exc).__name__
        logger.info("the archive is searched without an index (%s)", cause)
        return False


_MAKE_INDEX = (
    f"CREATE VIRTUAL TABLE {_INDEX} USING fts5(body, content='{_TABLE}', content_rowid='id',"
    " tokenize='unicode61 remove_diacritics 0')",
    f"INSERT INTO {_INDEX}({_INDEX}) VALUES ('rebuild')",
    f"CREATE TRIGGER {_INDEX}_insert AFTER INSERT ON {_TABLE} BEGIN"
    f" INSERT INTO {_INDEX}(rowid, body) VALUES (new.id, new.body); END",
    f"CREATE TRIGGER {_INDEX}_delete AFTER DELETE ON {_TABLE} BEGIN"
    f" INSERT INTO {_INDEX}({_INDEX}, rowid, body) VALUES ('delete', old.id, old.body); END",
    f"CREATE TRIGGER {_INDEX}_update AFTER UPDATE ON {_TABLE} BEGIN"
    f" INSERT INTO {_INDEX}({_INDEX}, rowid, body) VALUES ('delete', old.id, old.body);"
    f" INSERT INTO {_INDEX}(rowid, body) VALUES (new.id, new.body); END",
)


def indexed(sa: Any, words: Sequence[str]) -> Any:
    """Return the condition of texts that the index finds."""
    found = f"SELECT rowid FROM {_INDEX} WHERE {_INDEX} MATCH :words"
    condition = sa.text(f"{_TABLE}.id IN ({found})")
    return condition.bindparams(words=match_expression(words))


def compared(sa: Any, body: Any, words: Sequence[str]) -> Any:
    """Return the condition of a column's texts that contain each word, whatever a word has in it.

    The database compares them without case, SQLite for ASCII only.
    """
    return sa.and_(*(body.icontains(word, autoescape=True) for word in words))
