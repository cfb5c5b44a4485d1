"""Whatever becomes of messages on their way, nothing escapes a call and nothing flows in clear.

Seeded mutations of every message of a call, its hold and its end, in both directions; the parties
demand SRTP.  An exception would come out of `Stage.run`, as it would out of an account's drain.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from softphone.events import CallState
from tests.support.stage import Stage, edit_body

LINES = (
    b"c=IN IP4 0.0.0.0",
    b"c=IN IP4 224.0.0.1",
    b"c=IN IP6 ::1",
    b"c=IN IP6 fe80::1%eth0",
    b"c=IN IP4 media.example.test",
    b"a=rtcp:9 IN IP4 media.example.test",
    b"a=rtcp:9 IN IP6 ::1",
    b"a=rtcp:65536",
    b"a=ptime:5",
    b"a=ptime:30",
    b"a=ptime:64",
    b"a=ptime:99999999999999999999",
    b"a=maxptime:1",
    b"a=inactive",
    b"a=sendonly",
    b"a=rtcp-mux",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"Kx3v" * 10,
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA UNENCRYPTED_SRTP",
    b"a=crypto:0 NULL inline:",
    b"m=audio 0 RTP/SAVP 0",
    b"m=audio 4000 RTP/AVP 0 8",
    b"m=audio 4000 RTP/SAVP 18",
    b"m=video 4000 RTP/SAVP 99",
    b"m=audio 99999 RTP/SAVP 0",
    b"a=rtpmap:0 L16/44100/2",
    b"a=rtpmap:101 PCMU/8000",
    b"a=rtpmap:0 telephone-event/8000",
)


def mutated(body, chance):
    """A description with a few of its lines changed."""
    lines = body.split(b"\r\n")
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        kind = chance.randrange(5)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, chance.choice(lines))
        elif kind == 2:
            lines.insert(at, chance.choice(LINES))
        elif kind == 3:
            lines[at] = chance.choice(LINES)
        else:
            chance.shuffle(lines)
        lines = lines or [b""]
    return b"\r\n".join(lines)


def damaged(data, chance):
    """A message whose header fields have suffered."""
    head, gap, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    at = chance.randrange(len(lines))
    if chance.random() < 0.5:
        lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
    else:
        lines.insert(at, chance.choice(lines))
    return b"\r\n".join(lines) + gap + body


def tampering(seed, share):
    chance = random.Random(seed)

    def tamper(name, data):
        if chance.random() > share:
            return data
        if b"\r\n\r\nv=0" in data:
            return edit_body(data, lambda body: mutated(body, chance))
        return damaged(data, chance) if chance.random() < 0.2 else data

    return tamper


async def live(stage, *, delayed):
    """A call, two holds that cross, and its end."""
    stage.bob.answers_itself = True
    caller = stage.dial(delayed=delayed)
    stage.run(1)
    changes = [
        asyncio.ensure_future(leg.renegotiate(held=True))
        for party in stage.parties.values()
        for leg in party.legs[-1:]
        if leg.state is CallState.CONFIRMED
    ]
    await asyncio.sleep(0)
    stage.run(6)
    caller.hang_up()
    stage.run(50)
    await asyncio.gather(*changes, return_exceptions=True)


@pytest.mark.parametrize("batch", range(8))
async def test_nothing_escapes_and_nothing_flows_in_clear(batch):
    for seed in range(batch * 75, batch * 75 + 75):
        stage = Stage(seed=seed)
        stage.tamper = tampering(seed, share=(0.2, 0.4, 0.8)[seed % 3])
        await live(stage, delayed=bool(seed % 2))
        for party in stage.parties.values():
            assert all(spec.secure for spec in party.port.specs), seed
            for leg in party.legs:
                if leg.state is CallState.TERMINATED:
                    assert leg.ended.done()
                    assert leg.modification is None
        assert stage.alice.port.closed == set(stage.alice.port.opened), seed


async def test_most_of_it_is_survived():
    """The mutations are no walls: calls do come about under them."""
    up = 0
    for seed in range(40):
        stage = Stage(seed=seed)
        stage.tamper = tampering(seed, share=0.2)
        stage.bob.answers_itself = True
        stage.dial()
        stage.run(1)
        up += bool(stage.alice.leg.confirmed.done() and not stage.alice.leg.ended.done())
    assert up > 10
