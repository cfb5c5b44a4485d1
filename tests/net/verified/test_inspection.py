from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from cryptography import x509

from softphone.errors import CertificateUnknown, IdentityMismatch, TransportError
from softphone.net.verified.inspection import inspect_server, shown_chain
from softphone.sans_io import Target, Transport
from softphone.trust import Service, TlsSettings, TrustStore
from tests.support.pki import Pki, Shape

HOST = "im1.example.test"
PKI = Pki()


@asynccontextmanager
async def serving(held, folder):
    """A server with this certificate; gives its target, and what it was sent."""
    seen = []

    async def serve(reader, writer):
        try:
            seen.append(await reader.read())
        except OSError:
            seen.append(b"")
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=held.context(folder))
    async with server:
        yield Target(Transport.TLS, *server.sockets[0].getsockname()[:2], HOST), seen


def settings(*anchors):
    store = TrustStore(each.certificate for each in anchors)
    return TlsSettings(store=store, service=Service.HTTPS)


def chained(name=HOST):
    middle = PKI.make(Shape("middle", authority=True), PKI.root)
    return PKI.make(Shape(HOST, (x509.DNSName(name),)), middle)


async def test_what_is_shown_and_what_is_verified_are_told_apart(tmp_path):
    held = chained()
    async with serving(held, tmp_path) as (target, sent):
        seen = await inspect_server(target, settings(PKI.root))
    assert seen.shown == (held.certificate, held.above[0])
    assert seen.path == (held.certificate, *held.above)
    assert seen.identity.verdict == "chain"
    assert seen.refusal is None
    assert set(sent) <= {b""}


async def test_an_unknown_chain_is_shown_all_the_same(tmp_path):
    held = chained()
    async with serving(held, tmp_path) as (target, sent):
        seen = await inspect_server(target, settings())
    assert seen.shown[0] == held.certificate
    assert seen.path == ()
    assert type(seen.unverified) is type(seen.refusal) is CertificateUnknown
    assert set(sent) <= {b""}


async def test_a_path_may_be_sound_and_the_server_refused(tmp_path):
    held = chained("other.test")
    async with serving(held, tmp_path) as (target, _):
        seen = await inspect_server(target, settings(PKI.root))
    assert len(seen.path) == 3
    assert type(seen.refusal) is IdentityMismatch
    assert seen.identity is None


async def test_where_there_is_no_tls_there_is_nothing_to_look_at(unused_tcp_port):
    with pytest.raises(TransportError, match="cannot be reached"):
        await inspect_server(Target(Transport.TLS, "127.0.0.1", unused_tcp_port), settings())


@pytest.mark.parametrize("public", [False, True], ids=["3.11", "3.13"])
def test_the_chain_that_is_shown_is_read_in_both_ways(public):
    if public:
        session = SimpleNamespace(get_unverified_chain=lambda: [b"leaf"])
    else:
        certificate = SimpleNamespace(public_bytes=lambda form: b"leaf" if form == 2 else b"")
        inner = SimpleNamespace(get_unverified_chain=lambda: [certificate])
        session = SimpleNamespace(_sslobj=inner)
    assert shown_chain(session) == (b"leaf",)
