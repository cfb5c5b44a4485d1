"""Calls that nobody answers take places; one address, or one /64, has its share of them only."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from softphone.account.account import MAXIMUM_WAITING, MAXIMUM_WAITING_PER_SOURCE
from softphone.phone import Phone
from tests.support.direct import address_of, clear
from tests.support.waiting import PATIENCE

STRANGER = "127.0.0.77"
SDP = (
    f"v=0\r\no=- 9 9 IN IP4 {STRANGER}\r\ns=-\r\nc=IN IP4 {STRANGER}\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\n"
)


def invite(number: int) -> bytes:
    head = (
        "INVITE sip:bob@127.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/UDP {STRANGER}:9;branch=z9hG4bK{number};rport",
        "Max-Forwards: 70",
        f"From: <sip:mallory@{STRANGER}>;tag={number}",
        "To: <sip:bob@127.0.0.1>",
        f"Call-ID: {number}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:mallory@{STRANGER}:9>",
        "Content-Type: application/sdp",
        f"Content-Length: {len(SDP)}",
    )
    return ("\r\n".join(head) + "\r\n\r\n" + SDP).encode()


@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8")
async def test_calls_that_one_address_leaves_unanswered_keep_no_other_caller_out():
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((STRANGER, 0))
        stranger.setblocking(False)
        async with Phone() as phone:
            bob, alice = await phone.register(clear("bob")), await phone.register(clear("alice"))
            for number in range(MAXIMUM_WAITING + 10):
                stranger.sendto(invite(number), bob.listening[1:])
            refused = set()  # by branch: a refusal may be repeated
            while len(refused) < MAXIMUM_WAITING + 10 - MAXIMUM_WAITING_PER_SOURCE:
                answer = await asyncio.wait_for(loop.sock_recv(stranger, 65535), PATIENCE)
                if answer.startswith(b"SIP/2.0 486"):
                    refused.add(answer.partition(b"branch=")[2].partition(b";")[0])
            async with alice.dial(address_of(bob)) as dialed:
                async with asyncio.timeout(PATIENCE):
                    async for incoming in bob.incoming():
                        if incoming.peer.uri.user == "alice":
                            break
                call = await incoming.answer()
                await dialed.answered(timeout=PATIENCE)
                call.hangup()
