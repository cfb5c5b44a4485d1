"""No call and no transfer without a yes of the user, and none that the dial policy forbids."""

from __future__ import annotations

import asyncio

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from softphone.config import DialPolicyConfig
from softphone.errors import ConfigurationError
from softphone.mcp import PhoneTools
from softphone.mcp import server as mcp_server
from tests.mcp.conftest import BOTH, CANCELED, DECLINED, LEGACY, MODERN, UNTICKED, YES
from tests.support.calling import answer_one
from tests.support.direct import address_of
from tests.support.waiting import patiently


async def up(world, tools):
    """The number of a call that is up."""
    answering = asyncio.create_task(answer_one(world.alice))
    found = await tools("place_call", target=address_of(world.alice))
    await patiently(answering)
    return found["call"]


def called_nobody(world):
    return not world.alice._legs and not world.carol._legs and not world.bob._legs


@pytest.mark.parametrize("mode", BOTH)
async def test_without_a_yes_nobody_is_called(world, mode):
    for answer in (DECLINED, CANCELED, UNTICKED):
        async with world.client(mode, answer=answer) as tools:
            words = await tools.refused("place_call", target=address_of(world.alice))
        assert "the user did not confirm this" in words
        assert called_nobody(world)
    assert len(world.questions) == 3


@pytest.mark.parametrize("mode", BOTH)
async def test_a_client_that_cannot_ask_is_refused(world, mode):
    async with world.client(mode, answer=None) as tools:
        words = await tools.refused("place_call", target=address_of(world.alice))
        assert "cannot ask its user" in words
        words = await tools.refused("transfer", call="1", target=address_of(world.alice))
        assert "cannot ask its user" in words
    assert called_nobody(world)


def test_a_client_that_asks_by_a_web_page_only_is_refused():
    class Asking:
        client_capabilities = types.ClientCapabilities(
            elicitation=types.ElicitationCapability(url=types.UrlElicitationCapability())
        )

    with pytest.raises(mcp_server.ToolError, match="cannot ask its user"):
        mcp_server._check_client(Asking())
    Asking.client_capabilities = None
    with pytest.raises(mcp_server.ToolError, match="cannot ask its user"):
        mcp_server._check_client(Asking())


@pytest.mark.parametrize("mode", BOTH)
async def test_without_a_yes_no_call_is_transferred(world, mode):
    async with world.client(LEGACY) as tools:
        number = await up(world, tools)
        async with world.client(mode, answer=DECLINED) as others:
            words = await others.refused("transfer", call=number, target=address_of(world.carol))
    assert "the user did not confirm this" in words
    assert not world.carol._legs
    assert len(world.bob.calls) == 1


FORBIDDEN = (
    ("0900-1234567", "premium"),
    ("112", "emergency"),
    ("+33123456789", "outside of +49"),
    ("mallory", "mallory"),
    ("sip:", "not a SIP URI"),
    ("600@a\nb", "not a SIP URI"),
)


@pytest.mark.parametrize("mode", BOTH)
async def test_what_the_policy_forbids_is_not_even_asked(world, mode):
    async with world.client(mode) as tools:
        for target, words in FORBIDDEN:
            assert words in await tools.refused("place_call", target=target)
    assert world.questions == []
    assert called_nobody(world)


async def test_the_policy_judges_again_after_the_yes(world):
    """Between the question and the answer the policy has become stricter."""

    def forbid():
        bob = world.bob
        bob._context.dial_gate.configure(
            DialPolicyConfig(country="49"), aor=bob.aor, domain="127.0.0.1", report=lambda _: None
        )
        return YES

    async with world.client(LEGACY, answer=forbid) as tools:
        words = await tools.refused("place_call", target=address_of(world.alice))
    assert "see [dial_policy]" in words
    assert len(world.questions) == 1
    assert called_nobody(world)


async def test_a_yes_counts_once(world):
    async with world.client(MODERN) as tools:
        session = tools.client.session
        target = {"target": address_of(world.alice)}
        asked = await session.call_tool("place_call", target, allow_input_required=True)
        (question,) = asked.input_requests
        given = {"input_responses": {question: YES}, "request_state": asked.request_state}
        answering = asyncio.create_task(answer_one(world.alice))
        first = await session.call_tool("place_call", target, allow_input_required=True, **given)
        assert first.structured_content["outcome"] == "answered"
        await patiently(answering)
        with pytest.raises(MCPError):
            await session.call_tool("place_call", target, allow_input_required=True, **given)
        elsewhere = {"target": address_of(world.carol)}
        asked = await session.call_tool("place_call", target, allow_input_required=True)
        given["request_state"] = asked.request_state
        with pytest.raises(MCPError):
            await session.call_tool("place_call", elsewhere, allow_input_required=True, **given)
        made_up = {**given, "request_state": "made up"}
        with pytest.raises(MCPError):
            await session.call_tool("place_call", target, allow_input_required=True, **made_up)
        unasked = {"input_responses": {question: YES}}
        again = await session.call_tool("place_call", target, allow_input_required=True, **unasked)
        assert again.input_requests
    assert world.tools.placed_total == 1
    assert not world.carol._legs


def test_open_questions_are_bounded(monkeypatch):
    monkeypatch.setattr(mcp_server, "MOST_QUESTIONS", 2)
    kept = mcp_server._SingleUse()
    first, second, third = (kept.seal(each) for each in (b"1", b"2", b"3"))
    assert kept.unseal(third) == b"3"
    with pytest.raises(mcp_server.InvalidRequestState):
        kept.unseal(first)
    assert kept.unseal(second) == b"2"


async def test_an_account_without_a_policy_gets_no_tools(world):
    with pytest.raises(ConfigurationError, match=r"dial_policy.*an empty one refuses"):
        PhoneTools(world.alice)
