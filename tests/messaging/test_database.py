"""Messages go over a network to a verified database only."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from softphone.errors import ConfigurationError
from softphone.messaging.archive import Archive
from softphone.messaging.audit import Audit
from softphone.messaging.config import HistoryConfig
from softphone.messaging.database import check_address

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


def test_archive_and_audit_trail_look_at_their_address():
    with pytest.raises(ConfigurationError, match=r"^im\.archive: .*verify-full"):
        Archive(HistoryConfig(archive=PLACE + "db.example.test/name"), "alice")
    with pytest.raises(ConfigurationError, match=r"^audit: .*verify-full"):
        Audit(PLACE + "db.example.test/name")
