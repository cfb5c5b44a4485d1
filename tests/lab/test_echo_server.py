"""The light far end of a calibration: answers each call and sends its packets back."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import sys
from contextlib import asynccontextmanager

import pytest

from softphone import MediaPreferences, Phone, SecurityLevel
from softphone.config import AccountConfig, TlsConfig
from softphone.errors import CallError, NoPortFree
from softphone.lab import LabConfig, echo_server
from softphone.lab.account_files import LabFiles
from softphone.lab.echo_server import EchoBackend, EchoServer, serve
from softphone.media.audio import ToneSource
from softphone.sans_io import Transport
from softphone.security import ClientCertificates, CryptoSuite, SrtpPolicy
from softphone.trust import TlsSettings, TrustStore
from softphone.trust.fips import random_bytes
from tests.support.waiting import PATIENCE, until


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


def test_two_calls_from_one_source_never_share_a_socket(monkeypatch):
    monkeypatch.setattr(echo_server, "SOCKETS", 2)
    backend = EchoBackend()
    try:
        backend.expect_source(("127.0.0.1", 9))
        first, second = (backend.allocate_stream() for _ in range(2))
        assert first.rtp_port != second.rtp_port
        with pytest.raises(NoPortFree, match="on each of 2 sockets"):
            backend.allocate_stream()
        backend.expect_source(("127.0.0.1", 11))
        backend.allocate_stream()
        backend.close_stream(first.handle)
        backend.expect_source(("127.0.0.1", 9))
        assert backend.allocate_stream().rtp_port == first.rtp_port
        for each in (second, second):  # again changes nothing
            backend.close_stream(each.handle)
    finally:
        backend.close()


async def test_a_call_for_which_no_socket_is_free_is_refused(tmp_path, monkeypatch):
    def no_port(self, **_):
        raise NoPortFree("none")

    async with echo(tmp_path, monkeypatch) as (server, port, authority), Phone() as phone:
        account = await phone.register(account_at(port, authority))
        monkeypatch.setattr(EchoBackend, "allocate_stream", no_port)
        with pytest.raises(CallError) as refused:
            await account.dial("echo").answered(timeout=PATIENCE)
        assert refused.value.status == 503
        assert not server._calls
        monkeypatch.undo()
        monkeypatch.setattr(echo_server, "SOCKETS", 2)
        async with account.dial("echo") as outgoing:
            await outgoing.answered(timeout=PATIENCE)


@pytest.mark.parametrize("srtp", [SrtpPolicy.REQUIRED, SrtpPolicy.OFF])
async def test_what_a_caller_says_comes_back(tmp_path, monkeypatch, srtp):
    async with echo(tmp_path, monkeypatch) as (server, port, authority), Phone() as phone:
        account = await phone.register(account_at(port, authority, srtp=srtp))
        calls = [await account.dial("echo").answered(timeout=PATIENCE) for _ in range(3)]
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
        suites = (CryptoSuite.AES_256_CM_HMAC_SHA1_80,)
        config = account_at(port, authority, srtp=SrtpPolicy.REQUIRED, suites=suites)
        account = await phone.register(config)
        with pytest.raises(CallError, match="488"):
            await account.dial("echo").answered(timeout=PATIENCE)
        assert not server._calls


async def test_it_serves_until_its_input_ends(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(echo_server, "SOCKETS", 2)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n\n"))
    before = gc.get_threshold()
    try:
        await serve(tmp_path)
    finally:
        # What it froze stays so: unfreezing would be for all that pytest collected, too.
        gc.set_threshold(*before)
    first, *answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert first == [first[0], str(tmp_path / "ca.crt")]
    assert 0 < first[0] < 65536
    assert [echoed for _, echoed in answers] == [0, 0]


def test_without_enough_ports_it_says_so(monkeypatch):
    monkeypatch.setattr(echo_server.PortPairs, "bind_pair", lambda *_, **__: None)
    with pytest.raises(SystemExit, match="not enough ports"):
        EchoBackend()
