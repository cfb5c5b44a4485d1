"""A resumed session has no verified chain, and old versions are not spoken: on either side."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.errors import TransportError
from softphone.net import Driver
from softphone.sans_io import Transport
from tests.support.certificates import (
    HOST,
    alice,
    authority,
    raw_server_context,
    server,
    settings,
    tls_target,
)
from tests.support.recorder import Recorder, Up, client_driver, until

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS, ids=str)
async def test_we_never_resume(version, tmp_path):
    context = raw_server_context(server().write(tmp_path, "eager"))
    context.minimum_version = context.maximum_version = version
    tls = settings(tmp_path, None)

    async def serve(reader, writer):
        writer.write(b"OPTIONS")  # the tickets of TLS 1.3 come with it
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with listening, client_driver(Recorder(), tls) as near:
        target = tls_target(listening.sockets[0].getsockname())
        for _ in range(3):
            near.close_flow(await near.open_flow(target))
            await until(lambda: not near.flows)
        # OpenSSL counts a connection once it is through on the server's side, too.
        await until(lambda: context.session_stats()["accept_good"] == 3)
    assert context.session_stats()["hits"] == 0


@pytest.mark.parametrize("version", VERSIONS, ids=str)
async def test_nobody_resumes_with_us(version, tmp_path):
    theirs = Recorder()
    async with Driver(theirs, on_event=theirs.on_event) as far:
        listening = settings(tmp_path, server(), "server")
        address = await far.listen(Transport.TLS, tls=listening)
        context = ssl.create_default_context(
            cadata=authority().certificate.public_bytes(Encoding.DER)
        )
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
        context.minimum_version = context.maximum_version = version
        own = alice().write(tmp_path, "alice")
        context.load_cert_chain(own.certificate, own.key)
        session = await asyncio.to_thread(handshake, context, address, None)
        assert await asyncio.to_thread(handshake, context, address, session) is not None
        # Some builds resume TLS 1.2 sessions from OpenSSL's own cache: then nobody is let in by it.
        told = 2 if REUSED[1] else 3
        assert not REUSED[0]
        await asyncio.to_thread(handshake, context, address, None)
        await until(lambda: sum(isinstance(each, Up) for each in theirs.log) >= told)
        assert sum(isinstance(each, Up) for each in theirs.log) == told


REUSED: list[bool] = []


def handshake(context, address, session):
    """One handshake with what was kept of the last; keeps whether it was resumed."""
    with (
        socket.create_connection(address) as sock,
        context.wrap_socket(sock, server_hostname=HOST, session=session) as tls,
    ):
        REUSED.append(tls.session_reused)
        del REUSED[:-2]
        return tls.session


async def test_a_server_of_tls_1_1_is_refused(tmp_path):
    context = raw_server_context(server().write(tmp_path, "old"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    seen = []
    listening = await asyncio.start_server(
        lambda reader, writer: seen.append(writer), "127.0.0.1", 0, ssl=context
    )
    async with listening, client_driver(Recorder(), settings(tmp_path, None)) as near:
        with pytest.raises(TransportError, match="TLS"):
            await near.open_flow(tls_target(listening.sockets[0].getsockname()))
    assert seen == []
