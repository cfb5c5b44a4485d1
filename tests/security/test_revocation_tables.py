"""The table of revocation, with a CRL server and a real OCSP responder, by SIP and by HTTPS.

Who is revoked, or is said to be good by a stale, forged or unknown word, sees nothing of us.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from softphone.security import Relaxation, RevocationMode
from softphone.trust import Service, TlsSettings, TrustStore
from tests.support.http import WebServer
from tests.support.peer import meet
from tests.support.pki import DAY, NOW, Held, Pki, Responder, Shape, needs_openssl

HOST = "im1.example.test"
OFF, SOFT, HARD = RevocationMode
LOCAL = frozenset({Relaxation.LOCAL_REVOCATION})
UNTRUSTED, REVOKED = "CertificateUntrusted", "CertificateRevoked"


class World:
    """A PKI with its CRL server and its OCSP responder."""

    def __init__(self, folder: Path, web: WebServer) -> None:
        self.folder = folder
        self.web = web
        self.pki = Pki()
        self.responder = Responder(self.pki, folder)
        self.ocsp_url = self.responder.url

    def server(self, *, crl=False, ocsp=False, issuer=None) -> Held:
        place = self.web.url("crl") if crl else None
        asked = self.ocsp_url if ocsp else None
        shape = Shape(HOST, (x509.DNSName(HOST),), crl=place, ocsp=asked)
        return self.pki.make(shape, issuer or self.pki.root)

    async def meet(self, held, service, *, mode=SOFT, allow=LOCAL, **more):
        store = TrustStore((self.pki.root.certificate,))
        tls = TlsSettings(store=store, service=service, revocation=mode, allow=allow)
        met = await meet(held.context(self.folder), tls, HOST, **more)
        # In every case: a refusal comes before the first byte.
        assert bool(met.seen) is (met.failure is None)
        return met.outcome


@pytest.fixture
async def world(tmp_path):
    async with WebServer() as web:
        made = World(tmp_path, web)
        async with made.responder:
            yield made


SOURCES = {"crl": {"crl": True}, "ocsp": {"ocsp": True}, "both": {"crl": True, "ocsp": True}}
sources = pytest.mark.parametrize("source", SOURCES)
services = pytest.mark.parametrize("service", [Service.SIP, Service.HTTPS], ids=str)
both_modes = pytest.mark.parametrize("mode", [SOFT, HARD], ids=str)


@needs_openssl
@sources
@services
@both_modes
async def test_good(world, source, service, mode):
    held = world.server(**SOURCES[source])
    world.web.answers["/crl"] = world.pki.crl()
    await world.responder.say(good=(held,))
    assert await world.meet(held, service, mode=mode) == "good"


@needs_openssl
@sources
@services
@both_modes
async def test_revoked(world, source, service, mode):
    held = world.server(**SOURCES[source])
    world.web.answers["/crl"] = world.pki.crl(held)
    await world.responder.say(revoked=(held,))
    assert await world.meet(held, service, mode=mode) == REVOKED


@services
@both_modes
async def test_issued_by_an_authority_that_is_revoked(world, service, mode):
    shape = Shape("middle", authority=True, crl=world.web.url("crl"))
    middle = world.pki.make(shape, world.pki.root)
    world.web.answers["/crl"] = world.pki.crl(middle)
    assert await world.meet(world.server(issuer=middle), service, mode=mode) == REVOKED


@services
@both_modes
async def test_nothing_declared(world, service, mode):
    assert await world.meet(world.server(), service, mode=mode) == "undeclared"
    assert world.web.requests == []


@services
@pytest.mark.parametrize(("mode", "expected"), [(SOFT, "unreachable"), (HARD, UNTRUSTED)])
async def test_a_server_that_has_nothing(world, service, mode, expected):
    held = world.server(crl=True)
    world.web.status = "404 Not Found"
    assert await world.meet(held, service, mode=mode) == expected


@services
@pytest.mark.parametrize(("mode", "expected"), [(SOFT, "unreachable"), (HARD, UNTRUSTED)])
async def test_a_server_that_is_not_there(world, service, mode, expected, unused_tcp_port):
    world.ocsp_url = f"http://127.0.0.1:{unused_tcp_port}/"
    assert await world.meet(world.server(ocsp=True), service, mode=mode) == expected


INVALID = LOCAL | {Relaxation.INVALID_REVOCATION}
wrongs = pytest.mark.parametrize(
    ("mode", "allow", "expected"),
    [(SOFT, LOCAL, UNTRUSTED), (HARD, LOCAL, UNTRUSTED), (SOFT, INVALID, "invalid")],
    ids=["soft", "hard", "allowed"],
)


@services
@wrongs
async def test_a_stale_crl(world, service, mode, allow, expected):
    held = world.server(crl=True)
    world.web.answers["/crl"] = world.pki.crl(ends=NOW - DAY)
    assert await world.meet(held, service, mode=mode, allow=allow) == expected


@services
@wrongs
async def test_a_crl_of_another_authority(world, service, mode, allow, expected):
    held = world.server(crl=True)
    world.web.answers["/crl"] = Pki().crl()
    assert await world.meet(held, service, mode=mode, allow=allow) == expected


@needs_openssl
@services
@wrongs
async def test_a_stale_ocsp_answer(world, service, mode, allow, expected):
    held = world.server(ocsp=True)
    await world.responder.say(good=(held,))
    later = datetime.now(UTC) + 2 * DAY  # the responder's word is good for an hour
    outcome = await world.meet(held, service, mode=mode, allow=allow, wall=lambda: later)
    assert outcome == expected


@needs_openssl
@services
@wrongs
async def test_a_responder_that_does_not_know(world, service, mode, allow, expected):
    held = world.server(ocsp=True)
    await world.responder.say()
    assert await world.meet(held, service, mode=mode, allow=allow) == expected


@services
async def test_off_nobody_is_asked(world, service):
    held = world.server(crl=True)
    world.web.answers["/crl"] = world.pki.crl(held)
    assert await world.meet(held, service, mode=OFF) == "unchecked"
    assert world.web.requests == []


@services
async def test_a_local_server_is_not_asked_without_the_setting(world, service):
    held = world.server(crl=True)
    world.web.answers["/crl"] = world.pki.crl(held)
    assert await world.meet(held, service, allow=frozenset()) == "unreachable"
    assert world.web.requests == []
