"""Our presence, published to Kamailio and seen by another account that watches us there."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from softphone.events import Presence
from softphone.phone import Phone
from tests.peers.kamailio.presence_server import PresenceServer
from tests.peers.phones import Wire, account
from tests.peers.root import PeersUnavailable
from tests.support.calling import answer_one
from tests.support.waiting import PATIENCE, until


@pytest.fixture
def kamailio_presence(peer_root, tmp_path):
    """A Kamailio with presence; skipped without its modules, which CI has to have."""
    try:
        server = PresenceServer(peer_root, tmp_path / "presence")
    except PeersUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.mark.feature("presence published")
async def test_what_we_publish_is_what_a_watcher_sees(kamailio_presence):
    wire = Wire()
    config = account("presence-a", kamailio_presence.udp, "udp")
    async with Phone(tap=wire) as phone, Phone() as others:
        watcher = await others.register(account("presence-b", kamailio_presence.udp, "udp"))
        async with watcher.watch_presence("presence-a") as watch:
            await until(lambda: watch.active)
            alice = await phone.register(replace(config, publish_presence=True))
            await until(lambda: watch.presence == Presence(True))
            answering = asyncio.create_task(answer_one(alice))
            call = await watcher.dial("presence-a").answered(timeout=PATIENCE)
            await answering
            await until(lambda: watch.presence == Presence(True, on_the_phone=True))
            call.hangup()
            await until(lambda: watch.presence == Presence(True))
            await alice.close()
            await until(lambda: watch.presence in (None, Presence(False)))
    first, *_, last = wire.sent("PUBLISH")
    assert "SIP-If-Match" not in first
    assert "\r\nExpires: 0\r\n" in last
    assert "SIP-If-Match" in last
