"""Who may come in at a listener that demands client certificates, and what the others learn."""

from __future__ import annotations

import asyncio
import ssl
import subprocess

import pytest

from softphone.errors import CertificateError, ServerClosed, TransportError
from softphone.lab import Validity
from softphone.net import Driver
from softphone.sans_io import Transport
from softphone.security import ClientCertificates
from softphone.trust import TlsSettings, TrustStore
from tests.support.certificates import (
    HOST,
    alice,
    authority,
    mallory,
    server,
    settings,
    store,
    tls_target,
)
from tests.support.pki import needs_openssl
from tests.support.recorder import Down, Got, Recorder, Up, client_driver, until


async def attempt(folder, tls, *, demand=ClientCertificates.REQUIRED):
    """Connect and say something; gives the two recorders and what the client was told."""
    ours, theirs = Recorder(), Recorder()
    async with Driver(theirs, on_event=theirs.on_event) as far, client_driver(ours, tls) as near:
        listening = settings(folder, server(), "server", client_certificates=demand)
        target = tls_target(await far.listen(Transport.TLS, tls=listening))
        with near.change():
            ours.send(b"REGISTER", target)
        await until(lambda: theirs.seen(Got) or ours.seen(Down))
        failure = near.failure_of(target)
        counters = dict(far.counters)
        refusals = far.refusals
    return theirs, failure, counters, refusals


async def test_a_certificate_of_our_authority_is_let_in_and_named(tmp_path):
    theirs, failure, counters, _ = await attempt(tmp_path, settings(tmp_path, alice(), "alice"))
    assert failure is None
    assert theirs.seen(Up)[0].flow.identity.names[0] == "uri:sip:alice@example.test"
    assert counters == {"accepted": 1}


async def test_nobody_without_a_certificate_is_let_in(tmp_path):
    theirs, failure, counters, refusals = await attempt(tmp_path, settings(tmp_path, None))
    assert theirs.log == []
    assert type(failure) is ServerClosed
    assert "demands a client certificate" in str(failure)
    assert counters == {"refused": 1}
    assert isinstance(refusals[0][1], TransportError)


async def test_nobody_with_a_foreign_certificate_is_let_in(tmp_path):
    theirs, failure, _, refusals = await attempt(tmp_path, settings(tmp_path, mallory(), "eve"))
    assert theirs.log == []
    assert type(failure) is ServerClosed
    assert "refused our client certificate" in str(failure)
    assert isinstance(refusals[0][1], CertificateError)


async def test_nobody_with_an_expired_certificate_is_let_in(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    old = authority().client("sip:alice@example.test", validity=Validity.expired())
    credential = old.write(tmp_path, "old")
    context.load_cert_chain(credential.certificate, credential.key)
    theirs = Recorder()
    async with Driver(theirs, on_event=theirs.on_event) as far:
        address = await far.listen(Transport.TLS, tls=settings(tmp_path, server(), "server"))
        reader, writer = await asyncio.open_connection(*address, ssl=context)
        assert await reader.read() == b""
        writer.close()
        await until(lambda: far.refusals)
        assert "expired" in str(far.refusals[0][1])
    assert theirs.log == []


async def test_where_certificates_are_optional_a_wrong_one_is_still_refused(tmp_path):
    optional = ClientCertificates.OPTIONAL
    theirs, failure, *_ = await attempt(tmp_path, settings(tmp_path, None), demand=optional)
    assert failure is None
    assert theirs.seen(Up)[0].flow.identity is None
    tls = settings(tmp_path, mallory(), "eve")
    theirs, failure, *_ = await attempt(tmp_path, tls, demand=optional)
    assert theirs.log == []
    assert type(failure) is ServerClosed


async def test_where_none_is_asked_for_none_is_looked_at(tmp_path):
    tls = settings(tmp_path, mallory(), "eve")
    theirs, failure, *_ = await attempt(tmp_path, tls, demand=ClientCertificates.NONE)
    assert failure is None
    assert theirs.seen(Up)[0].flow.identity is None


@needs_openssl
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_the_alert_of_a_server_that_refuses_us_is_told(tmp_path, unused_tcp_port, version):
    credential = server().write(tmp_path, "server")
    anchor = authority().write(tmp_path)
    arguments = ["openssl", "s_server", "-accept", f"127.0.0.1:{unused_tcp_port}", version]
    arguments += ["-cert", str(credential.certificate), "-key", str(credential.key)]
    arguments += ["-CAfile", str(anchor), "-Verify", "1", "-verify_return_error", "-quiet"]
    process = await asyncio.create_subprocess_exec(
        *arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await until(lambda: _listens(unused_tcp_port))
        ours = Recorder()
        async with client_driver(ours, settings(tmp_path, mallory(), "eve")) as near:
            target = tls_target(("127.0.0.1", unused_tcp_port))
            with near.change():
                ours.send(b"", target)
            await until(lambda: ours.seen(Down))
            failure = near.failure_of(target)
        assert type(failure) is ServerClosed
        assert "TLS alert: unknown ca" in str(failure)
    finally:
        process.kill()
        await process.wait()


def _listens(port: int) -> bool:
    with open("/proc/net/tcp") as table:
        return any(f":{port:04X} 00000000:0000 0A" in line for line in table)


async def test_trusting_nobody_means_that_nobody_is_trusted(tmp_path):
    ours = Recorder()
    theirs = Recorder()
    async with (
        Driver(theirs, on_event=theirs.on_event) as far,
        client_driver(ours, TlsSettings(store=TrustStore())) as near,
    ):
        listening = settings(tmp_path, server(), "server", store=store())
        target = tls_target(await far.listen(Transport.TLS, tls=listening), HOST)
        with pytest.raises(CertificateError):
            await near.open_flow(target)
