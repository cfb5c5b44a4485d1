"""A database's certificate is judged before a startup message: PostgreSQL sees no user's name."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.errors import (
    AuditError,
    CertificateExpired,
    CertificateRevoked,
    CertificateUntrusted,
    ConfigurationError,
    IdentityMismatch,
)
from softphone.messaging.config import HistoryConfig
from softphone.messaging.message import EncryptionScope, Message, MessageDirection, MessageSecurity
from softphone.messaging.storage import Audit, AuditRecord, DatabaseConnector, MessageArchive
from softphone.net.http import RevocationFetcher
from softphone.net.verified.connector import ConnectorConfig
from softphone.security import Relaxation
from softphone.trust import TlsSettings, TrustStore
from tests.peers.postgresql import PASSWORD, Postgresql
from tests.support.http import WebServer
from tests.support.pki import DAY, NOW, Pki, Shape

pytestmark = pytest.mark.peer("postgresql")
NAME = "db.example.test"
RECORD = AuditRecord("a@x.test", "b@x.test", "IM", "allow", "message", "sent")
BAD = {
    "revoked": CertificateRevoked,
    "misnamed": IdentityMismatch,
    "common name beside others": IdentityMismatch,
    "expired": CertificateExpired,
    "self-signed": CertificateUntrusted,
    "foreign": CertificateUntrusted,
}


def certificate(kind: str, pki: Pki, crl: str):
    """A server's certificate of that kind."""
    names = (x509.DNSName(NAME),)
    if kind == "misnamed":
        return pki.leaf(Shape("mail.example.test", (x509.DNSName("mail.example.test"),)))
    if kind == "common name beside others":
        return pki.leaf(Shape(NAME, (x509.IPAddress(ip_address("192.0.2.1")),)))
    if kind == "common name":
        return pki.leaf(Shape(NAME, crl=crl))
    if kind == "address":
        return pki.leaf(Shape(NAME, (x509.IPAddress(ip_address("127.0.0.1")),)))
    if kind == "expired":
        return pki.leaf(Shape(NAME, names, starts=NOW - 30 * DAY, ends=NOW - timedelta(hours=1)))
    if kind == "self-signed":
        return pki.make(Shape(NAME, names))
    if kind == "foreign":
        return Pki("another root").leaf(Shape(NAME, names))
    return pki.leaf(Shape(NAME, names, crl=crl))


@pytest.fixture
async def world(peer_root, tmp_path):
    """`world.start(kind)` starts a server with such a certificate; the revoked one is on the CRL;
    `world.network()` is a way to it."""
    pki, running = Pki(), []

    async def resolve(host):
        assert host == NAME
        return ["127.0.0.1"]

    def network():
        tls = TlsSettings(
            store=TrustStore((pki.root.certificate,)),
            allow=frozenset({Relaxation.LOCAL_REVOCATION}),
        )
        return DatabaseConnector(tls, ConnectorConfig(RevocationFetcher(), resolve))

    async with WebServer() as web:

        def start(kind):
            held = certificate(kind, pki, web.url("list.crl"))
            web.answers["/list.crl"] = pki.crl(*((held,) if kind == "revoked" else ()))
            running.append(Postgresql(peer_root, tmp_path / "postgresql", held.pem()))
            return running[-1]

        yield SimpleNamespace(pki=pki, web=web, start=start, network=network)
        for one in running:
            one.stop()


@pytest.mark.parametrize("kind", BAD)
async def test_a_server_that_is_not_believed_is_told_nothing(world, kind):
    server = world.start(kind)
    with pytest.raises(BAD[kind]) as caught:
        await Audit(server.address_at(NAME), world.network()).__aenter__()
    assert PASSWORD not in str(caught.value)
    assert server.startups == 0


@pytest.mark.parametrize("kind", ["valid", "common name"])
async def test_several_connections_of_a_pool_are_each_judged_and_write(world, kind):
    server = world.start(kind)
    async with Audit(server.address_at(NAME), world.network()) as one:
        async with Audit(server.address_at(NAME), world.network()) as two:
            await asyncio.gather(
                *(each.append_record(RECORD) for _ in range(5) for each in (one, two))
            )
            assert ((await one.verify()).rows, (await two.verify()).broken) == (10, None)
        query = one._sa.text("select ssl, version from pg_stat_ssl where pid = pg_backend_pid()")
        async with one._engine.connect() as first, one._engine.connect() as second:
            for each in (first, second):
                encrypted, version = (await each.execute(query)).one()
                assert encrypted
                assert version in ("TLSv1.2", "TLSv1.3")
        assert len(one._storage._database._network._keepers) == 2
    assert one._storage._database._network._keepers == set()
    assert server.startups >= 3
    assert len(world.web.requests) >= 1


async def test_large_messages_go_through_and_an_archive_comes_back(world):
    server = world.start("valid")
    config = HistoryConfig(archive=server.address_at(NAME))
    body = "a long message " * 100_000
    message = Message(
        id="1",
        peer="b@x",
        sender="b@x",
        body=body,
        at=datetime(2026, 1, 2, tzinfo=UTC),
        direction=MessageDirection.RECEIVED,
        security=MessageSecurity(EncryptionScope.CLIENT_TO_SERVER),
    )
    async with MessageArchive(config, "a@x", world.network()) as archive:
        await archive.add_message(message)
    async with MessageArchive(config, "a@x", world.network()) as archive:
        assert [each.body async for each in archive.read_messages()] == [body]


async def test_a_query_that_takes_too_long_ends_and_the_next_one_has_a_new_connection(world):
    server = world.start("valid")
    async with Audit(server.address_at(NAME), world.network(), within=20.0) as audit:
        await audit.append_record(RECORD)
        before = server.startups
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), audit._engine.begin() as connection:
                await connection.execute(audit._sa.text("select pg_sleep(30)"))
        await audit.append_record(RECORD)
        assert (await audit.verify()).rows == 2
        assert server.startups > before


async def test_a_server_that_comes_back_is_judged_again(world):
    server = world.start("valid")
    async with Audit(server.address_at(NAME), world.network()) as audit:
        await audit.append_record(RECORD)
        server.stop()
        with pytest.raises(AuditError, match="nothing goes on") as caught:
            await audit.append_record(RECORD)
        assert PASSWORD not in str(caught.value)
        await asyncio.to_thread(server.start)
        await audit.append_record(RECORD)
        assert (await audit.verify()).rows == 2


async def test_a_wrong_password_is_told_without_it(world):
    server = world.start("valid")
    address = server.address_at(NAME).replace("tests:", "tests:wrong")
    with pytest.raises(AuditError, match="InvalidPasswordError") as caught:
        await Audit(address, world.network()).__aenter__()
    assert PASSWORD not in str(caught.value)


async def test_the_command_believes_the_authority_that_it_is_given(world, tmp_path):
    server = world.start("address")
    address = server.address_at("127.0.0.1")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(world.pki.root.certificate.public_bytes(Encoding.PEM))
    async with Audit(address, world.network()) as audit:
        noted = await audit.append_record(RECORD)

    def verify(*more):
        command = [sys.executable, "-m", "softphone", "compliance", "verify", address, *more]
        surroundings = os.environ | {"XDG_STATE_HOME": str(tmp_path)}
        return subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=50)

    good = await asyncio.to_thread(verify, "--ca", str(ca), "--head", noted)
    assert (good.returncode, f"the newest hash is {noted}" in good.stdout) == (0, True), good
    before = server.startups
    refused = await asyncio.to_thread(verify)
    assert refused.returncode == 3, refused
    assert server.startups == before
    assert PASSWORD not in refused.stdout + refused.stderr


async def test_its_name_without_verification_is_no_address(world):
    with pytest.raises(ConfigurationError, match="verify-full"):
        Audit(f"postgresql+asyncpg://tests@{NAME}/postgres", world.network())
