"""`hand_over` of the page "Call agents": with a colleague in clear, and a caller who leaves."""

from __future__ import annotations

import ast
import asyncio

import pytest

from softphone import Phone, load_account
from softphone.events import CallState
from tests.docs.test_blocks import PROJECT, beside_a_lab, blocks_of

__all__ = ["beside_a_lab"]

PAGE = PROJECT / "docs" / "guides" / "call-agents.md"


@pytest.fixture
def hand_over():
    """The function as the page has it, without the program around it."""
    (source,) = (
        found["source"] for found in blocks_of(PAGE) if "async def hand_over" in found["source"]
    )
    tree = ast.parse(source, mode="exec")
    kept = (ast.Import, ast.ImportFrom, ast.AsyncFunctionDef)
    tree.body = [each for each in tree.body if isinstance(each, kept)]
    names = {}
    exec(compile(tree, "the page", "exec"), names)
    return names["hand_over"]


async def users(phone, *names):
    return [await phone.register(load_account(f"lab/{name}.toml").config) for name in names]


async def answered(line):
    async for incoming in line.incoming():
        return await incoming.answer()


async def test_the_call_goes_on_where_the_colleague_is_in_clear(beside_a_lab, hand_over):
    async with Phone() as phone:
        alice, bob, carol = await users(phone, "alice", "bob", "carol")
        colleague = asyncio.create_task(answered(carol))
        serving = asyncio.create_task(answered(bob))
        async with alice.dial("bob") as outgoing:
            caller = await outgoing.answered(timeout=60)
            call = await serving
            assert not await hand_over(bob, call, "carol")
            assert (call.state, call.held) == (CallState.CONFIRMED, False)
            assert caller.state is CallState.CONFIRMED
        colleague.cancel()


async def test_the_colleague_rings_no_longer_than_the_caller_waits(beside_a_lab, hand_over):
    async with Phone() as phone:
        alice, bob, dave = await users(phone, "alice", "bob", "dave")
        serving = asyncio.create_task(answered(bob))
        async with alice.dial("bob") as outgoing:
            caller = await outgoing.answered(timeout=60)
            call = await serving
            handing = asyncio.create_task(hand_over(bob, call, "dave"))
            async for asked in dave.incoming():
                asked.ring()
                break
            caller.hangup()
            async with asyncio.timeout(15):  # she would ring for 20 seconds
                assert not await handing
                ended = [event async for event in asked.events()][-1]
            assert ended.by == "remote"
            assert call.state is CallState.TERMINATED
