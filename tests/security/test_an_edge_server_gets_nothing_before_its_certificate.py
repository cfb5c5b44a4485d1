"""An edge server: no octet of a request leaves before its certificate names host and domain.

Measured at the peer, for the sign-in, which has the password, for the tunnel, which has the ticket,
and for chat, which has a one-time password; and where a redirect leads.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from softphone.discovery import ServiceTarget
from softphone.errors import CertificateError, CertificateUntrusted, TransportError
from softphone.lab import CertificateNames
from softphone.messaging import TlsMode
from softphone.net.http import HttpsLimits, HttpsRequest
from softphone.trust import Pin, Service, TlsSettings, der_of
from tests.support.certificates import authority, foreign, store
from tests.support.chat import DOMAIN as CHAT_DOMAIN
from tests.support.discovery import DOMAIN, PASSWORD
from tests.support.edge import EDGE_HOST, edge_certificate, running_edge_site
from tests.support.im_presence import EDGE, EDGE_DOMAIN, Outside
from tests.support.im_presence import running_site as running_chat_site

LIMITS = HttpsLimits()
WRONG = {
    "of an unknown authority": lambda: edge_certificate(by=foreign()),
    "without the domain": lambda: edge_certificate(domain=False),
    "with a wildcard of the domain": lambda: edge_certificate(f"*.{DOMAIN}", domain=False),
    "of another host": lambda: authority().server("x", CertificateNames(dns=(DOMAIN,))),
    "of a domain below": lambda: edge_certificate(EDGE_HOST, f"voice.{DOMAIN}", domain=False),
}

# The domain of the JID is that of a node: it makes nobody an edge of the domain that is served.
WRONG_FOR_CHAT = {
    "of an unknown authority": lambda: foreign().server(
        EDGE, CertificateNames(dns=(EDGE, EDGE_DOMAIN))
    ),
    "without the domain": lambda: authority().server(
        EDGE, CertificateNames(dns=(EDGE, CHAT_DOMAIN), xmpp=(CHAT_DOMAIN,))
    ),
    "of another host": lambda: authority().server("x", CertificateNames(dns=(EDGE_DOMAIN,))),
}


@pytest.fixture
async def site(tmp_path):
    async with running_edge_site(tmp_path) as running:
        yield running


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_sign_in_sends_nothing(site, wrong):
    web = await site.site.web(EDGE_HOST, WRONG[wrong]())
    with pytest.raises(CertificateError):
        await site.session(ServiceTarget(EDGE_HOST, web.port)).__aenter__()
    assert web.requests == []


async def test_the_question_for_single_sign_on_sends_nothing(site):
    """It has the user's mail address."""
    for made in WRONG.values():
        web = await site.site.web(EDGE_HOST, made())
        with pytest.raises(CertificateError):
            await site.session(ServiceTarget(EDGE_HOST, web.port)).ask_single_sign_on()
        assert web.requests == []


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_request_through_the_tunnel_sends_nothing(site, wrong):
    await site.edge()
    async with site.session() as session:
        web = await site.site.web(EDGE_HOST, WRONG[wrong]())
        session._edge = ServiceTarget(EDGE_HOST, web.port)
        with pytest.raises(CertificateError):
            await session.send_request(HttpsRequest(site.inside("/cucm-uds/servers")), LIMITS)
        assert web.requests == []


@pytest.mark.parametrize("mode", TlsMode)
@pytest.mark.parametrize("wrong", WRONG_FOR_CHAT)
async def test_a_chat_stream_sends_nothing(wrong, mode, tmp_path, entropy):
    """Nothing within TLS, and no password is fetched for it."""
    async with running_chat_site(tmp_path, entropy) as chat:
        outside = Outside(chat, tmp_path)
        edge = await outside.start(await chat.start(), WRONG_FOR_CHAT[wrong](), mode=mode)
        with pytest.raises(CertificateError):
            await outside.client().__aenter__()
        assert (edge.octets, edge.streams, outside.tunnel.asked) == (0, 0, [])


@pytest.mark.parametrize(
    "names",
    [("", DOMAIN), (f"_collab-edge._tls.{DOMAIN}", ""), (f"_collab-edge.{DOMAIN}", "")],
    ids=["dNSName", "SRVName as Cisco writes it", "SRVName of RFC 4985"],
)
async def test_each_form_of_the_domain_is_accepted(site, names):
    srv, domain = names
    issued = authority().server(
        EDGE_HOST,
        CertificateNames(
            dns=tuple(filter(None, (EDGE_HOST, domain))), srv=tuple(filter(None, (srv,)))
        ),
    )
    await site.edge(issued=issued)
    async with site.session() as session:
        assert session.edge.host == EDGE_HOST


async def test_nobody_is_asked_and_what_was_accepted_by_hand_does_not_count(site):
    issued = edge_certificate(by=foreign())
    web = await site.site.web(EDGE_HOST, issued)
    asked = []

    async def yes(question):
        asked.append(question)
        return True

    place = ServiceTarget(EDGE_HOST, web.port)
    tls = TlsSettings(store=store(), service=Service.HTTPS, unknown=yes)
    with pytest.raises(CertificateError):
        await site.session(place, tls=tls).__aenter__()
    tls.store.add_pin(Pin(Service.HTTPS, EDGE_HOST, web.port, der_of(issued.certificate)))
    with pytest.raises(CertificateUntrusted, match="only an authority"):
        await site.session(place, tls=tls).__aenter__()
    digest = replace(tls, pin=f"sha256:{'0' * 64}")
    with pytest.raises(CertificateError):
        await site.session(place, tls=digest).__aenter__()
    assert (asked, web.requests) == ([], [])


async def test_no_redirect_is_followed(site, caplog):
    edge = await site.edge()
    other = await site.site.web("elsewhere.example.test")
    target = f"https://elsewhere.example.test:{other.port}/x"
    with caplog.at_level(logging.DEBUG):
        edge.faults.redirect = target
        with pytest.raises(TransportError, match="elsewhere"):
            await site.session().__aenter__()
        edge.faults.redirect = ""
        async with site.session() as session:
            edge.faults.redirect = target
            request = HttpsRequest(site.inside("/cucm-uds/user/alice"))
            assert (await session.send_request(request, LIMITS)).status == 302
            ticket = next(iter(edge.tickets))
    assert other.requests == []
    assert PASSWORD.reveal().decode() not in caplog.text
    assert ticket not in caplog.text
