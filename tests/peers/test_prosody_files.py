"""Files through Prosody's upload service: slots, policies, audit; and what compliance is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from softphone.errors import MessageRefused, TransferError, TransferRefused
from softphone.messaging.compliance import ComplianceConfig, ContentKind
from softphone.messaging.storage import Audit
from softphone.trust import Service, TlsSettings, TrustStore
from tests.peers.chat import World, heard, jid, sees

pytestmark = pytest.mark.peer("prosody")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100_000)


@pytest.fixture
def world(authority, tmp_path):
    return World(authority, tmp_path)


@pytest.fixture
def compliance(world):
    tls = TlsSettings(
        store=TrustStore.from_sources(world.authority.certificate), service=Service.HTTPS
    )

    def make(name, **more):
        audit, archive = (f"sqlite+aiosqlite:///{world.folder / name}.{kind}" for kind in KINDS)
        return ComplianceConfig(**{"audit": audit, "archive": archive, "tls": tls, **more})

    return make


KINDS = ("audit", "archive")


def rows(world, name, query):
    with closing(sqlite3.connect(world.folder / name)) as database:
        return database.execute(query).fetchall()


AUDIT = "select method, verdict, kind, direction, file_size from aft_log order by aft_index"
ARCHIVE = "select from_jid, to_jid, body_text from jm order by id"


@pytest.mark.feature("XMPP: files by slots, with policy and audit (XEP-0363)")
async def test_a_file_goes_to_its_slot_and_comes_from_there(prosody, world, compliance):
    ann = world.config("user45", prosody.direct, aes=False, compliance=compliance("ann"))
    bob = world.config("user46", prosody.direct, aes=False, compliance=compliance("bob"))
    picture, into = world.folder / "holi day.png", world.folder / "got.png"
    picture.write_bytes(PNG)
    async with world.messages(ann) as one, world.messages(bob) as other:
        sent = await one.send_file(jid("user46"), picture)
        message = await heard(other)
        assert message.file == sent.message.file == message.body
        assert (message.security.sign, sent.message.security.sign) == ("lock", "lock")
        moved = await other.fetch_file(message, into)
        assert (into.read_bytes(), moved.type) == (PNG, "image/png")
        await one.send_file(jid("user46"), picture, kind=ContentKind.CAPTURE)
    size = len(message.file)
    assert rows(world, "ann.audit", AUDIT) == [
        ("POST", "allow", "file", "sent", len(PNG)),
        ("POST", "done", "file", "sent", len(PNG)),
        ("IM", "allow", "message", "sent", size),
        ("POST", "allow", "capture", "sent", len(PNG)),
        ("POST", "done", "capture", "sent", len(PNG)),
        ("IM", "allow", "message", "sent", size),
    ]
    assert rows(world, "bob.audit", AUDIT)[1:3] == [
        ("GET", "allow", "file", "received", len(PNG)),
        ("GET", "done", "file", "received", len(PNG)),
    ]
    async with Audit(compliance("ann").audit, make=False) as audit:
        assert (await audit.verify()).broken is None


async def test_what_is_too_large_or_forbidden_does_not_leave(prosody, world, compliance):
    policy = compliance("ann", types=("image/*",), captures=False, largest=400_000)
    ann = world.config("user47", prosody.direct, aes=False, compliance=policy)
    large, script = world.folder / "large.png", world.folder / "script.png"
    large.write_bytes(PNG + bytes(250_000))
    script.write_bytes(b"#!/bin/sh")
    async with world.messages(ann) as one:
        with pytest.raises(TransferError, match="takes files of 300000 bytes at most"):
            await one.send_file(jid("user48"), large)
        with pytest.raises(TransferRefused, match="text/x-script"):
            await one.send_file(jid("user48"), script)
        with pytest.raises(TransferRefused, match="switched off"):
            await one.send_file(jid("user48"), large, kind=ContentKind.CAPTURE)
    assert [row[:3] for row in rows(world, "ann.audit", AUDIT)] == [
        ("POST", "deny", "file"),
        ("POST", "deny", "capture"),
    ]


async def test_no_file_goes_where_a_server_may_read_nothing(prosody, world, compliance):
    ann = world.config("user49", prosody.direct, clear=False, compliance=compliance("ann"))
    path = world.folder / "a.txt"
    path.write_text("text")
    async with world.messages(ann) as one:
        with pytest.raises(MessageRefused, match="would lie at a server"):
            await one.send_file(jid("user50"), path)
    assert rows(world, "ann.audit", AUDIT) == []


@pytest.mark.feature("XMPP: clear messages in audit and third-party archive, others never")
async def test_only_what_is_clear_is_archived_for_others(prosody, world, compliance):
    ann = world.config("user51", prosody.direct, compliance=compliance("ann"))
    bob = world.config("user52", prosody.direct, compliance=compliance("bob"))
    carl = world.config("user53", prosody.direct, aes=False)
    async with (
        world.messages(ann) as one,
        world.messages(bob) as other,
        world.messages(carl) as third,
    ):
        await sees(one, jid("user52"))
        assert (await one.send(jid("user52"), "a secret")).message.security.sign == "key"
        await heard(other)
        await one.send(jid("user53"), "in clear")
        await heard(third)
        await third.send(jid("user51"), "as clear")
        await heard(one)
    assert rows(world, "ann.archive", ARCHIVE) == [
        (jid("user51"), jid("user53"), "in clear"),
        (jid("user53"), jid("user51"), "as clear"),
    ]
    assert rows(world, "bob.archive", ARCHIVE) == []
    told = "select direction, reason, length(sha256) from aft_log order by aft_index"
    secret = "encrypted client to client: not seen"
    assert rows(world, "ann.audit", told) == [
        ("sent", secret, 0),
        ("sent", "", 64),
        ("received", "", 64),
    ]
    assert rows(world, "bob.audit", told) == [("received", secret, 0)]
    for name in ("ann.audit", "bob.audit", "ann.archive", "bob.archive"):
        assert b"a secret" not in (world.folder / name).read_bytes()


async def test_a_wall_denies_and_says_why(prosody, world, compliance):
    walled = compliance("ann", domains=("elsewhere.test",))
    ann = world.config("user54", prosody.direct, aes=False, compliance=walled)
    async with world.messages(ann) as one:
        with pytest.raises(MessageRefused, match="a wall between us"):
            await one.send(jid("user55"), "hello")
    assert [row[1] for row in rows(world, "ann.audit", AUDIT)] == ["deny"]
    assert rows(world, "ann.archive", ARCHIVE) == []
