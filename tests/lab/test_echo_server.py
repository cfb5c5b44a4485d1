"""The light far end of a calibration: answers each call and sends its packets back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from softphone import MediaPreferences, Phone, SecurityLevel
from softphone.config import AccountConfig, TlsConfig
from softphone.errors import CallError
from softphone.lab import LabConfig, echo_server
from softphone.lab.account_files import LabFiles
from softphone.lab.echo_server import EchoServer
from softphone.media.audio import ToneSource
from softphone.sans_io import Transport
from softphone.security import ClientCertificates, CryptoSuite, SrtpPolicy
from softphone.trust import TlsSettings, TrustStore
from softphone.trust.fips import random_bytes
from tests.support.waiting import until


@asynccontextmanager
async def echo(folder, monkeypatch):
    """An echo on two sockets; gives it, its port and the file of its authority."""
    monkeypatch.setattr(echo_server, "SOCKETS", 2)
    files = LabFiles(folder, LabConfig(users=()), entropy=random_bytes)
    tls = TlsSettings(
        store=TrustStore.from_sources(str(files.ca)),
        credential=files.server,
        client_certificates=ClientCertificates.NONE,
    )
    server = EchoServer()

    async def visit():
        while True:
            server.port.echo_packets()
            await asyncio.sleep(0.004)

    async with server.driver:
        address = await server.driver.listen(Transport.TLS, "127.0.0.1", 0, tls=tls)
        visiting = asyncio.ensure_future(visit())
        try:
            yield server, address[1], str(files.ca)
        finally:
            visiting.cancel()
            server.port.close()


def account_at(port, authority, **media):
    return AccountConfig(
        aor="sip:load@127.0.0.1",
        outbound_proxy=f"sips:127.0.0.1:{port}",
        tls=TlsConfig(ca=(authority,)),
        media=MediaPreferences(**media),
    )


@pytest.mark.parametrize("srtp", [SrtpPolicy.REQUIRED, SrtpPolicy.OFF])
async def test_what_a_caller_says_comes_back(tmp_path, monkeypatch, srtp):
    async with echo(tmp_path, monkeypatch) as (server, port, authority), Phone() as phone:
        account = await phone.register(account_at(port, authority, srtp=srtp))
        calls = [await account.dial("echo").answered(timeout=20) for _ in range(3)]
        for call in calls:
            call.audio.play(ToneSource(440.0))
        await until(lambda: all(each.audio.statistics.packets_received > 3 for each in calls))
        secure = calls[0].security.level is SecurityLevel.ENCRYPTED
        assert secure is (srtp is SrtpPolicy.REQUIRED)
        assert server.port.echoed >= 12
        for call in calls:
            call.hangup()
            await call.ended()
        await until(lambda: not server._calls)


async def test_a_call_that_it_cannot_have_is_refused(tmp_path, monkeypatch):
    async with echo(tmp_path, monkeypatch) as (server, port, authority), Phone() as phone:
        suites = (CryptoSuite.AEAD_AES_256_GCM,)
        config = account_at(port, authority, srtp=SrtpPolicy.REQUIRED, suites=suites)
        account = await phone.register(config)
        with pytest.raises(CallError, match="488"):
            await account.dial("echo").answered(timeout=20)
        assert not server._calls
