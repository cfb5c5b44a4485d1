"""Compliance switched on: decided, written down, archived, in that order, and closed on failure."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from softphone.errors import AuditError
from softphone.messaging.account_compliance import AccountCompliance
from softphone.messaging.compliance import ALLOW, ComplianceConfig, Deny, Redact
from softphone.messaging.message import EncryptionScope
from softphone.net.http import HttpsEnvironment
from softphone.trust import Service
from tests.messaging.compliance.test_server import answering
from tests.messaging.storage.test_third_party_archive import question
from tests.support.certificates import alice, settings


def config(tmp_path, **more):
    names = {kind: f"sqlite+aiosqlite:///{tmp_path / kind}.db" for kind in ("audit", "archive")}
    return ComplianceConfig(**{**names, **more})


def rows(tmp_path, query, name="audit"):
    with closing(sqlite3.connect(tmp_path / f"{name}.db")) as database:
        return database.execute(query).fetchall()


VERDICTS = "select verdict, reason, length(sha256), file_size from aft_log order by aft_index"


async def test_a_decision_is_a_row_before_a_message_goes_on(tmp_path):
    async with AccountCompliance(
        "a@x", config(tmp_path, domains=("x",)), HttpsEnvironment()
    ) as own:
        assert await own.decide(question()) == ALLOW
        assert isinstance(await own.decide(question(peer="b@elsewhere")), Deny)
    assert rows(tmp_path, VERDICTS) == [
        ("allow", "", 64, 5),
        ("deny", "there is a wall between us and elsewhere", 64, 5),
    ]
    assert rows(tmp_path, "select body_text from jm", "archive") == [("hello",)]


async def test_of_what_is_secret_only_that_it_was(tmp_path):
    secret = replace(question(scope=EncryptionScope.CLIENT_TO_CLIENT), body=None)
    async with AccountCompliance("a@x", config(tmp_path), HttpsEnvironment()) as own:
        assert await own.decide(secret) == ALLOW
    assert rows(tmp_path, VERDICTS) == [("allow", "encrypted client to client: not seen", 0, 5)]
    assert rows(tmp_path, "select body_text from jm", "archive") == []


async def test_the_external_server_redacts_and_hears_nothing_of_what_is_secret(tmp_path):
    async with answering(tmp_path, b'{"verdict": "redact", "body": "***"}') as web:
        tls = settings(tmp_path, alice(), service=Service.HTTPS)
        url = f"https://127.0.0.1:{web.port}/ask"
        asked = config(tmp_path, server=url, tls=tls)
        async with AccountCompliance("a@x", asked, HttpsEnvironment()) as own:
            assert await own.decide(question()) == Redact("***")
            secret = replace(question(scope=EncryptionScope.CLIENT_TO_CLIENT), body=None)
            assert await own.decide(secret) == ALLOW
        assert len(web.requests) == 1
        web.silent = True
        late = replace(asked, within=0.5)
        async with AccountCompliance("a@x", late, HttpsEnvironment()) as own:
            assert isinstance(await own.decide(question()), Deny)
    assert [row[0] for row in rows(tmp_path, VERDICTS)] == ["redact", "allow", "deny"]
    assert rows(tmp_path, "select body_text from jm", "archive") == [("***",)]


@pytest.mark.parametrize(("name", "table"), [("audit", "aft_log"), ("archive", "jm")])
async def test_what_cannot_be_written_down_does_not_go_on(tmp_path, name, table, caplog):
    async with AccountCompliance("a@x", config(tmp_path), HttpsEnvironment()) as own:
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as database:
            database.execute(f"drop table {table}")
            database.commit()
        assert await own.decide(question()) == Deny("it cannot be written down")
    assert "hello" not in caplog.text


async def test_a_database_out_of_reach_is_told_at_once(tmp_path):
    away = config(tmp_path, archive="postgresql+asyncpg://u:p@127.0.0.1:1/x")
    with pytest.raises(AuditError):
        async with AccountCompliance("a@x", away, HttpsEnvironment()):
            raise AssertionError("open")
