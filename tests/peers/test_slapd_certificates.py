"""A directory's certificate is judged before the first byte of LDAP: slapd sees no request."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from types import SimpleNamespace

import pytest
from cryptography import x509

from softphone.contacts import Contacts, LdapConfig
from softphone.errors import (
    CertificateError,
    CertificateExpired,
    CertificateRevoked,
    CertificateUntrusted,
    ConfigurationError,
    IdentityMismatch,
)
from softphone.net.http import RevocationFetcher
from softphone.net.verified.connector import ConnectorConfig
from softphone.security import KeyMaterial, Relaxation
from softphone.trust import Service, TlsSettings, TrustStore
from tests.peers.slapd.server import BASE, PASSWORD, READER, Slapd
from tests.support.bonsai import need_bonsai
from tests.support.http import WebServer
from tests.support.pki import DAY, NOW, Pki, Shape

pytestmark = pytest.mark.peer("slapd")
NAME = "ldap.example.test"
BAD = {
    "revoked": CertificateRevoked,
    "misnamed": IdentityMismatch,
    "expired": CertificateExpired,
    "self-signed": CertificateUntrusted,
    "foreign": CertificateUntrusted,
}


def certificate(kind: str, pki: Pki, crl: str):
    """A server's certificate of that kind."""
    names = (x509.DNSName(NAME), x509.IPAddress(ip_address("127.0.0.1")))
    if kind == "misnamed":
        return pki.leaf(Shape("mail.example.test", (x509.DNSName("mail.example.test"),)))
    if kind == "expired":
        return pki.leaf(Shape(NAME, names, starts=NOW - 30 * DAY, ends=NOW - timedelta(hours=1)))
    if kind == "self-signed":
        return pki.make(Shape(NAME, names))
    if kind == "foreign":
        return Pki("another root").leaf(Shape(NAME, names))
    return pki.leaf(Shape(NAME, names, crl=crl))


@pytest.fixture
async def world(peer_root, tmp_path):
    """`world.start(kind)` starts a slapd with such a certificate; the revoked one is on the CRL."""
    need_bonsai()
    pki, running = Pki(), []
    async with WebServer() as web:

        def start(kind):
            held = certificate(kind, pki, web.url("list.crl"))
            revoked = (held,) if kind == "revoked" else ()
            web.answers["/list.crl"] = pki.crl(*revoked)
            running.append(Slapd(peer_root, tmp_path / kind, held.pem()))
            return running[-1]

        yield SimpleNamespace(pki=pki, web=web, start=start)
        for one in running:
            one.stop()


def contacts(server, pki):
    from softphone.contacts.ldap import LdapDirectory

    tls = TlsSettings(
        store=TrustStore((pki.root.certificate,)),
        service=Service.LDAP,
        allow=frozenset({Relaxation.LOCAL_REVOCATION}),
    )
    host, port = server.address
    config = LdapConfig(
        "company",
        f"{host}:{port}",
        BASE,
        READER,
        KeyMaterial(PASSWORD.encode()),
        tls=tls,
        server_name=NAME,
    )
    return Contacts((LdapDirectory(config, ConnectorConfig(RevocationFetcher())),))


@pytest.mark.parametrize("kind", BAD)
async def test_a_server_that_is_not_believed_is_asked_nothing(world, kind):
    server = world.start(kind)
    async with contacts(server, world.pki) as found:
        with pytest.raises(BAD[kind]) as caught:
            await found.search("ann")
    assert isinstance(caught.value, CertificateError)
    assert PASSWORD not in str(caught.value)
    assert server.operations == []


async def test_a_server_on_no_revocation_list_is_searched(world):
    server = world.start("valid")
    async with contacts(server, world.pki) as found:
        assert [each.name for each in await found.search("ann")] == ["Anna Adler", "Annabel Baum"]
    assert len(world.web.requests) == 1
    assert server.operations


@pytest.mark.parametrize("port", [389, 3268])
def test_no_port_in_clear_is_taken(port):
    with pytest.raises(ConfigurationError, match=f"port {port} is LDAP in clear"):
        LdapConfig("company", f"ldap.example.test:{port}", BASE)
