"""A server that shows no intermediate authority: its issuer is fetched from listed hosts only, and
never becomes an anchor.  What the server and the HTTP host saw is what they have recorded.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.errors import (
    CertificateExpired,
    CertificateRevoked,
    CertificateUnknown,
    CertificateUntrusted,
    IdentityMismatch,
)
from softphone.net.http import RevocationFetcher
from softphone.net.stream import issuer_fetching, tls_handshake
from softphone.net.verified.inspection import inspect_server
from softphone.security import Relaxation
from softphone.trust import Service, TlsSettings, TrustStore, der_of
from tests.support.certificates import HOST, alice, authority, tls_target
from tests.support.http import WebServer
from tests.support.pki import DAY, NOW, Held, Pki, Shape
from tests.support.recorder import Recorder, client_driver, until

LOCAL = frozenset({Relaxation.LOCAL_REVOCATION})
NAMES = (x509.DNSName(HOST),)


@dataclass
class Server:
    """A TLS server that shows one certificate, and keeps what it was shown and sent."""

    context: ssl.SSLContext
    clients: list[bytes | None] = field(default_factory=list)
    seen: bytes = b""

    async def __aenter__(self):
        self.listening = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        self.target = tls_target(self.listening.sockets[0].getsockname()[:2])
        return self

    async def __aexit__(self, *exc_info):
        self.listening.close()
        await self.listening.wait_closed()

    async def _serve(self, reader, writer):
        session = writer.get_extra_info("ssl_object")
        self.clients.append(session.getpeercert(binary_form=True))
        try:
            while data := await reader.read(1024):
                self.seen += data
        except OSError:
            pass  # how it ends is the client's affair
        writer.close()


class Scene:
    """A root, some authorities beneath it, and a server that shows its own certificate only."""

    def __init__(self, web: WebServer, *, missing: int = 1, **leaf) -> None:
        self.web = web
        self.pki = Pki()
        self.above: list[Held] = [self.pki.root]
        for number in range(missing):
            shape = Shape(f"sub {number}", authority=True, issuer_at=self.place())
            self.above.append(self.pki.make(shape, self.above[-1]))
            web.answers[f"/{number + 1}"] = der_of(self.above[-1].certificate)
        self.leaf = self.pki.make(
            Shape(**{"names": NAMES, "issuer_at": self.place(), **leaf}), self.above[-1]
        )
        self.fetcher = RevocationFetcher()
        self.hosts = frozenset({f"127.0.0.1:{web.port}"})

    def place(self) -> str:
        """Where the certificate of the last authority is."""
        return self.web.url(str(len(self.above) - 1))

    def server(self, folder, shown: Held | None = None) -> Server:
        alone = Held((shown or self.leaf).certificate, self.leaf.key)
        context = alone.context(folder)
        # In TLS 1.2 a server has seen the client's certificate when the client is done, in TLS 1.3
        # a connection that is aborted then has shown nothing yet.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=der_of(authority().certificate))
        return Server(context)

    def settings(self, folder, **more) -> TlsSettings:
        given = {"store": TrustStore([self.pki.root.certificate]), "allow": LOCAL}
        given |= {"aia_hosts": self.hosts, "credential": alice().write(folder, "alice")}
        return TlsSettings(**{**given, **more})

    async def connect(self, folder, shown: Held | None = None, **more):
        """Connect, which may be refused; gives the identity of the server and what it has seen."""
        ours = Recorder()
        async with self.server(folder, shown) as server:
            self.clients = server.clients
            try:
                tls = self.settings(folder, **more)
                async with client_driver(ours, tls, fetcher=self.fetcher) as near:
                    flow = await near.open_flow(server.target)
                return flow.identity, server
            finally:
                assert server.seen == b""

    async def refused(
        self, folder, error=CertificateUnknown, shown=None, *, after_tls=False, **more
    ) -> str:
        """It is refused so, and our certificate was seen by nobody.

        `after_tls`: an anchor of ours vouches for it, and what is wrong otherwise is judged once
        the handshake is over, as for every server.
        """
        with pytest.raises(error) as caught:
            await self.connect(folder, shown, **more)
        assert type(caught.value) is error
        assert any(self.clients) == after_tls
        return str(caught.value)


@pytest.fixture
async def web():
    async with WebServer() as running:
        yield running


async def test_the_issuer_is_learned_without_our_certificate_and_a_new_handshake_verifies(
    web, tmp_path
):
    scene = Scene(web)
    ours = Recorder()
    tls = scene.settings(tmp_path)
    async with (
        scene.server(tmp_path) as server,
        client_driver(ours, tls, fetcher=scene.fetcher) as near,
    ):
        flow = await near.open_flow(server.target)
        assert (flow.identity.verdict, flow.identity.revocation) == ("chain", "undeclared")
        # The first handshake failed in the client; the second only looked; the third is in use.
        await until(lambda: len(server.clients) == 2)
        assert server.clients == [None, der_of(alice().certificate)]
        assert [each.partition(b"\r\n")[0] for each in web.requests] == [b"GET /1 HTTP/1.1"]
        assert b"ookie" not in web.requests[0]
        # It is known now: one handshake, and nothing is fetched.
        await near.probe_target(server.target)
        await until(lambda: len(server.clients) == 3)
        assert len(web.requests) == 1


async def test_it_is_off_by_default_and_an_empty_list_is_off(web, tmp_path):
    scene = Scene(web)
    assert TlsSettings().aia_hosts == frozenset()
    await scene.refused(tmp_path, aia_hosts=frozenset())
    assert web.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9", "localhost", "pki.example.test"])
async def test_no_other_host_or_port_is_asked(host, web, tmp_path):
    await Scene(web).refused(tmp_path, aia_hosts=frozenset({host}))
    assert web.requests == []


async def test_a_listed_name_that_leads_to_this_machine_is_not_asked(web, tmp_path):
    """The address policy of revocation is that of issuers: listing a host does not change it."""
    await Scene(web).refused(tmp_path, allow=frozenset())
    assert web.requests == []


async def test_a_redirect_is_not_followed(web, tmp_path):
    scene = Scene(web)
    web.status = f"302 Found\r\nLocation: {web.url('1')}"
    await scene.refused(tmp_path)
    assert len(web.requests) == 1


async def test_the_octet_after_64_kilobytes_is_one_too_many(web, tmp_path):
    scene = Scene(web)
    web.answers["/1"] = der_of(scene.above[1].certificate).ljust((64 << 10) + 1, b"\0")
    await scene.refused(tmp_path)
    comment = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("1.3.6.1.4.1.32473.1"), b"x" * 64_500
    )
    scene = Scene(web, missing=0)
    shape = Shape("large", authority=True, more=(comment,))
    large = scene.pki.make(shape, scene.pki.root)
    scene.leaf = scene.pki.make(Shape(names=NAMES, issuer_at=web.url("large")), large)
    web.answers["/large"] = der_of(large.certificate)
    assert 64_500 < len(web.answers["/large"]) <= 64 << 10
    assert (await scene.connect(tmp_path))[0] is not None


async def test_a_host_that_does_not_answer_holds_up_nobody_for_longer(web, tmp_path, monkeypatch):
    assert issuer_fetching.ISSUERS_WITHIN == 2.0
    monkeypatch.setattr(issuer_fetching, "ISSUERS_WITHIN", 0.2)
    scene = Scene(web, missing=2)
    web.silent = True
    await scene.refused(tmp_path)
    # That it did not answer is kept for a while, too.
    await scene.refused(tmp_path)
    assert len(web.requests) == 1


@pytest.mark.parametrize(
    "answer", [b"", b"garbage", b"\x30\x82\xff\xff", b"-----BEGIN CERTIFICATE"]
)
async def test_garbage_is_refused_and_asked_for_anew(answer, web, tmp_path):
    scene = Scene(web)
    sound, web.answers["/1"] = web.answers["/1"], answer
    await scene.refused(tmp_path)
    web.answers["/1"] = sound
    assert (await scene.connect(tmp_path))[0] is not None


async def test_three_missing_ones_are_found_and_four_are_not(web, tmp_path):
    assert (await Scene(web, missing=3).connect(tmp_path))[0] is not None
    assert len(web.requests) == 3
    web.requests.clear()
    await Scene(web, missing=4).refused(tmp_path)
    assert len(web.requests) == 3


async def test_authorities_that_name_each_other_end_somewhere(web, tmp_path):
    scene = Scene(web, missing=0)
    one = scene.pki.leaf(Shape("one", authority=True))
    two = scene.pki.make(Shape("two", authority=True, issuer_at=web.url("one")), one)
    one = scene.pki.make(Shape("one", authority=True, key=one.key, issuer_at=web.url("two")), two)
    scene.leaf = scene.pki.make(Shape(names=NAMES, issuer_at=web.url("two")), two)
    web.answers |= {"/one": der_of(one.certificate), "/two": der_of(two.certificate)}
    # OpenSSL goes round with them, and says that the path is too long.
    await scene.refused(tmp_path, CertificateUntrusted)
    assert len(web.requests) == 2


@pytest.mark.parametrize("missing", [0, 1, 2])
async def test_a_fetched_certificate_is_never_an_anchor(missing, web, tmp_path):
    """The authority of a stranger, self-signed or not, with a root of ours in the store."""
    scene = Scene(web, missing=missing)
    web.answers["/0"] = der_of(scene.pki.root.certificate)
    await scene.refused(tmp_path, store=TrustStore([Pki("ours").root.certificate]))
    assert len(web.requests) == missing + 1


async def test_a_path_that_ends_in_a_fetched_certificate_is_refused_even_if_openssl_lets_it_pass(
    web, tmp_path, monkeypatch
):
    scene = Scene(web)
    sub = der_of(scene.above[1].certificate)
    leaf = der_of(scene.leaf.certificate)
    monkeypatch.setattr(tls_handshake, "verified_chain", lambda session: (leaf, sub))
    said = await scene.refused(tmp_path, CertificateUntrusted, after_tls=True)
    assert "no anchor" in said


@pytest.mark.parametrize("spelled", ["EVIL root", "evil  Root ", "other root"])
async def test_an_authority_that_issued_itself_under_another_spelling_is_no_anchor(
    spelled, web, tmp_path
):
    """OpenSSL takes it for self-signed, since it compares names without regard to case."""
    scene = Scene(web, missing=0)
    key = ec.generate_private_key(ec.SECP256R1())
    named = scene.pki.make(Shape(spelled, authority=True, key=key))
    evil = scene.pki.make(Shape("evil root", authority=True, key=key), Held(named.certificate, key))
    scene.leaf = scene.pki.make(Shape(names=NAMES, issuer_at=web.url("evil")), evil)
    web.answers["/evil"] = der_of(evil.certificate)
    await scene.refused(tmp_path, store=TrustStore([Pki("ours").root.certificate]))


@pytest.mark.parametrize(
    ("leaf", "error"),
    [
        ({"names": (x509.DNSName("other.example.test"),)}, IdentityMismatch),
        ({"starts": NOW - 9 * DAY, "ends": NOW - DAY}, CertificateExpired),
    ],
)
async def test_the_gate_judges_the_completed_path_like_any_other(leaf, error, web, tmp_path):
    after_tls = error is IdentityMismatch  # dates are OpenSSL's as well
    await Scene(web, **leaf).refused(tmp_path, error, after_tls=after_tls)


async def test_a_revoked_certificate_on_a_completed_path_is_refused(web, tmp_path):
    scene = Scene(web, crl=web.url("crl"))
    web.answers["/crl"] = scene.pki.crl(scene.leaf, issuer=scene.above[1])
    await scene.refused(tmp_path, CertificateRevoked, after_tls=True)


@pytest.mark.parametrize("fips", [False, True])
async def test_a_weak_issuer_is_refused_in_fips_mode_whatever_is_allowed(fips, web, tmp_path):
    scene = Scene(web, missing=0)
    weak = rsa.generate_private_key(65537, 1024)
    sub = scene.pki.leaf(Shape("weak", authority=True, key=weak))
    scene.leaf = scene.pki.make(Shape(names=NAMES, issuer_at=web.url("weak")), sub)
    web.answers["/weak"] = der_of(sub.certificate)
    allow = LOCAL | {Relaxation.RSA_1024}
    if fips:
        await scene.refused(tmp_path, CertificateUntrusted, allow=allow, fips=True)
    else:
        identity, _ = await scene.connect(tmp_path, allow=allow)
        assert "1024" in " ".join(identity.relaxations)


async def test_who_is_asked_about_unknown_certificates_is_asked_after_a_vain_search(web, tmp_path):
    scene, asked = Scene(web), []
    web.answers["/1"] = b"garbage"

    async def ask(question):
        asked.append(question.reason)
        return False

    await scene.refused(tmp_path, unknown=ask)
    assert len(asked) == 1
    web.answers["/1"] = der_of(scene.above[1].certificate)
    await scene.connect(tmp_path, unknown=ask)
    assert len(asked) == 1


async def test_a_certificate_that_cannot_be_read_is_refused_and_the_server_asked_again(
    web, tmp_path
):
    """The library says so by an exception of its own kind, and the target was never tried again."""
    x400_address = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("2.5.29.17"), bytes.fromhex("3004a3023000")
    )
    shown = Pki("evil").leaf(Shape("stranger", more=(x400_address,)))
    scene = Scene(web, missing=0)
    async with Server(shown.context(tmp_path)) as server:
        tls = scene.settings(tmp_path)
        async with client_driver(Recorder(), tls, fetcher=scene.fetcher) as near:
            for _ in range(2):
                with pytest.raises(CertificateUnknown):
                    await near.open_flow(server.target)
    assert server.seen == b""


async def test_a_pinned_certificate_needs_no_issuer(web, tmp_path):
    scene = Scene(web)
    wrong = "0" * 64
    await scene.refused(tmp_path, CertificateUntrusted, pin=wrong)
    assert web.requests == []


async def test_an_inspection_shows_the_completed_path(web, tmp_path):
    scene = Scene(web)
    async with scene.server(tmp_path) as server:
        tls = scene.settings(tmp_path, service=Service.HTTPS)
        seen = await inspect_server(server.target, tls)
    assert seen.refusal is None
    assert [der_of(each) for each in seen.shown] == [der_of(scene.leaf.certificate)]
    assert [each.public_bytes(Encoding.DER) for each in seen.path] == [
        der_of(each.certificate) for each in (scene.leaf, scene.above[1], scene.pki.root)
    ]
