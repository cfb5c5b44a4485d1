"""Handshakes to measure a server: full ones verified, resumed ones only of what was verified."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import asynccontextmanager

import pytest
from cryptography import x509

from softphone.errors import (
    CertificateUnknown,
    ConfigurationError,
    IdentityMismatch,
    TransportError,
    TransportTimeout,
)
from softphone.net import DriverConfig, TransportLimits
from softphone.net.verified.timed_handshake import HandshakeTimer
from softphone.sans_io import Target, Transport
from softphone.trust import Service, TlsSettings, TrustStore
from tests.support.pki import Pki, Shape

HOST = "pbx.example.test"
PKI = Pki()


@asynccontextmanager
async def serving(folder, *, name=HOST, version=None, tickets=True, port=0):
    """A server of TLS; gives its target, its context, and what it was sent."""
    held = PKI.make(Shape(HOST, (x509.DNSName(name),)), PKI.root)
    context = held.context(folder)
    if version is not None:
        context.maximum_version = context.minimum_version = version
    if not tickets:
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    seen = []

    async def serve(reader, writer):
        try:
            seen.append(await reader.read())
        except OSError:
            seen.append(b"")
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
    async with server:
        target = Target(Transport.TLS, *server.sockets[0].getsockname()[:2], HOST)
        yield target, context, seen


def timer(target, *anchors, limits=None, **settings):
    store = TrustStore(each.certificate for each in anchors or (PKI.root,))
    tls = TlsSettings(store=store, service=Service.SIP, **settings)
    config = DriverConfig(limits=limits or TransportLimits())
    return HandshakeTimer(target, tls, config, clock=time.monotonic)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_session_is_resumed_again_and_again_and_nothing_is_sent(tmp_path, version):
    async with serving(tmp_path, version=version) as (target, context, sent):
        made = timer(target)
        seconds, identity = await made.handshake()
        assert 0 < seconds < 30
        assert identity.verdict == "chain"
        kept = await made.resumable_session()
        for _ in range(3):
            seconds, resumed, kept = await made.resume(kept)
            assert resumed
            assert kept.identity.fingerprint == identity.fingerprint
        hits = context.session_stats()["hits"]
    assert hits == 3
    assert set(sent) <= {b""}


async def test_a_server_without_sessions_gives_none(tmp_path):
    async with serving(tmp_path, version=ssl.TLSVersion.TLSv1_3, tickets=False) as (target, *_):
        assert await timer(target).resumable_session() is None


async def test_a_server_that_does_not_resume_does_a_full_handshake_which_is_judged(tmp_path):
    async with serving(tmp_path) as (target, *_):
        made = timer(target)
        kept = await made.resumable_session()
        with pytest.raises(ValueError, match="different SSLContext"):
            await timer(target).resume(kept)  # that of another trust: Python refuses it
    async with serving(tmp_path, port=target.port) as _:  # restarted: it has other ticket keys
        _, resumed, following = await made.resume(kept)
        assert not resumed
        assert following.identity.verdict == "chain"
    async with serving(tmp_path, port=target.port, name="other.test") as _:
        with pytest.raises(IdentityMismatch):
            await made.resume(kept)


async def test_a_server_that_cannot_be_verified_is_refused_before_and_after_the_path(tmp_path):
    async with serving(tmp_path, name="other.test") as (target, *_):
        with pytest.raises(IdentityMismatch):
            await timer(target).handshake()
        with pytest.raises(IdentityMismatch):
            await timer(target).resumable_session()
        stranger = Pki()
        with pytest.raises(CertificateUnknown):
            await timer(target, stranger.root).handshake()


async def test_a_pin_by_fingerprint_is_refused(tmp_path):
    target = Target(Transport.TLS, "127.0.0.1", 5061, HOST)
    with pytest.raises(ConfigurationError, match="authority"):
        timer(target, pin="0" * 64)


async def test_what_is_no_server_of_tls_is_said_to_be_none(unused_tcp_port):
    async def speak(reader, writer):
        writer.write(b"220 hello\r\n" * 4)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        target = Target(Transport.TLS, *server.sockets[0].getsockname()[:2])
        with pytest.raises(TransportError, match="no TLS"):
            await timer(target).handshake()
    with pytest.raises(TransportError, match="cannot be reached"):
        await timer(Target(Transport.TLS, "127.0.0.1", unused_tcp_port)).handshake()


async def test_a_silent_server_and_one_that_hangs_up_end_in_time():
    silent = socket.create_server(("127.0.0.1", 0))
    with silent:
        target = Target(Transport.TLS, *silent.getsockname()[:2])
        with pytest.raises(TransportTimeout):
            await timer(target, limits=TransportLimits(handshake_timeout=0.05)).handshake()

    async def hang_up(reader, writer):
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        target = Target(Transport.TLS, *server.sockets[0].getsockname()[:2])
        with pytest.raises(TransportError, match="closed the connection"):
            await timer(target).handshake()
