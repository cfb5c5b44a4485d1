"""Behind a 1:1 NAT: where a far end sends to, as a capture on loopback sees it."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest

from softphone import AccountConfig, Phone, ToneSource
from tests.support.loopback_capture import loopback_capture
from tests.support.waiting import PATIENCE, until

OUTSIDE = "127.0.0.2"
CONTACT = re.compile(rb"\r\nContact: <sip:alice@([^:;>]+):([0-9]+)")
MEDIA = re.compile(rb"\r\nm=audio ([0-9]+)")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8")


@pytest.mark.parametrize("calls", [True, False], ids=["it calls", "it is called"])
async def test_media_goes_to_the_address_that_is_advertised(calls):
    """Alice never registers: she listens, and Contact and media are those of the outer address."""
    with loopback_capture() as capture:
        async with Phone() as phone, asyncio.timeout(2 * PATIENCE):
            alice, bob = [
                await phone.register(
                    AccountConfig(
                        f"sip:{name}@127.0.0.1", listen="udp:0.0.0.0:0", advertised=advertised
                    )
                )
                for name, advertised in (("alice", OUTSIDE), ("bob", None))
            ]
            caller, callee = (alice, bob) if calls else (bob, alice)

            async def answer():
                return await (await anext(callee.incoming())).answer()

            answering = asyncio.create_task(answer())
            user = callee.config.aor_uri.user
            outgoing = caller.dial(f"sip:{user}@127.0.0.1:{callee.listening[2]}")
            call, other = await outgoing.answered(timeout=PATIENCE), await answering
            hers, his = (call, other) if calls else (other, call)
            his.audio.play(ToneSource(440.0))
            await until(lambda: his.audio.statistics.packets_sent > 20)
            his.hangup()
            await hers.ended()
            port = alice.listening[2]
        seen = list(capture.packets())
    from_alice = [each for each in seen if each.source == port]
    described = next(each for each in from_alice if MEDIA.search(each.payload))
    rtp = int(MEDIA.search(described.payload)[1])
    assert f"c=IN IP4 {OUTSIDE}".encode() in described.payload
    host, contact_port = CONTACT.search(described.payload).groups()
    assert (host.decode(), int(contact_port)) == (OUTSIDE, port)
    media = [each for each in seen if each.destination[1] == rtp]
    assert len(media) > 10
    assert {each.destination[0] for each in media} == {OUTSIDE}
