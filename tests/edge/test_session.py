"""A session at an edge over real sockets: the ticket, its renewal, and who may be reached."""

from __future__ import annotations

import asyncio
import logging

import pytest

from softphone.contacts import UdsConfig
from softphone.contacts.uds import UdsDirectory
from softphone.discovery import ServiceTarget
from softphone.edge import (
    EdgeOptions,
    EdgeSession,
    NoTicket,
    SingleSignOnAnswer,
    single_sign_on_path,
)
from softphone.errors import (
    CertificateError,
    EdgeError,
    EdgeRefused,
    LocalProtocolError,
    TransportError,
)
from softphone.net.http import Downloader, HttpsClient, HttpsLimits, HttpsRequest
from softphone.sans_io import Target, Transport
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings
from tests.support.discovery import DOMAIN, NODE, PASSWORD
from tests.support.edge import EDGE_HOST, edge_certificate, running_edge_site
from tests.support.virtual_loop import run_virtually

LIMITS = HttpsLimits()


@pytest.fixture
async def site(tmp_path):
    async with running_edge_site(tmp_path) as running:
        yield running


def get(url):
    return HttpsRequest(url)


async def test_the_sign_in_tells_what_is_inside_and_the_ticket_opens_it(site):
    edge = await site.edge()
    async with site.session() as session:
        assert session.edge == ServiceTarget(EDGE_HOST, edge.address[1])
        assert session.inside_uds() == (ServiceTarget(NODE, site.uds.address[1]),)
        answer = await session.send_request(get(site.inside("/cucm-uds/servers")), LIMITS)
        assert (answer.status, NODE.encode() in answer.body) == (200, True)
        secret = next(iter(edge.tickets))
        assert secret not in repr(session) + repr(answer) + repr(session.configuration)
    assert [user for _, user in edge.asked] == ["alice", "ticket"]
    assert edge.asked[1][0] == site.inside("/cucm-uds/servers")
    with pytest.raises(LocalProtocolError, match="over"):
        await session.send_request(get(site.inside("/cucm-uds/servers")), LIMITS)


async def test_clients_of_inside_services_need_nothing_but_the_environment(site):
    await site.edge()
    config = UdsConfig(
        "uds",
        f"{NODE}:{site.uds.address[1]}",
        user="alice",
        password=PASSWORD,
        # Of no account: the edge makes the connection inside.
        tls=TlsSettings(service=Service.HTTPS),
    )
    async with site.session() as session:
        directory = UdsDirectory(config, session.environment)
        assert [each.name for each in await directory.search("Alice", 5)] == ["Alice Adler"]
        client = HttpsClient(config.tls, None, session.environment)
        with pytest.raises(TransportError, match="behind a tunnel"):
            await client.identify_server(site.inside("/"))
        target = Target(Transport.TLS, NODE, site.uds.address[1])
        loader = Downloader(config.tls, None, session.environment)
        assert (await loader.download(target, "cucm-uds/servers")).status == 200


async def test_a_server_outside_of_the_domains_is_not_reached(site):
    edge = await site.edge()
    async with site.session() as session:
        for url in ("https://evil.example:8443/", "https://192.0.2.1/", "https://localhost/"):
            with pytest.raises(EdgeRefused, match="may not be reached"):
                await session.send_request(get(url), LIMITS)
        # In the domain, and not one of the edge's own list.
        answer = await session.send_request(get("https://other.example.test/"), LIMITS)
        assert answer.status == 403
    assert [path for path, _ in edge.asked][1:] == ["https://other.example.test:443/"]


async def test_what_the_edge_names_outside_is_used_only_if_it_is_listed(site):
    edge = await site.edge()
    edge.faults.names_outside = "cucm.corp.example"
    async with site.session() as session:
        with pytest.raises(EdgeRefused, match=r"cucm\.corp\.example"):
            session.inside_uds()
    async with site.session(options=EdgeOptions(inside=("corp.example",))) as session:
        assert session.inside_uds()[0].host == "cucm.corp.example"


@pytest.mark.parametrize(
    ("status", "error", "why"),
    [
        (401, EdgeRefused, "cannot reach CUCM"),
        (403, EdgeRefused, "not enabled"),
        (500, TransportError, "500"),
    ],
)
async def test_refusals(site, status, error, why):
    edge = await site.edge()
    edge.faults.status = status
    with pytest.raises(error, match=why):
        await site.session().__aenter__()


async def test_a_wrong_password_goes_to_one_edge_only(site):
    first, second = await site.edge(), await site.edge("edge2.example.test")
    with pytest.raises(EdgeRefused, match="user and password"):
        await site.session(password=KeyMaterial(b"wrong")).__aenter__()
    assert (len(first.asked), second.asked) == (1, [])


@pytest.mark.parametrize("cookie", ["none", "endless", "foreign"])
async def test_without_a_usable_cookie_the_next_edge_is_asked(site, cookie):
    first, second = await site.edge(), await site.edge("edge2.example.test")
    first.faults.cookie = cookie
    async with site.session() as session:
        assert session.edge.host == "edge2.example.test"
    second.faults.cookie = cookie
    with pytest.raises(TransportError, match="no edge server can be used"):
        await site.session().__aenter__()
    alone = ServiceTarget(first.host, first.address[1])
    with pytest.raises(NoTicket):
        await site.session(alone).__aenter__()


async def test_a_dead_edge_is_left_for_the_next(site):
    await site.edge()
    dead = ServiceTarget("edge9.example.test", 1)
    alive = ServiceTarget(EDGE_HOST, site.edges[0].address[1])
    async with site.session(dead, alive) as session:
        assert session.edge == alive


async def test_a_refused_certificate_ends_it_whatever_edges_remain(site):
    wrong = await site.edge(issued=edge_certificate(domain=False))
    good = await site.edge("edge2.example.test")
    with pytest.raises(CertificateError, match=r"does not name example\.test"):
        await site.session().__aenter__()
    assert (wrong.asked, good.asked) == ([], [])


async def test_an_edge_without_a_uds_server_is_an_error(site):
    edge = await site.edge()
    edge.faults.nameless = True
    with pytest.raises(EdgeError, match="no UDS server"):
        await site.session().__aenter__()


async def test_without_password_or_edge_nothing_is_tried(site):
    with pytest.raises(EdgeRefused, match="password or a token"):
        site.session(ServiceTarget(EDGE_HOST, 1), password=None)
    with pytest.raises(EdgeError, match="names no edge"):
        EdgeSession(site.config(), ())
    with pytest.raises(LocalProtocolError, match="enter"):
        _ = site.session(ServiceTarget(EDGE_HOST, 1)).configuration


async def test_a_token_takes_the_place_of_the_password(site):
    """It is drawn for each sign-in, and once more where the edge refuses it."""
    edge = await site.edge(token_user={"good": "alice"}.get)
    given, asked = iter((b"good", b"old", b"good", b"old", b"old")), []

    async def draw(refused):
        asked.append(refused)
        return KeyMaterial(next(given))

    async with site.session(password=None, token=draw) as session:
        edge.tickets.clear()
        answer = await session.send_request(get(site.inside("/cucm-uds/servers")), LIMITS)
        assert answer.status == 200
    assert [user for _, user in edge.asked] == ["alice", "", "", "alice", "ticket"]
    with pytest.raises(EdgeRefused, match="does not accept the token"):
        await site.session(password=None, token=draw).__aenter__()
    assert asked == [False, False, True, False, True]


async def test_an_expired_ticket_is_renewed_once_and_the_request_repeated(site):
    edge = await site.edge()
    async with site.session() as session:
        edge.tickets.clear()
        answer = await session.send_request(get(site.inside("/cucm-uds/servers")), LIMITS)
        assert answer.status == 200
    assert [user for _, user in edge.asked] == ["alice", "", "alice", "ticket"]


async def test_a_401_of_the_inside_server_is_not_the_edges(site):
    edge = await site.edge()
    url = site.inside("/cucm-uds/user/alice")
    async with site.session() as session:
        assert (await session.send_request(get(url), LIMITS)).status == 401
        assert [user for _, user in edge.asked] == ["alice", "ticket"]
    async with site.session(options=EdgeOptions(renew_on_any_401=True)) as session:
        assert (await session.send_request(get(url), LIMITS)).status == 401
    assert [user for _, user in edge.asked][2:] == ["alice", "ticket", "alice", "ticket"]


async def test_content_that_cannot_be_sent_again_is_not(site):
    edge = await site.edge()

    async def pieces():
        yield b"abc"

    async with site.session() as session:
        edge.tickets.clear()
        request = HttpsRequest(site.inside("/cucm-uds/x"), "POST", content=pieces(), length=3)
        assert (await session.send_request(request, LIMITS)).status == 401


def test_no_answer_makes_the_password_go_out_again_and_again(tmp_path):
    async def scenario(site, edge, session):
        request = get(site.inside("/cucm-uds/servers"))
        for _ in range(20):
            edge.tickets.clear()  # the edge answers 401 to every ticket
            await session.send_request(request, LIMITS)
        assert [user for _, user in edge.asked].count("alice") == 2
        edge.faults.status = 500
        await asyncio.sleep(1_001)  # the ticket has ended
        before = len(edge.asked)
        for _ in range(20):
            with pytest.raises(TransportError):
                await session.send_request(request, LIMITS)
        assert len(edge.asked) <= before + 2

    renewals(tmp_path, scenario)


def renewals(folder, scenario):
    """Run a scenario on virtual time."""

    async def main():
        async with running_edge_site(folder) as site:
            loop = asyncio.get_running_loop()
            times = {"clock": loop.time, "wall": loop.time}
            edge = await site.edge(life=1000.0, wall=loop.time)
            async with site.session(times=times) as session:
                await scenario(site, edge, session)

    run_virtually(main())


def test_the_ticket_is_renewed_before_it_ends(tmp_path):
    async def scenario(site, edge, session):
        await asyncio.sleep(799)
        assert len(edge.asked) == 1
        await asyncio.sleep(10)
        assert len(edge.asked) == 2
        await asyncio.sleep(1600)
        assert [user for _, user in edge.asked] == ["alice"] * 4

    renewals(tmp_path, scenario)


def test_a_refused_renewal_ends_the_session_and_sends_no_password_again(tmp_path, caplog):
    async def scenario(site, edge, session):
        edge.faults.status = 401
        await asyncio.sleep(10_000)
        assert len(edge.asked) == 2
        edge.faults.status = None
        with pytest.raises(EdgeRefused):
            await session.send_request(get(site.inside("/cucm-uds/servers")), LIMITS)
        assert len(edge.asked) == 2

    with caplog.at_level(logging.WARNING):
        renewals(tmp_path, scenario)
    assert "has ended" in caplog.text


def test_a_failed_renewal_is_tried_again_with_pauses_that_grow(tmp_path):
    async def scenario(site, edge, session):
        edge.faults.status = 503
        await asyncio.sleep(800 + 15 + 30 + 60 + 120 - 10)
        assert len(edge.asked) == 1 + 4
        await asyncio.sleep(3_000)
        assert len(edge.asked) <= 1 + 4 + 11
        edge.faults.status = None
        answer = await session.send_request(get(site.inside("/cucm-uds/servers")), LIMITS)
        assert answer.status == 200  # an ended ticket is renewed before the request

    renewals(tmp_path, scenario)


def test_after_a_lost_edge_the_next_one_is_signed_in_to(tmp_path):
    async def scenario(site, edge, session):
        second = await site.edge("edge2.example.test", wall=asyncio.get_running_loop().time)
        session._edges.append(ServiceTarget(second.host, second.address[1]))
        await edge.__aexit__(None, None, None)
        url = site.inside("/cucm-uds/servers")
        with pytest.raises(TransportError):
            await session.send_request(get(url), LIMITS)
        await asyncio.sleep(20)
        assert session.edge.host == "edge2.example.test"
        assert (await session.send_request(get(url), LIMITS)).status == 200

    renewals(tmp_path, scenario)


async def test_single_sign_on_is_asked_for_without_credentials(site):
    """What the edge answers is shown, bounded and as one line, and changes nothing."""
    edge = await site.edge()
    lost = ServiceTarget("lost.example.test", 1)
    session = site.session(lost, ServiceTarget(EDGE_HOST, edge.address[1]))
    answer = await session.ask_single_sign_on()
    assert (answer.status, answer.edge.host) == (200, EDGE_HOST)
    assert edge.asked == [(f"{single_sign_on_path(DOMAIN, f'alice@{DOMAIN}')}", "")]
    assert edge.tickets == {}
    edge.faults.status = 404
    assert (await session.ask_single_sign_on()).status == 404
    edge.faults.status, edge.faults.redirect = None, "https://elsewhere.example.test/"
    assert (await session.ask_single_sign_on()).status == 302
    with pytest.raises(TransportError):
        await site.session(lost).ask_single_sign_on()


def test_an_answer_about_single_sign_on_is_one_short_line():
    edge = ServiceTarget(EDGE_HOST, 8443)
    said = str(SingleSignOnAnswer(edge, 200, "text/\nxml", b"<a>\n\x1b[2J" + b"x" * 999))
    assert said.startswith(f"{edge} answered 200, 1007 octets of text/xml: <a>  [2Jxxx")
    assert len(said) < 300
    assert said.isprintable()
    assert (
        str(SingleSignOnAnswer(edge, 404, "", b"")) == f"{edge} answered 404, 0 octets of no type"
    )
