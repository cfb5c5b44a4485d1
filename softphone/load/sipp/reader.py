"""Reads a SIPp scenario: its XML to typed steps, or all that is not supported, by line.

Nothing is sent of a scenario that is only partly understood: all that is unknown is named at once.
`softphone.load.sipp.call` says what the elements mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softphone.errors import ConfigurationError
from softphone.load.sipp.action_reader import ActionReader
from softphone.load.sipp.attributes import AttributeReader
from softphone.load.sipp.elements.message_files import MessageFiles
from softphone.load.sipp.elements.message_scenario import read_python
from softphone.load.sipp.elements.xml_elements import Element, read_elements
from softphone.load.sipp.scenario import (
    Action,
    Branch,
    NopStep,
    PauseStep,
    ReceiveCommandStep,
    ReceiveStep,
    SendCommandStep,
    SendStep,
    SippScenario,
    Step,
    TimeWaitStep,
)
from softphone.load.sipp.template import MessageTemplate, parse_message

MOST_NAMED = 50
"""Problems that one error names; more are counted."""
_STOPWATCHES = ("rtd", "start_rtd", "repeat_rtd", "counter", "crlf", "hide", "display")
"""Attributes of a screen and of stop-watches, which are read and have no effect."""
_DISTRIBUTIONS: Mapping[str, tuple[str, str]] = {
    "fixed": ("value", ""),
    "uniform": ("min", "max"),
    "normal": ("mean", "stdev"),
    "lognormal": ("mean", "stdev"),
    "exponential": ("mean", ""),
    "weibull": ("lambda", "k"),
    "pareto": ("k", "x_m"),
    "gamma": ("k", "theta"),
}
"""Distributions of a pause, each with the names of its two numbers."""
_POSITIVE = ("weibull", "pareto", "gamma")


@dataclass(slots=True)
class _ScenarioReader:
    keys: Collection[str]
    allow_exec: bool
    folder: Path
    files: MessageFiles
    problems: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    global_variables: set[str] = field(default_factory=set)
    user_variables: set[str] = field(default_factory=set)
    begins_with: list[NopStep] = field(default_factory=list)

    def read(self, root: Element) -> None:
        """Read all elements below `<scenario>`."""
        if root.name != "scenario":
            self.problems.append(f"{root.line}: expected <scenario>, not <{root.name}>")
            return
        self._attributes(root).done("name")
        for element in root.children:
            self._element(element)
        self._check_labels()
        if not any(isinstance(step, SendStep | ReceiveStep) for step in self.steps):
            self.problems.append(f"{root.line}: there is no send and no recv")

    def _attributes(self, element: Element) -> AttributeReader:
        return AttributeReader(element, self.problems)

    def _element(self, element: Element) -> None:
        attributes = self._attributes(element)
        reader = ELEMENTS.get(element.name)
        if reader is None:
            self.problems.append(f"{element.line}: <{element.name}> is not supported")
            return
        reader(self, element, attributes)
        attributes.done()
        if element.name not in ("send", "sendCmd") and element.text.strip():
            self.problems.append(f"{element.line}: <{element.name}> has text, which has no meaning")

    def _time_wait(self, element: Element, attributes: AttributeReader) -> None:
        wait = attributes.number("milliseconds", 0.0)
        self._add(TimeWaitStep(milliseconds=wait, **self._shared(element, attributes)))

    def _nop(self, element: Element, attributes: AttributeReader) -> None:
        self._add(NopStep(**self._shared(element, attributes)))

    def _global(self, _: Element, attributes: AttributeReader) -> None:
        self.global_variables.update(attributes.names("variables"))

    def _user(self, _: Element, attributes: AttributeReader) -> None:
        self.user_variables.update(attributes.names("variables"))

    def _init(self, element: Element, _: AttributeReader) -> None:
        """Actions before the first call, which have no message, and lead nowhere."""
        for child in element.children:
            if child.name != "nop":
                self.problems.append(f"{child.line}: <{child.name}> is not supported here")
                continue
            attributes = self._attributes(child)
            actions = self._actions(child)
            attributes.done()
            self.begins_with.append(NopStep(line=child.line, actions=actions))

    def _reference(self, _: Element, attributes: AttributeReader) -> None:
        """Names variables that are assigned and not used, which is no mistake here."""
        attributes.names("variables")

    def _statistics(self, _: Element, attributes: AttributeReader) -> None:
        """Bounds of histograms that a run does not draw."""
        attributes.text("value")

    def _add(self, step: Step) -> None:
        self.steps.append(step)

    def _shared(self, element: Element, attributes: AttributeReader) -> dict[str, Any]:
        """The attributes that all steps have; `Any`, since they are keyword arguments."""
        for name in _STOPWATCHES:
            attributes.text(name)
        condition, inverse = attributes.text("condexec"), attributes.flag("condexec_inverse")
        branch = Branch(
            attributes.text("next"), attributes.text("test"), attributes.number("chance", 1.0)
        )
        return {
            "line": element.line,
            "branch": branch,
            "actions": self._actions(element),
            "condition": condition,
            "condition_inverse": inverse,
        }

    def _actions(self, element: Element) -> tuple[Action, ...]:
        found: list[Action] = []
        reader = ActionReader(
            self.keys, self.allow_exec, self.problems, self.folder, self.files.text
        )
        for child in element.children:
            if child.name != "action":
                self.problems.append(f"{child.line}: <{child.name}> is not supported here")
                continue
            self._attributes(child).done()
            found += reader.read_all(child.children)
        return tuple(found)

    def _label(self, element: Element, attributes: AttributeReader) -> None:
        name = attributes.needed("id")
        if name in self.labels:
            self.problems.append(f"{element.line}: label {name!r} is there twice")
        self.labels[name] = len(self.steps)

    def _parse_message(self, element: Element) -> MessageTemplate:
        """The message of an element.  Raises ValueError with a line."""
        line = element.text_line or element.line
        return parse_message(element.text, self.keys, line, self.files.text)

    def _send(self, element: Element, attributes: AttributeReader) -> None:
        try:
            message = self._parse_message(element)
        except ValueError as error:
            self.problems.append(str(error))
            self._shared(element, attributes)
            for name in ("retrans", "lost", "start_txn", "ack_txn"):
                attributes.text(name)
            return
        attributes.text("ack_txn")
        step = SendStep(
            message=message,
            retransmit_ms=int(attributes.number("retrans", 0.0)),
            lost=attributes.number("lost", 0.0) / 100.0,
            start_transaction=attributes.text("start_txn"),
            **self._shared(element, attributes),
        )
        self._add(step)

    def _send_command(self, element: Element, attributes: AttributeReader) -> None:
        shared = self._shared(element, attributes)
        try:
            message = self._parse_message(element)
        except ValueError as error:
            self.problems.append(str(error))
            return
        self._add(SendCommandStep(message=message, **shared))

    def _receive_command(self, element: Element, attributes: AttributeReader) -> None:
        self._add(ReceiveCommandStep(**self._shared(element, attributes)))

    def _receive(self, element: Element, attributes: AttributeReader) -> None:
        request, response = attributes.text("request"), attributes.text("response")
        status = 0
        if bool(request) == bool(response):
            self.problems.append(f"{element.line}: <recv> needs either request or response")
        if response:
            if re.fullmatch("[1-6][0-9]{2}", response):
                status = int(response)
            else:
                self.problems.append(f"{element.line}: response={response!r} is not supported")
        pattern = attributes.pattern(request) if attributes.flag("regexp_match") else None
        for name in ("auth", "ignoresdp"):
            attributes.flag(name)
        optional = attributes.choice("optional", ("true", "false", "global"), "false")
        self._add(
            ReceiveStep(
                method=request,
                method_pattern=pattern,
                status=status,
                optional=optional != "false",
                anywhere=optional == "global",
                record_route=attributes.flag("rrs"),
                timeout_ms=int(attributes.number("timeout", 0.0)),
                on_timeout=attributes.text("ontimeout"),
                lost=attributes.number("lost", 0.0) / 100.0,
                transaction=attributes.text("response_txn"),
                **self._shared(element, attributes),
            )
        )

    def _pause(self, element: Element, attributes: AttributeReader) -> None:
        shared = self._shared(element, attributes)
        attributes.flag("sanity_check")
        if attributes.has("milliseconds"):
            wait = attributes.number("milliseconds", 0.0)
            self._add(PauseStep(kind="fixed", first=wait, **shared))
        elif attributes.has("variable"):
            self._add(PauseStep(kind="variable", variable=attributes.text("variable"), **shared))
        elif attributes.has("distribution"):
            kind = attributes.choice("distribution", tuple(_DISTRIBUTIONS), "fixed")
            first, second = _DISTRIBUTIONS[kind]
            one = attributes.number(first, None)
            two = attributes.number(second, None) if second else 0.0
            if kind in _POSITIVE and not (one > 0 and two > 0):
                self.problems.append(f"{element.line}: {first} and {second} have to be above 0")
            self._add(PauseStep(kind=kind, first=one, second=two, **shared))
        else:
            self._add(PauseStep(kind="default", **shared))

    def _check_labels(self) -> None:
        for step in self.steps:
            wanted = [step.branch.to]
            if isinstance(step, ReceiveStep):
                wanted.append(step.on_timeout)
            for name in wanted:
                if name and name not in self.labels:
                    self.problems.append(f"{step.line}: there is no label {name!r}")


ELEMENTS: Mapping[str, Callable[[_ScenarioReader, Element, AttributeReader], None]] = {
    "send": _ScenarioReader._send,
    "recv": _ScenarioReader._receive,
    "sendCmd": _ScenarioReader._send_command,
    "recvCmd": _ScenarioReader._receive_command,
    "pause": _ScenarioReader._pause,
    "timewait": _ScenarioReader._time_wait,
    "nop": _ScenarioReader._nop,
    "label": _ScenarioReader._label,
    "init": _ScenarioReader._init,
    "Global": _ScenarioReader._global,
    "User": _ScenarioReader._user,
    "Reference": _ScenarioReader._reference,
    "CallLengthRepartition": _ScenarioReader._statistics,
    "ResponseTimeRepartition": _ScenarioReader._statistics,
}
"""The elements below `<scenario>`, and what reads each."""


def read_scenario(
    path: Path, *, keys: Collection[str] = (), allow_exec: bool = False
) -> SippScenario:
    """Read a scenario file; `keys` are names that keywords may have beside SIPp's own.

    A file that ends in `.py` is run, and the `MessageScenario` of its `scenario` read.  Raises
    ConfigurationError that names each thing that is not supported, with file and line.
    """
    root = read_python(path) if path.suffix == ".py" else read_elements(path)
    files = MessageFiles(path.parent, allow_exec)
    reader = _ScenarioReader(keys, allow_exec, path.parent, files)
    reader.read(root)
    if reader.problems:
        named = [f"{path}:{problem}" for problem in reader.problems[:MOST_NAMED]]
        if len(reader.problems) > MOST_NAMED:
            named.append(f"… and {len(reader.problems) - MOST_NAMED} more")
        raise ConfigurationError("\n".join(named))
    return SippScenario(
        root.attributes.get("name", path.stem),
        tuple(reader.steps),
        reader.labels,
        frozenset(reader.global_variables),
        frozenset(reader.user_variables),
        tuple(reader.begins_with),
    )
