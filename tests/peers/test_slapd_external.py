"""SASL EXTERNAL: binding to slapd with nothing but the client certificate of the TLS connection."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.errors import DirectoryError
from softphone.trust import Service, TlsCredential, TlsSettings, TrustStore
from tests.peers.slapd.server import Shape, Slapd
from tests.peers.test_slapd_search import NAME, names
from tests.support.bonsai import need_bonsai
from tests.support.pki import Pki
from tests.support.pki import Shape as Certificate

pytestmark = pytest.mark.peer("slapd")


@pytest.fixture(scope="module")
def pki():
    return Pki()


@pytest.fixture(scope="module")
def slapd(peer_root, pki, tmp_path_factory):
    need_bonsai()
    root = pki.root.certificate.public_bytes(Encoding.PEM)
    shape = Shape(ca=root, client="contacts client")
    held = pki.leaf(Certificate(NAME))
    own = Slapd(peer_root, tmp_path_factory.mktemp("slapd"), held.pem(), shape)
    yield own
    own.stop()


def showing(pki, folder, name):
    held = pki.leaf(Certificate(name))
    path = folder / "client.pem"
    path.touch(mode=0o600)
    path.write_bytes(held.pem())
    return TlsSettings(
        store=TrustStore((pki.root.certificate,)),
        service=Service.LDAP,
        credential=TlsCredential(path, path),
    )


async def test_the_certificate_is_the_reader(slapd, pki, tmp_path):
    own = {"user": None, "password": None, "external": True}
    tls = showing(pki, tmp_path, "contacts client")
    assert await names(slapd, pki, "ann", tls=tls, **own) == ["Anna Adler", "Annabel Baum"]
    binds = [line for line in slapd.operations if "mech=EXTERNAL" in line]
    assert any('dn="cn=reader,dc=example,dc=test"' in line for line in binds)


async def test_another_certificate_may_not_search(slapd, pki, tmp_path):
    own = {"user": None, "password": None, "external": True}
    with pytest.raises(DirectoryError):
        await names(slapd, pki, "ann", tls=showing(pki, tmp_path, "somebody"), **own)
