"""Messages go over a network to a verified database only."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from softphone.errors import ConfigurationError
from softphone.messaging.config import HistoryConfig
from softphone.messaging.storage import Audit, MessageArchive, ThirdPartyArchive
from softphone.messaging.storage.database import check_address

PLACE = "postgresql+asyncpg://"


@pytest.mark.parametrize(
    "address",
    [
        "sqlite+aiosqlite:///audit.db",
        PLACE + "/name",
        PLACE + "me:secret@localhost/name",
        PLACE + "127.0.0.1:5433/name",
        PLACE + "[::1]/name",
        PLACE + "/name?host=/run/postgresql",
        PLACE + "db.example.test/name?ssl=verify-full",
        PLACE + "/name?host=a.test:1&host=b.test:2&ssl=verify-full",
    ],
)
def test_what_stays_here_or_is_verified_is_taken(address):
    check_address(make_url(address), "audit")


@pytest.mark.parametrize(
    "address",
    [
        "db.example.test/name",
        "me:secret@192.0.2.1/name",
        "[2001:db8::1]/name",
        "localhost.example.test/name",
        "db.example.test/name?ssl=require",
        "db.example.test/name?ssl=verify-ca",
        "db.example.test/name?ssl=disable",
        "localhost/name?host=db.example.test",
        "/name?host=127.0.0.1:1&host=b.test:2",
    ],
)
def test_another_machine_that_nobody_verifies_is_refused(address):
    with pytest.raises(ConfigurationError, match=r"^audit: .*ssl=verify-full") as told:
        check_address(make_url(PLACE + address), "audit")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (PLACE + "/name?dsn=postgres://db.example.test/name", "dsn is not taken"),
        (PLACE + "localhost/name?service=other", "service is not taken"),
        (PLACE + "db.example.test/name?ssl=verify-full&direct_tls=1", "direct_tls is not taken"),
        (PLACE + "db.example.test/name?ssl=verify-full&passfile=/p", "passfile is not taken"),
        (PLACE + "/name?ssl=verify-full", "needs a host"),
        ("sqlite+aiosqlite:///file:audit.db?uri=true", "by its path"),
        ("sqlite+aiosqlite:///FILE:/tmp/audit.db", "by its path"),
        ("postgresql+psycopg://db.example.test/name?ssl=verify-full", r"postgresql\+asyncpg: only"),
    ],
)
def test_no_other_way_past_the_check_is_taken(address, told):
    with pytest.raises(ConfigurationError, match=told):
        check_address(make_url(address), "audit")


@pytest.mark.parametrize(
    ("usual", "taken"),
    [("/run/postgresql,localhost:5433", True), ("localhost,db.example.test", False)],
)
def test_a_host_in_the_environment_is_looked_at_too(monkeypatch, usual, taken):
    monkeypatch.setenv("PGHOST", usual)
    check_address(make_url(PLACE + "localhost/name"), "audit")
    if taken:
        check_address(make_url(PLACE + "/name"), "audit")
        return
    with pytest.raises(ConfigurationError, match="PGHOST names another machine"):
        check_address(make_url(PLACE + "/name"), "audit")


def test_archive_and_audit_trail_look_at_their_address():
    with pytest.raises(ConfigurationError, match=r"^im\.archive: .*verify-full"):
        MessageArchive(HistoryConfig(archive=PLACE + "db.example.test/name"), "alice")
    with pytest.raises(ConfigurationError, match=r"^audit: .*verify-full"):
        Audit(PLACE + "db.example.test/name")
    with pytest.raises(ConfigurationError, match=r"^im\.compliance\.archive: .*verify-full"):
        ThirdPartyArchive(PLACE + "db.example.test/name")
