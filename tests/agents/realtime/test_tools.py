"""What a model may do with its call, and what it is told when it may not."""

from __future__ import annotations

import asyncio
import json

import pytest

from softphone.agents.realtime.dialect import ToolRequest
from softphone.agents.realtime.tools import DEFAULT_TOOLS, Tool, carry_out, describe_tools
from softphone.errors import CallError, DialRefused


class FarEnd:
    """A call that notes what is done with it, and raises `error`."""

    def __init__(self, error=None):
        self.done = []
        self.error = error

    def hangup(self):
        self._note("hang up")

    async def transfer(self, target):
        self._note(f"transfer {target}")

    async def send_digits(self, digits):
        self._note(f"digits {digits}")

    def _note(self, what):
        if self.error is not None:
            raise self.error
        self.done.append(what)


def use(name, arguments="{}", *, tools=tuple(Tool), error=None):
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments)
    call = FarEnd(error)
    outcome = asyncio.run(carry_out(call, ToolRequest("1", name, arguments), tools))
    return call.done, outcome


def test_what_it_may_do():
    assert use("hang_up")[0] == ["hang up"]
    assert use("hang_up", "no json")[0] == ["hang up"]
    done, outcome = use("transfer", {"target": "+49301234567"})
    assert done == ["transfer +49301234567"]
    assert (outcome.done, outcome.as_json()) == (True, '{"result": "done"}')
    assert outcome.shown == "transfer to +493***67"
    done, outcome = use("send_digits", {"digits": "12#*"})
    assert done == ["digits 12#*"]
    assert outcome.shown == "send_digits"


def test_it_may_do_what_it_was_offered_alone():
    assert Tool.TRANSFER not in DEFAULT_TOOLS
    for name in ("transfer", "place_call", ""):
        done, outcome = use(name, {"target": "601"}, tools=DEFAULT_TOOLS)
        assert done == []
        assert json.loads(outcome.as_json()) == {"error": "there is no such function"}
        assert name not in outcome.shown or not name


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("transfer", "", "JSON"),
        ("transfer", "[" * 2000, "JSON"),
        ("transfer", '"' + "x" * 3000 + '"', "too long"),
        ("transfer", [], "target is missing"),
        ("transfer", {}, "target is missing"),
        ("transfer", {"target": 7}, "target is missing"),
        ("transfer", {"target": "sip:a@b\r\nX: y"}, "target is missing"),
        ("transfer", {"target": "a b"}, "target is missing"),
        ("transfer", {"target": ""}, "target is missing"),
        ("send_digits", {"digits": "1,2"}, "digits is missing"),
        ("send_digits", {"digits": "1" * 33}, "digits is missing"),
        ("send_digits", {"digits": "\u0661"}, "digits is missing"),
    ],
)
def test_what_is_wrong_is_said_and_not_done(name, arguments, words):
    done, outcome = use(name, arguments)
    assert done == []
    assert not outcome.done
    assert words in outcome.sentence


@pytest.mark.parametrize(
    "error",
    [
        DialRefused("090***67 is a premium number", rule="premium"),
        CallError("the far end has declined", status=603, reason="Decline"),
    ],
)
def test_why_it_failed_is_told_to_the_model(error):
    done, outcome = use("transfer", {"target": "0900-1234567"}, error=error)
    assert done == []
    assert json.loads(outcome.as_json()) == {"error": str(error)}


def test_descriptions_are_schemas_of_what_is_parsed():
    for each in describe_tools(Tool):
        assert each.parameters["type"] == "object"
        assert each.parameters["additionalProperties"] is False
        assert set(each.parameters["required"]) == set(each.parameters["properties"])
