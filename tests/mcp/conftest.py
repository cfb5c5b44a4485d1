"""Phones on loopback, the tools of one of them, and the SDK's own client in this process."""

from __future__ import annotations

import wave
from contextlib import AsyncExitStack, asynccontextmanager

import mcp_types as types
import pytest
from mcp import Client

from softphone.config import DialPolicyConfig
from softphone.mcp import PhoneTools, SpeechConfig, make_server
from softphone.phone import Phone
from tests.support.direct import address_of, clear

LEGACY, MODERN = "legacy", "2026-07-28"
BOTH = (LEGACY, MODERN)
"""The revisions of the protocol that ask the user in different ways."""
YES = types.ElicitResult(action="accept", content={"confirmed": True})
UNTICKED = types.ElicitResult(action="accept", content={"confirmed": False})
DECLINED = types.ElicitResult(action="decline")
CANCELED = types.ElicitResult(action="cancel")


class World:
    """Alice is called and calls; Bob has the tools, and a policy that knows her and Carol."""

    def __init__(self, alice, bob, carol, tools):
        self.alice, self.bob, self.carol, self.tools = alice, bob, carol, tools
        self.questions = []

    @asynccontextmanager
    async def client(self, mode=MODERN, *, answer=YES):
        """A client whose user gives an answer, or calls it for one; None: it cannot ask."""

        async def ask(_, params):
            self.questions.append(params.message)
            return answer() if callable(answer) else answer

        callback = None if answer is None else ask
        server = make_server(self.tools, version="1")
        async with Client(server, mode=mode, elicitation_callback=callback) as client:
            yield Tools(client)


class Tools:
    """Calls tools: what they return, or the sentence of their refusal."""

    def __init__(self, client):
        self.client = client

    async def __call__(self, name, **arguments):
        result = await self.client.call_tool(name, arguments)
        assert not result.is_error, result.content
        return result.structured_content

    async def refused(self, name, **arguments):
        result = await self.client.call_tool(name, arguments)
        assert result.is_error, result.structured_content
        (content,) = result.content
        return content.text


@pytest.fixture
def sounds(tmp_path):
    """A folder with a WAV file of 0.2 s."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    with wave.open(str(folder / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(
            b"\x00\x20" * 8 + b"\x00\xe0" * 8 + 100 * (b"\x00\x20" * 8 + b"\x00\xe0" * 8)
        )
    return folder


@pytest.fixture
async def world(sounds):
    """The phones; `world.speech` is not set: tests of speech make their own tools."""
    async with AsyncExitStack() as stack:
        phone = await stack.enter_async_context(Phone())
        policy = DialPolicyConfig(country="49", internal=("alice", "carol"))
        alice, bob, carol = [
            await phone.register(each)
            for each in (clear("alice"), clear("bob", dial_policy=policy), clear("carol"))
        ]
        tools = await stack.enter_async_context(PhoneTools(bob, SpeechConfig(sounds)))
        yield World(alice, bob, carol, tools)


__all__ = ["BOTH", "CANCELED", "DECLINED", "LEGACY", "MODERN", "UNTICKED", "YES", "address_of"]
