"""Certificates of a chat server that are not accepted: not one stanza reaches it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from softphone.errors import (
    CertificateExpired,
    CertificateRevoked,
    CertificateUnknown,
    IdentityMismatch,
)
from softphone.messaging.xmpp import StartTls
from softphone.net.verified.inspection import inspect_server
from softphone.sans_io import Target, Transport
from softphone.security import Relaxation
from softphone.trust import Service, TlsSettings, TrustStore
from tests.peers.chat import World
from tests.peers.prosody import DOMAIN
from tests.peers.prosody.server import xmpp_names
from tests.support.http import WebServer
from tests.support.pki import DAY, NOW, Pki, Shape

pytestmark = pytest.mark.peer("prosody")
NAMES = xmpp_names(DOMAIN)


def written(held, folder):
    """Certificate and key as Prosody has them."""
    path = folder / f"{held.certificate.serial_number:x}.pem"
    path.write_bytes(held.pem())
    return path, path


async def refused(kind, server, world, root, mode, *, allow=frozenset()):
    address = server.direct if mode == "direct" else server.starttls
    config = world.config("user56", address, aes=False, mode=mode)
    tls = replace(config.tls, store=TrustStore((root,)), allow=allow)
    config = replace(config, tls=tls)
    with pytest.raises(kind) as told:
        async with world.messages(config):
            raise AssertionError("signed in")
    assert "<auth" not in (server.folder / "prosody.log").read_text()
    return str(told.value)


@pytest.mark.feature("XMPP: a bad certificate of the server is refused")
@pytest.mark.parametrize("mode", ["direct", "starttls"])
@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        (Shape("x", (x509.DNSName("other.test"),)), IdentityMismatch),
        (Shape(DOMAIN, (x509.DNSName("other.test"),)), IdentityMismatch),
        (Shape("x", NAMES, ends=NOW - DAY / 2), CertificateExpired),
    ],
    ids=["misnamed", "misnamed-with-a-fitting-cn", "expired"],
)
async def test_a_server_s_certificate_is_judged(
    prosody_of_its_own, authority, tmp_path, shape, kind, mode
):
    pki = Pki()
    server = prosody_of_its_own(certificate=written(pki.leaf(shape), tmp_path))
    await refused(kind, server, World(authority, tmp_path), pki.root.certificate, mode)


@pytest.mark.feature("XMPP: a bad certificate of the server is refused")
async def test_a_self_signed_one_is_unknown(prosody_of_its_own, authority, tmp_path):
    pki = Pki()
    server = prosody_of_its_own(
        certificate=written(Pki("itself").make(Shape(DOMAIN, NAMES)), tmp_path)
    )
    world = World(authority, tmp_path)
    await refused(CertificateUnknown, server, world, pki.root.certificate, "direct")


@pytest.mark.feature("XMPP: a bad certificate of the server is refused")
@pytest.mark.parametrize("mode", ["direct", "starttls"])
async def test_a_revoked_one_is_refused(prosody_of_its_own, authority, tmp_path, mode):
    pki = Pki()
    async with WebServer() as web:
        held = pki.leaf(Shape(DOMAIN, NAMES, crl=web.url("crl")))
        web.answers["/crl"] = pki.crl(held)
        server = prosody_of_its_own(certificate=written(held, tmp_path))
        world = World(authority, tmp_path)
        near = frozenset({Relaxation.LOCAL_REVOCATION})
        await refused(CertificateRevoked, server, world, pki.root.certificate, mode, allow=near)


@pytest.mark.parametrize(
    "names", [NAMES[:1], NAMES[1:2], NAMES[2:], ()], ids=["xmppAddr", "SRVName", "dNSName", "CN"]
)
async def test_each_kind_of_name_counts(prosody_of_its_own, authority, tmp_path, names):
    pki = Pki()
    server = prosody_of_its_own(certificate=written(pki.leaf(Shape(DOMAIN, names)), tmp_path))
    world = World(authority, tmp_path)
    config = world.config("user56", server.direct, aes=False)
    tls = replace(config.tls, store=TrustStore((pki.root.certificate,)))
    async with world.messages(replace(config, tls=tls)) as messages:
        assert messages.is_up


@pytest.mark.parametrize("name", [DOMAIN, "other.test"])
async def test_it_can_be_looked_at_by_starttls(prosody_of_its_own, tmp_path, name):
    pki = Pki()
    held = pki.leaf(Shape("x", (x509.DNSName(name),)))
    server = prosody_of_its_own(certificate=written(held, tmp_path))
    store = TrustStore((pki.root.certificate,))
    target = Target(Transport.TLS, *server.starttls, DOMAIN)
    settings = TlsSettings(store=store, service=Service.XMPP)
    seen = await inspect_server(target, settings, starttls=lambda: StartTls(DOMAIN))
    assert seen.path == (held.certificate, pki.root.certificate)
    if name == DOMAIN:
        assert (seen.identity.verdict, seen.refusal) == ("chain", None)
    else:
        assert type(seen.refusal) is IdentityMismatch
    assert "<auth" not in (server.folder / "prosody.log").read_text()
