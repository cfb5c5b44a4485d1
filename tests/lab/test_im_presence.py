"""The lab's IM and Presence node by itself: what it tells anybody, and what it does not take."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import pytest

from softphone.config.messaging_file import load_messaging
from softphone.errors import MessageUndelivered, TransportError
from softphone.lab import LabConfig, LabServer
from softphone.lab.im_presence import IM_PRESENCE_DOMAIN
from softphone.net.http import HttpsClient, HttpsEnvironment, HttpsRequest
from softphone.phone import Phone
from softphone.trust import Service, client_context
from tests.support.certificates import settings
from tests.support.im_presence import HOME, running_site
from tests.support.waiting import PATIENCE

HEADER = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
REQUIRED = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"


@pytest.fixture
async def site(tmp_path, entropy):
    async with running_site(tmp_path, entropy) as running:
        await running.start()
        yield running


@pytest.mark.parametrize(
    ("said", "condition"),
    [
        ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", "policy-violation"),
        ("</wrong>", "not-well-formed"),
        ("x" * (1 << 18), "policy-violation"),
        ("</stream:stream>", None),
    ],
)
async def test_before_tls_nothing_else_is_taken(site, said, condition):
    reader, writer = await asyncio.open_connection(*site.nodes[HOME].xmpp_address)
    writer.write(HEADER.encode())
    async with asyncio.timeout(PATIENCE):
        features = (await reader.readuntil(REQUIRED.encode())).decode()
        writer.write(said.encode())
        answer = (await reader.read()).decode()
    writer.close()
    assert "mechanism" not in features + answer
    assert (f"<{condition} " in answer) is (condition is not None)


async def test_a_document_type_is_refused_instead_of_a_stream(site):
    reader, writer = await asyncio.open_connection(*site.nodes[HOME].xmpp_address)
    writer.write(b"<!DOCTYPE a>")
    async with asyncio.timeout(PATIENCE):
        answer = (await reader.read()).decode()
    writer.close()
    assert "<policy-violation " in answer
    assert REQUIRED not in answer


@pytest.mark.parametrize(
    ("mechanism", "shown"),
    [
        ("SCRAM-SHA-256", b64encode(b"n,,n=alice,r=a").decode()),
        ("PLAIN", "no base64"),
        ("PLAIN", b64encode(b"alice").decode()),
        ("CISCO-VTG-TOKEN", b64encode(b"userid=alice@elsewhere.test\0token=a").decode()),
    ],
)
async def test_credentials_that_are_none_are_refused_and_end_the_stream(
    site, tmp_path, mechanism, shown
):
    reader, writer = await asyncio.open_connection(*site.nodes[HOME].xmpp_address)
    writer.write(f"{HEADER}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>".encode())
    async with asyncio.timeout(PATIENCE):
        await reader.readuntil(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await writer.start_tls(client_context(settings(tmp_path, None)))
        auth = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{shown}"
        writer.write(f"{HEADER}{auth}</auth>".encode())
        answer = (await reader.read()).decode()
    writer.close()
    assert "<not-authorized/>" in answer
    assert "<success" not in answer


@pytest.mark.parametrize("body", [b"", b"<a/>", b"<e:get-all-config/>", b"\xff"])
async def test_nobody_is_told_anything_without_a_session(site, tmp_path, body):
    node = site.nodes[HOME]
    tls = settings(tmp_path, None, service=Service.HTTPS)
    client = HttpsClient(tls, environment=HttpsEnvironment(resolve=site.resolve))
    url = f"https://{HOME}:{node.address[1]}/EPASSoap/service/v80"
    answer = await client.send_request(HttpsRequest(url, "POST", content=body))
    assert (answer.status, answer.body) == (500, b"Invalid request")
    assert node.asked[-1][2] is None


async def test_the_lab_s_users_sign_in_there_by_their_files(tmp_path):
    async with LabServer(tmp_path, LabConfig(im_presence=True)) as lab:
        files = lab.presence_accounts
        assert set(files) == set(lab.files.user_passwords)
        (one, first), (two, second) = list(files.items())[:2]
        async with Phone() as here, Phone() as there:
            mine = await here.sign_in(load_messaging(first).config)
            theirs = await there.sign_in(load_messaging(second).config)
            await mine.send(f"{two}@{IM_PRESENCE_DOMAIN}", "hello")
            assert (await anext(aiter(theirs))).sender == f"{one}@{IM_PRESENCE_DOMAIN}"
            lost = await mine.send(f"nobody@{IM_PRESENCE_DOMAIN}", "hello")
            with pytest.raises(MessageUndelivered):
                await lost.delivered(within=PATIENCE)
            assert mine.mechanism == "CISCO-VTG-TOKEN"


async def test_a_port_that_is_taken_is_named(site):
    port = site.nodes[HOME].xmpp_address[1]
    taken = site.node("imp9.test")
    taken.host = "127.0.0.1"
    taken.port = 0
    with pytest.raises(TransportError, match=f"port {port}"):
        async with taken:
            raise AssertionError("started")
