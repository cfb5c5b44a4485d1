"""A peer whose certificate is revoked, on either side, gets no byte of application data."""

from __future__ import annotations

import pytest

from softphone.errors import CertificateRevoked, CertificateUntrusted
from softphone.lab import Authority
from softphone.net import Driver, DriverConfig
from softphone.net.http import RevocationFetcher
from softphone.sans_io import Transport
from softphone.security import Relaxation, RevocationMode
from softphone.trust import TlsSettings
from tests.support.certificates import HOST, store, tls_target
from tests.support.http import WebServer
from tests.support.recorder import Down, Got, Recorder, client_driver, until


class Scene:
    """A lab with its own CA and a CRL or OCSP server; who is revoked is up to the test."""

    def __init__(self, web, source):
        self.web = web
        self.authority = Authority(
            "scene CA",
            crl_url=web.url("crl") if source == "crl" else None,
            ocsp_url=web.url("ocsp") if source == "ocsp" else None,
        )
        self.server = self.authority.server(HOST)
        self.client = self.authority.client("sip:alice@example.test")
        web.answers["/crl"] = self.authority.revocation_list

    async def play(self, folder, *, revoked=None, mode=RevocationMode.SOFT):
        """Register; gives what the server received and how the client ended."""
        if revoked is not None:
            self.authority.revoke(revoked)
        server_asks = revoked is self.client
        self.web.answers["/ocsp"] = lambda: self.authority.status_of(
            self.client if server_asks else self.server
        )
        ours, theirs = Recorder(), Recorder()
        near_mode, far_mode = (
            (RevocationMode.OFF, mode) if server_asks else (mode, RevocationMode.OFF)
        )
        fetch = RevocationFetcher()

        def tls(issued, name, asked):
            return TlsSettings(
                store=store(self.authority),
                credential=issued.write(folder, name),
                revocation=asked,
                allow=frozenset({Relaxation.LOCAL_REVOCATION}),
            )

        async with (
            Driver(theirs, on_event=theirs.on_event, config=DriverConfig(fetcher=fetch)) as far,
            client_driver(ours, tls(self.client, "client", near_mode), fetcher=fetch) as near,
        ):
            listening = tls(self.server, "server", far_mode)
            target = tls_target(await far.listen(Transport.TLS, tls=listening))
            with near.change():
                ours.send(b"REGISTER", target)
            await until(lambda: theirs.seen(Got) or ours.seen(Down))
            failure = near.failure_of(target)
            flows = [*far.flows, *near.flows]
            refusals = [error for _, error in far.refusals]
        return theirs.received(), failure, refusals, flows


@pytest.mark.parametrize("source", ["crl", "ocsp"])
async def test_a_good_server_is_registered_with(source, tmp_path):
    async with WebServer() as web:
        received, failure, _, flows = await Scene(web, source).play(tmp_path)
    assert received == b"REGISTER"
    assert failure is None
    assert "good" in {flow.identity.revocation for flow in flows}
    assert len(web.requests) == 1


@pytest.mark.parametrize("source", ["crl", "ocsp"])
async def test_a_revoked_server_sees_nothing(source, tmp_path):
    async with WebServer() as web:
        scene = Scene(web, source)
        received, failure, *_ = await scene.play(tmp_path, revoked=scene.server)
    assert received == b""
    assert type(failure) is CertificateRevoked


@pytest.mark.parametrize("source", ["crl", "ocsp"])
async def test_a_revoked_client_is_not_listened_to(source, tmp_path):
    async with WebServer() as web:
        scene = Scene(web, source)
        received, _, refusals, _ = await scene.play(tmp_path, revoked=scene.client)
    assert received == b""
    assert [type(error) for error in refusals] == [CertificateRevoked]


@pytest.mark.parametrize(
    ("mode", "expected"), [(RevocationMode.SOFT, None), (RevocationMode.HARD, CertificateUntrusted)]
)
async def test_a_dead_revocation_server_is_forgiven_softly_only(mode, expected, tmp_path):
    async with WebServer() as web:
        web.status = "503 Service Unavailable"
        received, failure, *_ = await Scene(web, "crl").play(tmp_path, mode=mode)
    assert (received == b"REGISTER") is (expected is None)
    assert (None if failure is None else type(failure)) is expected


async def test_a_revocation_list_of_somebody_else_is_refused(tmp_path):
    async with WebServer() as web:
        scene = Scene(web, "crl")
        web.answers["/crl"] = Authority("somebody else").revocation_list()
        received, failure, *_ = await scene.play(tmp_path)
    assert received == b""
    assert type(failure) is CertificateUntrusted
