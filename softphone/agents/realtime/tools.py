"""What a model may do with its call: the functions that it is offered, and how they are done.

What a model asks for is judged here and by the account's dial policy, as anybody's wish is: a
caller may have talked it into anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from softphone.agents.realtime.dialect import ToolDescription, ToolRequest
from softphone.call import Call
from softphone.config import AccountConfig
from softphone.config.dial_policy import shown_number
from softphone.errors import ConfigurationError, SoftphoneError

LONGEST_ARGUMENTS = 2048
"""Characters of a function's arguments."""
_DIGITS = re.compile(r"[0-9*#A-D]{1,32}")
_TARGET = re.compile(r"[!-~]{1,256}")


class Tool(StrEnum):
    """A function that a model may be offered."""

    HANG_UP = "hang_up"
    TRANSFER = "transfer"
    SEND_DIGITS = "send_digits"


DEFAULT_TOOLS = (Tool.HANG_UP, Tool.SEND_DIGITS)
AFTER_WORDS = (Tool.HANG_UP.value, Tool.TRANSFER.value)
"""Functions before which what was said is heard to its end."""


def check_tools(tools: Iterable[Tool], account: AccountConfig) -> None:
    """Raise ConfigurationError where a model may transfer calls, and no dial policy judges it."""
    if Tool.TRANSFER in tools and account.dial_policy is None:
        raise ConfigurationError(
            "a model may transfer calls only under a dial policy: give the account one"
        )


def _schema(**properties: str) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": {
            name: {"type": "string", "description": said} for name, said in properties.items()
        },
        "required": list(properties),
        "additionalProperties": False,
    }


_DESCRIPTIONS = {
    Tool.HANG_UP: ToolDescription(
        Tool.HANG_UP.value,
        "Hang up the call. What you have said before is heard to its end. Say goodbye first.",
        _schema(),
    ),
    Tool.TRANSFER: ToolDescription(
        Tool.TRANSFER.value,
        "Connect the caller with somebody else, and leave the call. Say so first. "
        "If it fails, the call goes on, and you are told why.",
        _schema(target="A telephone number, an extension or a SIP URI."),
    ),
    Tool.SEND_DIGITS: ToolDescription(
        Tool.SEND_DIGITS.value,
        "Press keys of the telephone, for a voice menu at the other end.",
        _schema(digits="The keys in order: 0 to 9, * and #."),
    ),
}


def describe_tools(tools: Iterable[Tool]) -> tuple[ToolDescription, ...]:
    """Return the descriptions for the model."""
    return tuple(_DESCRIPTIONS[each] for each in tools)


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What became of a request: whether it was done, and the sentence that the model is told.

    `shown` is the request for a log or a screen, without digits, which may be secret, and without
    the middle of a number.
    """

    done: bool
    sentence: str
    shown: str

    def as_json(self) -> str:
        """Return the result for the model."""
        key = "result" if self.done else "error"
        return json.dumps({key: self.sentence})


async def carry_out(call: Call, request: ToolRequest, tools: Iterable[Tool]) -> ToolOutcome:
    """Do what a model asks for.

    Raises nothing for what is wrong about the request, or fails: the outcome says it.
    """
    tool = next((each for each in tools if each.value == request.name), None)
    if tool is None:
        return ToolOutcome(False, "there is no such function", "an unknown function")
    try:
        argument = _parse(tool, request.arguments)
    except ValueError as error:
        return ToolOutcome(False, str(error), tool.value)
    to = f" to {shown_number(argument)}" if tool is Tool.TRANSFER else ""
    shown = f"{tool.value}{to}"
    try:
        if tool is Tool.HANG_UP:
            call.hangup()
        elif tool is Tool.TRANSFER:
            await call.transfer(argument)
        else:
            await call.send_digits(argument)
    except SoftphoneError as error:
        return ToolOutcome(False, str(error), shown)
    return ToolOutcome(True, "done", shown)


def _parse(tool: Tool, arguments: str) -> str:
    """Return the one argument of a function, "" for none.  Raises ValueError in plain words."""
    name, form = _ARGUMENTS[tool]
    if not name or form is None:
        return ""
    if len(arguments) > LONGEST_ARGUMENTS:
        raise ValueError("the arguments are too long")
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        raise ValueError("the arguments are not JSON") from None
    value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise ValueError(f"{name} is missing, or is none")
    return value


_ARGUMENTS: Mapping[Tool, tuple[str, re.Pattern[str] | None]] = {
    Tool.HANG_UP: ("", None),
    Tool.TRANSFER: ("target", _TARGET),
    Tool.SEND_DIGITS: ("digits", _DIGITS),
}
