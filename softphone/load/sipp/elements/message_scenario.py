"""Scenarios of messages written in Python: SIPp's steps and actions, made by code.

    from softphone.load.sipp import MessageScenario, action

    scenario = MessageScenario("options")
    scenario.send('''
        OPTIONS sip:[service]@[remote_ip]:[remote_port] SIP/2.0
        ...
    ''', retrans=500)
    scenario.recv(response=200, actions=[action("log", message="[last_CSeq:]")])

`softphone load run --sipp FILE.py` runs the object `scenario` of a file.  Names of steps, actions
and attributes are SIPp's own, with `lambda_` for `lambda`; True is "true".  What is not supported
is named with its line in the Python file.  An action may be a function of ours, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from softphone.errors import ConfigurationError
from softphone.load.run.scenario import object_of_file
from softphone.load.sipp.elements.xml_elements import Element
from softphone.load.sipp.keywords import CallState

Attribute: TypeAlias = str | int | float | bool
CallFunction: TypeAlias = Callable[[CallState], None]
NAME = "scenario"
"""The name of the scenario in a file."""


def action(name: str, **attributes: Attribute) -> Element:
    """Return an action of SIPp for the `actions` of a step."""
    return _element(name, attributes)


class MessageScenario:
    """A scenario; each method adds a step behind those that are there.

    `actions` are made by `action`, or are functions that are called with the state of the call:
    its `number`, `call_id`, `variables` and `last` received message.  An exception of theirs fails
    the call.
    """

    def __init__(self, name: str) -> None:
        self.root = _element("scenario", {"name": name})

    def send(
        self,
        message: str,
        *,
        actions: Sequence[Element | CallFunction] = (),
        **attributes: Attribute,
    ) -> None:
        """Send a message: its lines, a blank one before the body, with SIPp's keywords."""
        step = self._add("send", attributes, actions)
        step.text, step.text_line = message, step.line

    def recv(
        self, *, actions: Sequence[Element | CallFunction] = (), **attributes: Attribute
    ) -> None:
        """Wait for a message: `response=200`, or `request="BYE"`."""
        self._add("recv", attributes, actions)

    def send_cmd(
        self,
        message: str,
        *,
        actions: Sequence[Element | CallFunction] = (),
        **attributes: Attribute,
    ) -> None:
        """Send a command to the twin (3PCC): lines with keywords, of which one is the Call-ID."""
        step = self._add("sendCmd", attributes, actions)
        step.text, step.text_line = message, step.line

    def recv_cmd(
        self, *, actions: Sequence[Element | CallFunction] = (), **attributes: Attribute
    ) -> None:
        """Wait for a command of the twin, which actions search."""
        self._add("recvCmd", attributes, actions)

    def pause(
        self, *, actions: Sequence[Element | CallFunction] = (), **attributes: Attribute
    ) -> None:
        """Wait: `milliseconds=500`, or by a distribution."""
        self._add("pause", attributes, actions)

    def timewait(self, milliseconds: float, **attributes: Attribute) -> None:
        """Absorb what is repeated for so long, and end."""
        self._add("timewait", {"milliseconds": milliseconds, **attributes})

    def nop(
        self, *, actions: Sequence[Element | CallFunction] = (), **attributes: Attribute
    ) -> None:
        """Only run actions, or go where `next` leads."""
        self._add("nop", attributes, actions)

    def label(self, name: str) -> None:
        """Name the next step, for `next` and `ontimeout`."""
        self._add("label", {"id": name})

    def init(self, *, actions: Sequence[Element | CallFunction]) -> None:
        """Run actions once, before the first call."""
        init = self._add("init", {})
        nop = Element("nop", init.line, {})
        nop.children.append(_actions(actions, init.line))
        init.children.append(nop)

    def global_variables(self, names: str) -> None:
        """Share variables, with commas between them, among all calls."""
        self._add("Global", {"variables": names})

    def user_variables(self, names: str) -> None:
        """Keep variables from call to call of a user."""
        self._add("User", {"variables": names})

    def _add(
        self,
        name: str,
        attributes: dict[str, Attribute],
        actions: Sequence[Element | CallFunction] = (),
    ) -> Element:
        step = _element(name, attributes)
        if actions:
            step.children.append(_actions(actions, step.line))
        self.root.children.append(step)
        return step


def read_python(path: Path) -> Element:
    """Run a Python file, and return what its scenario consists of.  Raises ConfigurationError."""
    found = object_of_file(path, NAME)
    if not isinstance(found, MessageScenario):
        raise ConfigurationError(f"{path} has no MessageScenario named {NAME!r}")
    return found.root


def _actions(actions: Sequence[Element | CallFunction], line: int) -> Element:
    children = [
        each if isinstance(each, Element) else Element("function", line, {}, function=each)
        for each in actions
    ]
    return Element("action", line, {}, children=children)


def _element(name: str, attributes: dict[str, Attribute]) -> Element:
    texts = {key.removesuffix("_"): _text(value) for key, value in attributes.items()}
    return Element(name, _line(), texts)


def _text(value: Attribute) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _line() -> int:
    """The line of the scenario's own file that is run."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame.f_lineno
