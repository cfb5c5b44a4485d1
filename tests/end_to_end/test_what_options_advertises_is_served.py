"""What Allow and Allow-Events of an OPTIONS answer name is served, by a phone and by the lab."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from softphone.config import AccountConfig
from softphone.lab import LabServer
from softphone.phone import Phone
from softphone.sans_io import Transport
from softphone.sip.message import Request, Response, parse_datagram
from tests.support.waiting import PATIENCE

ADDRESS = "127.0.0.1"
WITHIN_DIALOGS = {"ACK", "CANCEL"}


class Stranger(asyncio.DatagramProtocol):
    """Somebody who sends requests over UDP and keeps the answers."""

    def __init__(self):
        self.answers: asyncio.Queue[Response] = asyncio.Queue()

    def datagram_received(self, data, addr):
        message = parse_datagram(data)
        if isinstance(message, Response):
            self.answers.put_nowait(message)
        elif isinstance(message, Request):
            # A NOTIFY of a subscription that was granted.
            self.transport.sendto(message.response(200).encode(), addr)

    def connection_made(self, transport):
        self.transport = transport

    async def ask(self, to, method, *headers, user="alice"):
        port = self.transport.get_extra_info("sockname")[1]
        lines = (
            f"{method} sip:{user}@{to[0]}:{to[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {ADDRESS}:{port};rport;branch=z9hG4bK{secrets.token_hex(8)}",
            "Max-Forwards: 70",
            f"From: <sip:stranger@{ADDRESS}>;tag=1",
            f"To: <sip:{user}@{ADDRESS}>",
            f"Call-ID: {secrets.token_hex(8)}",
            f"CSeq: 1 {method}",
            f"Contact: <sip:stranger@{ADDRESS}:{port}>",
            *headers,
            "Content-Length: 0",
        )
        self.transport.sendto(("\r\n".join(lines) + "\r\n\r\n").encode(), to)
        while True:
            answer = await asyncio.wait_for(self.answers.get(), PATIENCE)
            if answer.status >= 200 and answer.cseq.method == method:
                return answer


@pytest.fixture
async def stranger():
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Stranger, local_addr=(ADDRESS, 0))
    yield protocol
    transport.close()


@pytest.fixture(params=["phone", "lab"])
async def served(request, tmp_path):
    """The address of one or the other."""
    if request.param == "lab":
        async with LabServer(tmp_path / "lab") as lab:
            yield lab.addresses[Transport.UDP]
        return
    async with Phone() as phone:
        config = AccountConfig(aor="sip:alice@127.0.0.1", listen="udp:127.0.0.1:0")
        account = await phone.register(config)
        yield account.listening[1:]


async def test_every_method_of_allow_is_served(served, stranger):
    allow = (await stranger.ask(served, "OPTIONS")).allow
    assert "INVITE" in allow
    for method in sorted(set(allow) - WITHIN_DIALOGS - {"INVITE"}):
        answer = await stranger.ask(served, method, "Event: refer", "Refer-To: <sip:a@127.0.0.1>")
        assert answer.status not in (405, 501), method


async def test_every_package_of_allow_events_is_known_and_no_other_is_named(served, stranger):
    answer = await stranger.ask(served, "OPTIONS")
    packages = answer.headers.get("Allow-Events")
    assert packages in ("refer", "refer, dialog, presence")
    refused = await stranger.ask(served, "SUBSCRIBE", "Event: message-summary")
    assert (refused.status, refused.headers.get("Allow-Events")) == (489, packages)
    for package in packages.split(", "):
        answer = await stranger.ask(served, "SUBSCRIBE", f"Event: {package}")
        assert answer.status in (401, 403)


async def test_a_method_that_is_not_in_allow_is_refused_with_the_list(served, stranger):
    allow = (await stranger.ask(served, "OPTIONS")).allow
    for method in sorted({"REGISTER", "PUBLISH", "MESSAGE", "NOTIFY"} - set(allow)):
        answer = await stranger.ask(served, method)
        assert (answer.status, answer.allow) == (405, allow)


async def test_a_subscription_to_refer_begins_by_refer_only(served, stranger):
    assert (await stranger.ask(served, "SUBSCRIBE", "Event: refer")).status == 403


async def test_an_account_of_its_own_user_only_answers_404_to_others(stranger):
    async with Phone() as phone:
        config = AccountConfig(
            aor="sip:alice@127.0.0.1", listen="udp:127.0.0.1:0", own_user_only=True
        )
        account = await phone.register(config)
        place = account.listening[1:]
        assert (await stranger.ask(place, "OPTIONS", user="bob")).status == 404
        assert (await stranger.ask(place, "INVITE", user="bob")).status == 404
        assert (await stranger.ask(place, "OPTIONS")).status == 200
