"""The bot of the docs: it answers messages, encrypted client to client, and calls."""

from __future__ import annotations

import asyncio
import re

import pytest

from softphone.config import load_account
from softphone.lab import LabServer
from softphone.media.audio import PcmRing, tone_level
from softphone.phone import Phone
from tests.docs.test_blocks import PROJECT, blocks_of
from tests.peers.chat import World, heard, jid, sees
from tests.peers.prosody import PASSWORD
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.peer("prosody")


def bot():
    """The function `bot` of the block that has it."""
    (source,) = (
        found["source"]
        for found in blocks_of(PROJECT / "docs" / "guides" / "messages.md")
        if found["kind"] == "python" and re.search("^async def bot", found["source"], re.M)
    )
    names = {}
    exec(compile(source, "messages.md", "exec"), names)
    return names["bot"]


def account_file(lab, world, address):
    """bob's account in the lab, with his messages."""
    path = lab.accounts["bob"]
    certificate = world.certificate("user39")
    path.write_text(
        path.read_text() + f'[im]\njid = "{jid("user39")}"\npassword = "{PASSWORD}"\n'
        f'server = "{address[0]}:{address[1]}"\n'
        f'[im.tls]\nca = "{world.authority.certificate}"\n'
        f'certificate = "{certificate.certificate}"\nkey = "{certificate.key}"\n'
    )
    return path


@pytest.mark.feature("a bot answers messages and calls")
async def test_the_bot_answers_messages_and_calls(prosody, authority, tmp_path):
    world = World(authority, tmp_path)
    asking = world.config("user38", prosody.direct)
    async with LabServer(tmp_path / "lab") as lab, world.messages(asking) as messages:
        running = asyncio.create_task(bot()(account_file(lab, world, prosody.direct)))
        try:
            await sees(messages, jid("user39"), within=20)
            await messages.send(jid("user39"), "hello?")
            answer = await heard(messages)
            assert (answer.body, answer.security.sign) == ("You said: hello?", "key")
            async with Phone() as phone:
                account = await phone.register(load_account(lab.accounts["alice"]).config)
                async with await account.dial("bob").answered(timeout=PATIENCE) as call:
                    ring = PcmRing(8000, seconds=2.0)
                    call.audio.record(ring)
                    await ring.read_exactly(4000)
                    assert tone_level(await ring.read_exactly(4000), 440.0, 8000) > -30
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
