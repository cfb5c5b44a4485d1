"""Files up and down: judged before they move, done once their row is committed, whole or not."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from softphone.errors import (
    AuditError,
    CertificateUntrusted,
    ConfigurationError,
    TransferError,
    TransferRefused,
)
from softphone.messaging.compliance import ALLOW
from softphone.messaging.compliance.policies import DomainPolicy, FileSizePolicy, FileTypePolicy
from softphone.messaging.files import FileTransfer
from softphone.messaging.files.transfer import UploadSlot
from softphone.messaging.storage import Audit
from softphone.net.http import HttpsClient
from softphone.trust import Service
from tests.support.certificates import foreign, raw_server_context, server, settings
from tests.support.http import WebServer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200_000)


@asynccontextmanager
async def world(tmp_path, policies=(), issued=None):
    """A file server and a transfer; `rows` reads the audit table."""
    context = raw_server_context((issued or server()).write(tmp_path, "web"))
    web = WebServer(**{"f/pic.png": PNG})
    web.server = await asyncio.start_server(web._serve, "127.0.0.1", 0, ssl=context)
    web.base = f"https://127.0.0.1:{web.server.sockets[0].getsockname()[1]}"
    path = tmp_path / "audit.db"
    client = HttpsClient(settings(tmp_path, None, service=Service.HTTPS))
    async with web.server, Audit(f"sqlite+aiosqlite:///{path}") as audit:
        web.audit = audit
        yield web, FileTransfer("a@x.test", client, audit, policies)


def rows(tmp_path):
    database = sqlite3.connect(tmp_path / "audit.db")
    query = "select method, verdict, jid, to_jid, real_filename, filename, file_type, file_size"
    found = database.execute(f"{query} from aft_log order by aft_index").fetchall()
    database.close()
    return found


def slot(web, asked=None):
    headers = (("Authorization", "Basic abc"), ("Host", "evil.test"), ("Cookie", "a\r\nX: b"))

    async def ask(*wanted):
        if asked is not None:
            asked.append(wanted)
        return UploadSlot(f"{web.base}/put/pic.png", f"{web.base}/f/pic.png", headers)

    return ask


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "holiday.png"
    path.write_bytes(PNG)
    return path


async def test_a_file_goes_up_whole_and_its_row_is_there(tmp_path, picture):
    async with world(tmp_path, (FileSizePolicy(1 << 20), FileTypePolicy({"image/*"}))) as (
        web,
        transfer,
    ):
        web.status = "201 Created"
        moved = await transfer.upload_file(picture, slot(web), "b@x.test")
        assert (await web.audit.verify(moved.row)).broken is None
    head, _, body = web.requests[0].partition(b"\r\n\r\n")
    assert body == PNG
    assert head.startswith(b"PUT /put/pic.png ")
    assert b"Authorization: Basic abc" in head
    assert b"evil.test" not in head
    assert b"X: b" not in head
    told = ("a@x.test", "b@x.test", "holiday.png", "pic.png", "image/png", len(PNG))
    assert rows(tmp_path) == [("POST", "allow", *told), ("POST", "done", *told)]


async def test_what_is_refused_does_not_leave_and_is_written_down(tmp_path, picture):
    picture.write_bytes(b"MZ" + bytes(100))
    asked = []
    async with world(tmp_path, (FileTypePolicy({"image/*"}),)) as (web, transfer):
        with pytest.raises(TransferRefused, match="content is application/x-msdownload"):
            await transfer.upload_file(picture, slot(web, asked), "b@x.test")
    assert (web.requests, asked) == ([], [])
    assert [row[:2] for row in rows(tmp_path)] == [("POST", "deny")]


async def test_a_server_that_fails_is_no_transfer(tmp_path, picture):
    async with world(tmp_path) as (web, transfer):
        web.status = "413 Too Large"
        with pytest.raises(TransferError, match="413"):
            await transfer.upload_file(picture, slot(web), "b@x.test")
    assert [row[1] for row in rows(tmp_path)] == ["allow"]


async def test_a_server_that_is_not_believed_gets_nothing(tmp_path, picture):
    strange = foreign().server("127.0.0.1")
    async with world(tmp_path, issued=strange) as (web, transfer):
        with pytest.raises(CertificateUntrusted):
            await transfer.upload_file(picture, slot(web), "b@x.test")
    assert web.requests == []


async def test_a_file_comes_whole_and_is_its_owner_s(tmp_path):
    into = tmp_path / "got.png"
    async with world(tmp_path, (DomainPolicy({"x.test"}),)) as (web, transfer):
        moved = await transfer.download_file(f"{web.base}/f/pic.png", into, "b@x.test/phone")
        with pytest.raises(TransferError, match="cannot be made"):
            await transfer.download_file(f"{web.base}/f/pic.png", into, "b@x.test")
    assert into.read_bytes() == PNG
    assert into.stat().st_mode & 0o777 == 0o600
    assert (moved.type, moved.size) == ("image/png", len(PNG))
    assert [row[:2] for row in rows(tmp_path)][:2] == [("GET", "allow"), ("GET", "done")]


async def test_what_may_not_come_is_not_kept(tmp_path):
    async with world(tmp_path, (FileSizePolicy(1000),)) as (web, transfer):
        with pytest.raises(TransferRefused):
            await transfer.download_file(f"{web.base}/f/pic.png", tmp_path / "got.png", "b@x.test")
    assert not [each for each in tmp_path.iterdir() if "got" in each.name or "incom" in each.name]
    assert [row[:2] for row in rows(tmp_path)] == [("GET", "deny")]


async def test_without_an_audit_table_nothing_moves(tmp_path, picture):
    async with world(tmp_path) as (web, transfer):
        with sqlite3.connect(tmp_path / "audit.db") as database:
            database.execute("drop table aft_log")
        database.close()
        with pytest.raises(AuditError):
            await transfer.upload_file(picture, slot(web), "b@x.test")
        assert web.requests == []
        with pytest.raises(AuditError):
            await transfer.download_file(f"{web.base}/f/pic.png", tmp_path / "got.png", "b@x.test")
    assert not (tmp_path / "got.png").exists()


CRASHES = """
import asyncio, os, sys
from pathlib import Path
from softphone.messaging.files import transfer
from softphone.messaging.storage.audit import Audit
from tests.messaging.files.test_transfer import world

async def main(folder, where):
    write = Audit.append_record

    async def dies_at_done(self, record):
        if record.verdict == "done":
            os._exit(9)
        return await write(self, record)

    if where == "before the name":
        transfer._keep = lambda *_: os._exit(9)
    else:
        Audit.append_record = dies_at_done
    async with world(folder) as (web, own):
        await own.download_file(f"{web.base}/f/pic.png", folder / "got.png", "b@x.test")

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


@pytest.mark.parametrize(("where", "there"), [("before the name", False), ("before the row", True)])
def test_a_crash_leaves_no_row_of_a_file_that_is_not_there(tmp_path, where, there):
    command = [sys.executable, "-c", CRASHES, str(tmp_path), where]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 9, ended.stderr
    assert (tmp_path / "got.png").exists() is there
    assert [row[:2] for row in rows(tmp_path)] == [("GET", "allow")]


async def test_a_file_whose_row_cannot_be_written_is_not_kept(tmp_path, monkeypatch):
    write = Audit.append_record

    async def full(self, record):
        if record.verdict == "done":
            raise AuditError("full")
        return await write(self, record)

    async with world(tmp_path) as (web, transfer):
        monkeypatch.setattr(Audit, "append_record", full)
        with pytest.raises(AuditError):
            await transfer.download_file(f"{web.base}/f/pic.png", tmp_path / "got.png", "b@x.test")
    assert not (tmp_path / "got.png").exists()


async def test_only_https_is_an_address_of_a_file(tmp_path, picture):
    async def in_clear(*_):
        return UploadSlot("https://a.test/", "http://a.test/")

    async with world(tmp_path) as (_, transfer):
        with pytest.raises(TransferError, match="no place for the file"):
            await transfer.upload_file(picture, in_clear, "b@x.test")
        with pytest.raises(ConfigurationError):
            await transfer.download_file("file:///etc/passwd", tmp_path / "got", "b@x.test")


class Reader:
    """A policy that reads files whole, twice."""

    def __init__(self, decision=ALLOW):
        self.decision = decision
        self.seen = []

    async def decide(self, event):
        for _ in range(2):
            self.seen.append(b"".join([piece async for piece in event.content()]))
        return self.decision


async def test_a_policy_may_read_a_file_before_it_leaves_and_before_it_is_kept(tmp_path, picture):
    reader = Reader()
    async with world(tmp_path, (reader,)) as (web, transfer):
        web.status = "201 Created"
        await transfer.upload_file(picture, slot(web), "b@x.test")
        web.status = "200 OK"
        into = tmp_path / "in.png"
        await transfer.download_file(f"{web.base}/f/pic.png", into, "b@x.test")
    assert reader.seen == [PNG] * 4
    assert into.read_bytes() == PNG
    assert web.requests[0].endswith(PNG)


async def test_a_file_that_changes_while_a_policy_reads_it_goes_nowhere(tmp_path, picture):
    class Changer(Reader):
        async def decide(self, event):
            picture.write_bytes(PNG[:-1] + b"!")
            return await super().decide(event)

    async with world(tmp_path, (Changer(),)) as (web, transfer):
        with pytest.raises(TransferRefused, match="did not decide"):
            await transfer.upload_file(picture, slot(web), "b@x.test")
    assert web.requests == []
    assert [row[1] for row in rows(tmp_path)] == ["deny"]
