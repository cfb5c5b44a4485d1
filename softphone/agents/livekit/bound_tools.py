"""Functions for a model of livekit-agents that are bound to a call."""

from __future__ import annotations

import json
from collections.abc import Iterable

from livekit.agents.llm import RawFunctionTool, ToolError, function_tool
from livekit.agents.voice import RunContext

from softphone.account import Account
from softphone.agents.realtime.dialect import ToolRequest
from softphone.agents.realtime.tools import (
    AFTER_WORDS,
    DEFAULT_TOOLS,
    Tool,
    carry_out,
    check_tools,
    describe_tools,
)
from softphone.call import Call


def call_tools(
    call: Call, account: Account, tools: Iterable[Tool] = DEFAULT_TOOLS
) -> list[RawFunctionTool]:
    """Return one function for `Agent(tools=...)` for each of `tools`; transfer only if listed.

    Hanging up and transferring wait until the agent's earlier speech has been played.
    The account's dial policy judges the target of a transfer.  A function that fails, or is
    refused, raises `ToolError` with why, which the model is told.  Raises ConfigurationError for
    transfers by an account without a dial policy.
    """
    offered = tuple(tools)
    check_tools(offered, account.config)
    return [_bound(call, each, offered) for each in offered]


def _bound(call: Call, tool: Tool, offered: tuple[Tool, ...]) -> RawFunctionTool:
    (described,) = describe_tools([tool])

    async def use(raw_arguments: dict[str, object], context: RunContext) -> str:
        if tool.value in AFTER_WORDS:
            await context.wait_for_playout()
        request = ToolRequest("", tool.value, json.dumps(raw_arguments))
        outcome = await carry_out(call, request, offered)
        if not outcome.done:
            raise ToolError(outcome.sentence)
        return outcome.sentence

    schema = {
        "name": described.name,
        "description": described.description,
        "parameters": described.parameters,
    }
    return function_tool(use, raw_schema=schema)
