"""The archive is searched by an index, by comparison, or by decryption: the same words, bounded."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from softphone.errors import ConfigurationError, TransportError
from softphone.messaging.config import HistoryConfig
from softphone.messaging.storage import ArchiveSearchMethod, MessageArchive, archive, archive_search
from softphone.messaging.storage.archive_search import contains_words, match_expression, split_words
from tests.messaging.delivery.test_history import said

HOSTILE = (
    '"',
    '""',
    'a" OR "b',
    "*",
    "body:a",
    "NEAR(a b)",
    "a AND NOT b",
    "^a",
    "-a",
    "{body}",
    "%",
    "_",
    "/",
    "\\",
    "'; DROP TABLE softphone_messages; --",
    ":words",
    "(" * 100,
    "\N{ZERO WIDTH JOINER}",
    "\N{PILE OF POO}",
)
TEXTS = ("An invoice of March", "no Invoice, in march", "voice of a marching band", "100% a_b")


def config(folder, **more) -> HistoryConfig:
    return HistoryConfig(archive=f"sqlite+aiosqlite:///{folder}/im.db", **more)


async def fill(folder, *texts, owner="me@x", **more):
    async with MessageArchive(config(folder, **more), owner) as found:
        for number, text in enumerate(texts):
            await found.add_message(said("ab"[number % 2] + "@x", text))


async def search(folder, words, peer=None, owner="me@x", *, limit=50, before=None, **more):
    async with MessageArchive(config(folder, **more), owner) as found:
        return await found.search_messages(words, peer, limit=limit, before=before)


def bodies(page):
    return [each.body for each in page.messages]


def no_index(monkeypatch):
    async def none(sa, engine):
        return False

    monkeypatch.setattr(archive, "prepare_index", none)


async def test_the_index_finds_beginnings_of_words_and_keeps_up(tmp_path):
    await fill(tmp_path, *TEXTS)
    await fill(tmp_path, "an invoice of march, of another", owner="you@x")
    page = await search(tmp_path, "MARCH invoi")
    assert page.method is ArchiveSearchMethod.INDEX
    assert (bodies(page), page.next) == ([TEXTS[1], TEXTS[0]], None)
    assert bodies(await search(tmp_path, "march", "a@x")) == [TEXTS[2], TEXTS[0]]
    assert bodies(await search(tmp_path, "oice")) == []  # the middle of a word
    # What comes, changes and goes later is in the index, too: whoever writes it.
    await fill(tmp_path, "the March hare")
    with closing(sqlite3.connect(tmp_path / "im.db")) as database, database:
        database.execute("DELETE FROM softphone_messages WHERE body = ?", TEXTS[:1])
        database.execute("UPDATE softphone_messages SET body = 'april' WHERE body = ?", TEXTS[1:2])
    assert bodies(await search(tmp_path, "march")) == ["the March hare", TEXTS[2]]
    assert bodies(await search(tmp_path, "april")) == ["april"]
    with closing(sqlite3.connect(tmp_path / "im.db")) as database:
        check = "INSERT INTO softphone_messages_index(softphone_messages_index, rank)"
        database.execute(f"{check} VALUES ('integrity-check', 1)")


async def test_pages_follow_each_other_and_miss_nothing(tmp_path, monkeypatch):
    texts = [f"word {number}" for number in range(7)]
    await fill(tmp_path, *texts)

    async def all_pages():
        seen, before = [], None
        for _ in range(20):
            page = await search(tmp_path, "word", limit=3, before=before)
            assert len(page.messages) <= 3
            seen += bodies(page)
            if (before := page.next) is None:
                return seen, page.method
        raise AssertionError("it does not end")

    assert await all_pages() == (texts[::-1], ArchiveSearchMethod.INDEX)
    no_index(monkeypatch)
    assert await all_pages() == (texts[::-1], ArchiveSearchMethod.COMPARISON)
    # The bound of a page is reached before its limit, and also where nothing is found.
    monkeypatch.setattr(archive, "MOST_COMPARED", 2)
    assert await all_pages() == (texts[::-1], ArchiveSearchMethod.COMPARISON)
    page = await search(tmp_path, "6 0")
    assert (bodies(page), page.next) == ([], 6)


async def test_under_a_key_texts_are_decrypted_and_no_index_is_made(tmp_path, monkeypatch):
    key = {"archive_key": tmp_path / "key"}
    await fill(tmp_path, *TEXTS, **key)
    page = await search(tmp_path, "MARCH invoice", **key)
    assert page.method is ArchiveSearchMethod.DECRYPTION
    assert (bodies(page), page.next) == ([TEXTS[1], TEXTS[0]], None)
    page = await search(tmp_path, "march", limit=1, **key)
    assert bodies(page) == [TEXTS[2]]
    assert bodies(await search(tmp_path, "march", before=page.next, **key)) == [TEXTS[1], TEXTS[0]]
    monkeypatch.setattr(archive, "MOST_DECRYPTED", 2)
    page = await search(tmp_path, "nothing", **key)
    assert (bodies(page), page.next) == ([], 3)
    assert (await search(tmp_path, "nothing", before=1, **key)).next is None
    data = (tmp_path / "im.db").read_bytes()
    assert b"softphone_messages_index" not in data
    assert not any(word in data.lower() for word in (b"invoice", b"march"))


@pytest.mark.parametrize("way", ["index", "comparison"])
async def test_a_word_is_no_expression(tmp_path, monkeypatch, way):
    if way == "comparison":
        no_index(monkeypatch)
    await fill(tmp_path, *TEXTS, *HOSTILE)
    async with MessageArchive(config(tmp_path), "me@x") as found:
        for word in HOSTILE:
            page = await found.search_messages(word, limit=1000)
            said_so = bodies(page)
            if way == "comparison":
                parts = split_words(word.casefold())
                assert said_so
                assert all(contains_words(each, parts) for each in said_so)
            else:
                assert word in said_so or not any(each.isalnum() for each in word)
            assert len(said_so) < len(TEXTS) + len(HOSTILE)
        assert bodies(await found.search_messages("a_b"))[-1] == TEXTS[3]
    assert match_expression(('a"b', "NEAR")) == '"a""b"* "NEAR"*'


async def test_what_cannot_be_searched_is_said(tmp_path, monkeypatch):
    await fill(tmp_path, *TEXTS)
    for words in ("", "  ", "w " * 20 + " ".join(map(str, range(11))), "x" * 101, "a\0b", "\ud800"):
        with pytest.raises(ConfigurationError, match="search"):
            await search(tmp_path, words)
    for limit in (0, 1001):
        with pytest.raises(ConfigurationError, match="a page"):
            await search(tmp_path, "a", limit=limit)
    with pytest.raises(ConfigurationError, match="Disable_IM_History forbids"):
        await search(tmp_path, "march", disable_history=True)
    # Without FTS5, or where nothing can be written, texts are compared.
    monkeypatch.setattr(archive_search, "_MAKE_INDEX", ("CREATE VIRTUAL TABLE x USING nothing(a)",))
    assert (await search(tmp_path, "march")).method is ArchiveSearchMethod.COMPARISON
    async with MessageArchive(config(tmp_path), "me@x") as found:
        with closing(sqlite3.connect(tmp_path / "im.db")) as database, database:
            database.execute("DROP TABLE softphone_messages")
        with pytest.raises(TransportError):
            await found.search_messages("march")


async def test_an_index_that_was_begun_and_not_finished_is_made_again(tmp_path, monkeypatch):
    await fill(tmp_path, *TEXTS)
    whole = archive_search._MAKE_INDEX
    monkeypatch.setattr(archive_search, "_MAKE_INDEX", (*whole[:1], "nonsense"))
    assert (await search(tmp_path, "march")).method is ArchiveSearchMethod.COMPARISON
    monkeypatch.setattr(archive_search, "_MAKE_INDEX", whole)
    page = await search(tmp_path, "march")
    assert (page.method, len(page.messages)) == (ArchiveSearchMethod.INDEX, 3)
