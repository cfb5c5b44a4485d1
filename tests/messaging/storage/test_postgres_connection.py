"""A database elsewhere: TLS is asked for and judged first, and asyncpg speaks only then."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field

import asyncpg
import pytest

from softphone.errors import (
    AuditError,
    CertificateUntrusted,
    IdentityMismatch,
    SoftphoneError,
    TransportError,
)
from softphone.lab import CertificateNames
from softphone.messaging.config import HistoryConfig
from softphone.messaging.storage import (
    Audit,
    AuditRecord,
    DatabaseConnector,
    MessageArchive,
    ThirdPartyArchive,
)
from softphone.net.http import RevocationFetcher
from softphone.net.verified.connector import ConnectorConfig
from tests.support.certificates import (
    HOST,
    authority,
    foreign,
    raw_server_context,
    settings,
)
from tests.support.waiting import PATIENCE

REQUEST = bytes.fromhex("0000000804d2162f")
SECRET = "a password"


@dataclass
class FakeServer:
    """Answers a request for TLS with `answer`; what came in clear, and within TLS."""

    context: ssl.SSLContext
    answer: bytes = b"S"
    port: int = 0
    clear: list[bytes] = field(default_factory=list)
    within: list[bytes] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            self.clear.append(await reader.readexactly(8))
            writer.write(self.answer)
            await writer.drain()
            if self.answer == b"S":
                await writer.start_tls(self.context)
                size = int.from_bytes(await reader.readexactly(4), "big")
                self.within.append(await reader.readexactly(size - 4))
                # "57P03: the database system is starting up"
                text = b"SFATAL\0VFATAL\0C57P03\0Mstarting\0\0"
                writer.write(b"E" + (len(text) + 4).to_bytes(4, "big") + text)
                await writer.drain()
            else:
                self.clear.append(await reader.read())
        writer.close()
        self.over.set()


@contextlib.asynccontextmanager
async def serving(tmp_path, answer=b"S", issuer=None, name=HOST):
    issued = (issuer or authority()).server(name, CertificateNames(dns=(name,)))
    fake = FakeServer(raw_server_context(issued.write(tmp_path, "database")), answer)
    async with await asyncio.start_server(fake.serve, "127.0.0.1", 0) as listening:
        fake.port = listening.sockets[0].getsockname()[1]
        yield fake


def network(tmp_path):
    async def resolve(host):
        return ["127.0.0.1"]

    config = ConnectorConfig(RevocationFetcher(), resolve=resolve)
    return DatabaseConnector(settings(tmp_path, None), config)


def options(fake, **more):
    place = {"host": HOST, "port": fake.port, "user": "me", "password": SECRET, "database": "d"}
    return {**place, "ssl": "verify-full", **more}


async def refused(tmp_path, fake):
    with pytest.raises(SoftphoneError) as caught:
        await network(tmp_path).connect(**options(fake))
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("answer", "told"), [(b"N", "has no TLS"), (b"Sx", "in clear"), (b"E", "does not speak")]
)
async def test_a_server_that_makes_no_tls_gets_nothing_in_clear(tmp_path, answer, told):
    async with serving(tmp_path, answer) as fake:
        error = await refused(tmp_path, fake)
        await asyncio.wait_for(fake.over.wait(), PATIENCE)
    assert isinstance(error, TransportError)
    assert told in str(error)
    assert (fake.clear, fake.within) == ([REQUEST, b""], [])


@pytest.mark.parametrize(
    ("shown", "error"),
    [
        ({"name": "mail.example.test"}, IdentityMismatch),
        ({"issuer": foreign()}, CertificateUntrusted),
    ],
)
async def test_a_server_that_is_not_believed_gets_no_startup_message(tmp_path, shown, error):
    async with serving(tmp_path, **shown) as fake:
        assert isinstance(await refused(tmp_path, fake), error)
    assert (fake.clear, fake.within) == ([REQUEST], [])


async def test_without_settings_nobody_is_believed(tmp_path):
    async with serving(tmp_path) as fake:
        with pytest.raises(CertificateUntrusted):
            await DatabaseConnector().connect(**options(fake, host="127.0.0.1"))
    assert fake.within == []


async def test_a_believed_server_gets_the_startup_message_and_its_refusal_is_told(tmp_path):
    async with serving(tmp_path) as fake:
        with pytest.raises(asyncpg.CannotConnectNowError):
            await network(tmp_path).connect(**options(fake))
        assert fake.clear == [REQUEST]
        (startup,) = fake.within
    assert startup.startswith(b"\x00\x03\x00\x00")
    assert b"user\0me\0" in startup


async def test_the_next_host_is_tried_but_not_after_one_that_is_not_believed(tmp_path):
    async with serving(tmp_path, b"N") as first, serving(tmp_path) as second:
        ports = [first.port, second.port]
        with pytest.raises(TransportError, match="has no TLS"):
            await network(tmp_path).connect(**options(first, host=[HOST, HOST], port=ports))
        assert len(second.within) == 1
    folder = tmp_path / "other"
    folder.mkdir()
    async with serving(folder, issuer=foreign()) as first, serving(tmp_path) as second:
        ports = [first.port, second.port]
        with pytest.raises(CertificateUntrusted):
            await network(tmp_path).connect(**options(first, host=[HOST, HOST], port=ports))
        assert (first.within, second.clear) == ([], [])


@pytest.mark.parametrize("asked", [None, "prefer"])
async def test_loopback_is_spoken_to_in_clear_as_before(tmp_path, asked, monkeypatch):
    monkeypatch.delenv("PGSSLMODE", raising=False)
    heard = asyncio.get_running_loop().create_future()

    async def serve(reader, writer):
        size = int.from_bytes(await reader.readexactly(4), "big")
        heard.set_result(await reader.readexactly(size - 4))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        place = {"host": "127.0.0.1", "port": port, "user": "me", "database": "d", "ssl": asked}
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await network(tmp_path).connect(**place)
        assert (await heard).startswith(b"\x00\x03\x00\x00")


@pytest.mark.parametrize("asked", ["require", "verify-full"])
async def test_tls_that_is_asked_for_at_loopback_is_ours_too(tmp_path, asked):
    async with serving(tmp_path) as fake:
        with pytest.raises(IdentityMismatch):
            await network(tmp_path).connect(**options(fake, host="127.0.0.1", ssl=asked))
    assert (fake.clear, fake.within) == ([REQUEST], [])


async def test_archive_audit_trail_and_third_party_archive_tell_who_was_not_believed(tmp_path):
    async with serving(tmp_path, issuer=foreign()) as fake:
        place = f"postgresql+asyncpg://me:{SECRET}@{HOST}:{fake.port}/d?ssl=verify-full"
        for one in (
            MessageArchive(HistoryConfig(archive=place), "me@x", network(tmp_path)),
            Audit(place, network(tmp_path)),
            ThirdPartyArchive(place, network(tmp_path)),
        ):
            with pytest.raises(CertificateUntrusted):
                await one.__aenter__()
        record = AuditRecord("a@x", "b@x", "IM", "allow", "message", "sent")
        with pytest.raises(AuditError, match="nothing goes on") as caught:
            async with Audit(place, network(tmp_path), make=False) as audit:
                await audit.append_record(record)
    assert SECRET not in str(caught.value)
    assert fake.within == []
