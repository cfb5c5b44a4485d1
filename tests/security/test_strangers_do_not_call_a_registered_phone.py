"""A phone that is registered over UDP takes calls from its server only: no ghost calls by scanners.

The strangers are other addresses of the loopback network.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

import pytest

from softphone.account.account import MAXIMUM_WAITING
from softphone.config import load_account
from softphone.events import MessageReceived, MessageWaiting
from softphone.lab import LabServer
from softphone.phone import Phone
from tests.support.direct import clear
from tests.support.waiting import PATIENCE, patiently

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8")

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\n"
)


def request(method, number, body="", kind="application/sdp"):
    head = (
        f"{method} sip:carol@127.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.2:9;branch=z9hG4bK{number};rport",
        "Max-Forwards: 70",
        f"From: <sip:eve@127.0.0.1>;tag={number}",
        "To: <sip:carol@127.0.0.1>",
        f"Call-ID: {number}",
        f"CSeq: 1 {method}",
        "Contact: <sip:eve@127.0.0.2:9>",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
    )
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


async def answer_to(stranger, data, phone):
    stranger.sendto(data, phone)
    while True:
        answer = await patiently(asyncio.get_running_loop().sock_recv(stranger, 65535))
        if not answer.startswith(b"SIP/2.0 1"):
            return answer.split(b" ")[1]


async def test_calls_and_messages_of_strangers_are_refused_and_leave_nothing(tmp_path):
    async with LabServer(tmp_path / "lab") as lab, Phone() as phone:
        carol = await phone.register(load_account(lab.accounts["carol"]).config)
        place = lab.registered["carol"].flow.remote
        descriptors = len(os.listdir("/proc/self/fd"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            stranger.setblocking(False)
            for number in range(50):
                status = await answer_to(stranger, request("INVITE", number, SDP), place)
                assert status == b"403"
            message = request("MESSAGE", 50, "You have won", "text/plain")
            assert await answer_to(stranger, message, place) == b"403"
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 1
        assert not carol.calls
        await phone.close(carol)
        assert not [call async for call in carol.incoming()]
        assert not [event async for event in carol.events() if isinstance(event, MessageReceived)]


async def test_a_flood_from_the_server_s_address_takes_a_bounded_number_of_media_ports(tmp_path):
    async with LabServer(tmp_path / "lab") as lab, Phone() as phone:
        carol = await phone.register(load_account(lab.accounts["carol"]).config)
        place = lab.registered["carol"].flow.remote
        descriptors = len(os.listdir("/proc/self/fd"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flooder:
            flooder.bind(("127.0.0.1", 0))
            flooder.setblocking(False)
            for number in range(300):
                flooder.sendto(request("INVITE", number, SDP), place)
                if number % 10 == 0:
                    await asyncio.sleep(0.002)
            assert await answer_to(flooder, request("INVITE", 999, SDP), place) == b"486"
        assert len(os.listdir("/proc/self/fd")) < descriptors + 140
        # The server is not one source of many: whoever calls comes by it.
        waiting = carol.incoming()
        for _ in range(MAXIMUM_WAITING):
            await asyncio.wait_for(anext(waiting), PATIENCE)
        alice = await phone.register(load_account(lab.accounts["alice"]).config)
        async with alice.dial("600") as outgoing:
            await outgoing.answered(timeout=PATIENCE)


@pytest.mark.parametrize(("listed", "status"), [((), b"481"), (("127.0.0.2",), b"200")])
async def test_a_phone_that_listens_believes_no_stranger_about_waiting_messages(listed, status):
    summary = "application/simple-message-summary\r\nEvent: message-summary"
    notify = request("NOTIFY", 1, "Messages-Waiting: yes\r\n", summary)
    async with Phone() as phone:
        carol = await phone.register(clear("carol", accept_from=listed))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            stranger.setblocking(False)
            assert await answer_to(stranger, notify, carol.listening[1:]) == status
        await phone.close(carol)
        told = [event async for event in carol.events() if isinstance(event, MessageWaiting)]
    assert len(told) == (status == b"200")
