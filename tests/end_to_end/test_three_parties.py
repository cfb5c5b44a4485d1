"""Three parties on a bridge, over real calls, in both placements."""

from __future__ import annotations

import asyncio
import sys

import numpy as np
import pytest

from softphone.call import Conference
from softphone.media import MediaConfig, Placement
from softphone.media.audio import ToneSource, tone_level
from softphone.media.audio.sources import PcmRing
from softphone.phone import Phone
from softphone.security import SecurityLevel
from tests.support.calling import account_of, connect
from tests.support.waiting import PATIENCE

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")


async def heard(call, *frequencies):
    """How loud tones are in what a call hears."""
    ring = PcmRing(8000, seconds=2.0)
    call.audio.record(ring)
    await asyncio.wait_for(ring.read_exactly(4000), PATIENCE)
    pcm = await asyncio.wait_for(ring.read_exactly(3200), PATIENCE)
    call.audio.record(None)
    return [tone_level(np.asarray(pcm), each, 8000) > -32.0 for each in frequencies]


@pytest.mark.parametrize(
    "placement", [Placement.INLINE, pytest.param(Placement.WORKER, marks=needs_linux)]
)
async def test_three_parties_hear_each_other_and_not_themselves(lab, placement):
    async with Phone(media=MediaConfig(placement=placement)) as phone:
        alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
        pairs = [await connect(alice, bob, "bob") for _ in range(2)]
        (one, first), (two, second) = pairs
        first.audio.play(ToneSource(440.0))
        second.audio.play(ToneSource(1000.0))
        async with Conference(minimum=SecurityLevel.ENCRYPTED) as conference:
            conference.join(one)
            conference.join(two)
            assert conference.security_level is SecurityLevel.ENCRYPTED
            conference.whisper(one, ToneSource(2500.0))
            conference.announce(ToneSource(1700.0))
            assert await heard(first, 440.0, 1000.0, 1700.0, 2500.0) == [False, True, True, True]
            assert await heard(second, 440.0, 1000.0, 1700.0, 2500.0) == [True, False, True, False]
            conference.announce(None)
            conference.part(two)
            assert await heard(second, 440.0) == [False]
        assert conference.calls == ()
