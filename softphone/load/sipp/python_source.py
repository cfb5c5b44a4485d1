"""Writes a SIPp scenario as Python: the source of a file with a `MessageScenario`.

Elements that have no effect here, `Reference` and the two repartitions, are left out.  Every text
of the scenario becomes a literal, so that none is ever run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from softphone.load.sipp.elements.message_scenario import NAME
from softphone.load.sipp.elements.xml_elements import Element, read_elements
from softphone.load.sipp.reader import read_scenario

WIDTH = 100
_INDENT = "    "
_NUMBERS = frozenset(
    (
        *("retrans", "response", "timeout", "lost", "chance", "occurrence", "milliseconds"),
        *("value", "min", "max", "mean", "stdev", "lambda", "k", "theta", "x_m"),
    )
)
"""Attributes that are numbers where they look like one."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}|-?(?:0|[1-9][0-9]{0,8})\.[0-9]{0,8}[1-9]|-[1-9][0-9]{0,8}")
_VARIABLES = {"Global": "global_variables", "User": "user_variables"}
_METHODS = {"sendCmd": "send_cmd", "recvCmd": "recv_cmd"}
_WITHOUT_EFFECT = ("Reference", "CallLengthRepartition", "ResponseTimeRepartition")


def python_source(path: Path, *, keys: Collection[str] = (), allow_exec: bool = False) -> str:
    """Return the source for a scenario file.

    Raises ConfigurationError that names each thing that is not supported, with file and line.
    """
    name = read_scenario(path, keys=keys, allow_exec=allow_exec).name
    parts = [_step(element) for element in read_elements(path).children]
    steps = "\n".join(part for part in parts if part)
    imported = "MessageScenario, action" if "action(" in steps else "MessageScenario"
    return (
        # A name such as "coding=utf-7 .xml" in one of the first two lines would declare the
        # encoding of the file (PEP 263), in which its literals may be code.
        "# To run it: softphone load run --sipp FILE.py\n#\n"
        f"# Imported from {path.name!r}\n\n"
        f"from softphone.load.sipp import {imported}\n\n"
        f"{NAME} = MessageScenario({_string(name)})\n\n{steps}\n"
    )


def _step(element: Element) -> str:
    """The call that adds one element, "" for one without effect."""
    name, given = element.name, element.attributes
    if name in _WITHOUT_EFFECT:
        return ""
    if name == "label":
        return _call("label", [_string(given["id"])], 0)
    if name in _VARIABLES:
        return _call(_VARIABLES[name], [_string(given.get("variables", ""))], 0)
    if name == "init":
        children = [each for nop in element.children for each in nop.children]
        return _call("init", [_action_list(children)], 0)
    arguments = [_message(element.text)] if name in ("send", "sendCmd") else []
    name = _METHODS.get(name, name)
    if name == "timewait":
        given = {"milliseconds": "0", **given}
    arguments += _keywords(given)
    if element.children:
        arguments.append(_action_list(element.children))
    return _call(name, arguments, 0)


def _call(name: str, arguments: Sequence[str], depth: int, owner: str = f"{NAME}.") -> str:
    """A call on one line, or with an argument a line where that is too long."""
    line = f"{owner}{name}({', '.join(arguments)})"
    if "\n" not in line and len(line) + len(_INDENT) * depth < WIDTH:
        return line
    inner = _INDENT * (depth + 1)
    return (
        f"{owner}{name}(\n"
        + "".join(f"{inner}{each},\n" for each in arguments)
        + f"{_INDENT * depth})"
    )


def _action_list(wrappers: Sequence[Element]) -> str:
    """The actions of all `<action>` elements of a step."""
    actions = [child for wrapper in wrappers for child in wrapper.children]
    inner = _INDENT * 2
    calls = [
        _call("action", [_string(each.name), *_keywords(each.attributes)], 2, owner="")
        for each in actions
    ]
    return "actions=[\n" + "".join(f"{inner}{call},\n" for call in calls) + f"{_INDENT}]"


def _keywords(attributes: dict[str, str]) -> list[str]:
    return [
        f"{'lambda_' if name == 'lambda' else name}={_value(name, text)}"
        for name, text in attributes.items()
    ]


def _value(name: str, text: str) -> str:
    if text in ("true", "false"):
        return text.title()
    if name in _NUMBERS and _NUMBER.fullmatch(text):
        return text
    return _string(text)


def _string(text: str) -> str:
    """A literal of one line: a raw one for backslashes, where that can be."""
    quote = "'" if '"' in text else '"'
    if not text.isprintable() or quote in text or text.endswith("\\"):
        return repr(text)
    return f"{'r' if chr(92) in text else ''}{quote}{text}{quote}"


def _message(text: str) -> str:
    """A literal of many lines, each indented; blanks around lines have no meaning in a message."""
    lines = [line.strip(" \t\r") for line in text.strip(" \t\r\n").split("\n")]
    if '"""' in text or not all(line.isprintable() for line in lines):
        return repr("\n".join(lines))
    raw = "r" if any("\\" in line for line in lines) else ""
    body = "".join(f"{_INDENT}{line}\n" if line else "\n" for line in lines)
    return f'{raw}"""\n{body}{_INDENT}"""'
