"""A response that cannot be read ends nothing, and whoever waits for it is told that it came.

Else a callee's 302 with a Contact line longer than lines may be looks like silence.  What strangers
send is not told: the log would be theirs to fill.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys

import pytest

from softphone.events import CallRinging
from softphone.phone import Phone
from softphone.sip.message import parse_datagram
from tests.support.direct import clear
from tests.support.waiting import PATIENCE

LONG = ", ".join(f"<sip:u{number}@192.0.2.9>" for number in range(400))
UNREADABLE = {
    "a line too long": f"Contact: {LONG}",
    "a header without a name": ": nothing",
    "two lengths": "Content-Length: 0",
}


@pytest.fixture
def callee():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        yield made


async def dropped(caplog, callee, line: str, *, answers: int = 1, by=None) -> list[str]:
    """What is logged of as many answers with that line, by the callee or by somebody else."""
    caplog.set_level(logging.WARNING, "softphone.account")
    async with Phone() as phone:
        alice = await phone.register(clear("alice"))
        host, port = callee.getsockname()
        async with alice.dial(f"sip:bob@{host}:{port}") as outgoing:
            loop = asyncio.get_running_loop()
            data, source = await asyncio.wait_for(loop.sock_recvfrom(callee, 65535), PATIENCE)
            invite = parse_datagram(data)
            answer = invite.response(302, to_tag="far", headers=[]).encode()
            head = answer.partition(b"\r\n\r\n")[0]
            for _ in range(answers):
                (by or callee).sendto(head + b"\r\n" + line.encode() + b"\r\n\r\n", source)
            # It is read before this one, which makes the callee's phone ring.
            callee.sendto(invite.response(180, to_tag="far").encode(), source)
            async for event in outgoing.events():
                if isinstance(event, CallRinging):
                    break
    return [record.getMessage() for record in caplog.records if "dropped" in record.getMessage()]


@pytest.mark.parametrize("what", list(UNREADABLE))
async def test_who_waits_for_the_response_is_told(caplog, callee, what):
    (told,) = await dropped(caplog, callee, UNREADABLE[what])
    assert "127.0.0.1" in told
    assert "192.0.2.9" not in told


async def test_many_are_told_a_few_times(caplog, callee):
    assert len(await dropped(caplog, callee, UNREADABLE["a line too long"], answers=50)) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8")
async def test_what_a_stranger_sends_is_not_told(caplog, callee):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.9", 0))
        assert await dropped(caplog, callee, UNREADABLE["two lengths"], by=stranger) == []
