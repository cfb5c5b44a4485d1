"""A far end whose media in clear comes from another host than its `c=` line says (a NAT)."""

from __future__ import annotations

import sys

import pytest

from softphone.config import AccountConfig, MediaPreferences
from softphone.events import ClearMediaMoved
from softphone.media import MediaConfig, MediaEngine, Placement
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from tests.support.calling import connect, eventually, level_heard

SIGNALED, ELSEWHERE = "127.0.0.1", "127.0.0.3"
AUDIBLE_DBM0 = -30.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    """Engines of ELSEWHERE bind there, whatever address their calls signal."""
    allocate = MediaEngine.allocate_stream

    def allocate_elsewhere(self, *, host=None, on_event=None):
        bound = ELSEWHERE if self.config.host == ELSEWHERE else host
        return allocate(self, host=bound, on_event=on_event)

    monkeypatch.setattr(MediaEngine, "allocate_stream", allocate_elsewhere)


def account(name, **media):
    return AccountConfig(
        aor=f"sip:{name}@{SIGNALED}",
        listen=f"udp:{SIGNALED}:0",
        media=MediaPreferences(**media),
    )


async def call_of(near, far, **media):
    """Both ends of a call whose far end plays a tone from elsewhere."""
    alice = await near.register(account("alice", **media))
    bob = await far.register(account("bob"))
    _, host, port = bob.listening
    call, other = await connect(alice, bob, f"sip:bob@{host}:{port}")
    other.audio.play(ToneSource(440.0))
    return call, other


@pytest.mark.parametrize("placement", list(Placement))
@pytest.mark.parametrize("setting", ["once", ("127.0.0.2/31",)])
async def test_it_is_adopted_once_and_told_where_the_account_allows_it(setting, placement):
    config = MediaConfig(placement=placement)
    async with Phone(media=config) as near, Phone(media=MediaConfig(host=ELSEWHERE)) as far:
        call, other = await call_of(near, far, clear_latching=setting)
        assert await level_heard(call, 440.0) > AUDIBLE_DBM0
        await eventually(lambda: other.audio.statistics.packets_received > 5)
        call.hangup()
        moved = [event async for event in call.events() if isinstance(event, ClearMediaMoved)]
        assert [(event.media, event.host, event.signaled) for event in moved] == [
            ("audio", ELSEWHERE, False)
        ]


@pytest.mark.parametrize(
    "media",
    [{}, {"clear_latching": ("127.0.0.4/30",)}],
    ids=["by default", "outside the networks"],
)
async def test_it_is_not_heard_otherwise(media):
    async with Phone() as near, Phone(media=MediaConfig(host=ELSEWHERE)) as far:
        call, other = await call_of(near, far, **media)
        await eventually(lambda: call.audio.statistics.wrong_source > 10)
        assert call.audio.statistics.packets_received == 0
        assert other.audio.statistics.packets_received == 0
        call.hangup()
        assert not [event async for event in call.events() if isinstance(event, ClearMediaMoved)]
