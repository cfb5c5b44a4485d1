"""Reads the elements below `<action>` of a SIPp scenario."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TypeAlias

from softphone.errors import ConfigurationError
from softphone.load.sipp.attributes import AttributeReader
from softphone.load.sipp.elements.xml_elements import Element
from softphone.load.sipp.media.packet_file import read_packets
from softphone.load.sipp.media.rtp_stream import read_stream
from softphone.load.sipp.pattern import compile_extended
from softphone.load.sipp.scenario import (
    Action,
    AssignAction,
    AssignTextAction,
    CompareTextAction,
    EchoAction,
    EchoSwitchAction,
    FunctionAction,
    InternalCommand,
    JumpAction,
    LogAction,
    LookupAction,
    PauseStreamAction,
    PlayAction,
    SearchAction,
    ShellCommand,
    StreamAction,
    TestAction,
    TimeOfDayAction,
    ToNumberAction,
)
from softphone.load.sipp.template import ReadFile, Template, no_file, parse_template

COMPARISONS = (
    "equal",
    "not_equal",
    "greater_than",
    "less_than",
    "greater_than_equal",
    "less_than_equal",
)
INTERNAL = ("stop_call", "stop_gracefully", "stop_now")
_PAUSES = {
    "pause": ("audio", True),
    "resume": ("audio", False),
    "pauseapattern": ("audio", True),
    "resumeapattern": ("audio", False),
    "pausevpattern": ("video", True),
    "resumevpattern": ("video", False),
}
_ECHOES = {
    f"{verb}{kind}": EchoAction(kind, verb != "stop")
    for verb in ("start", "update", "stop")
    for kind in ("audio", "video")
}
_NOTHING = Template(())
_Read: TypeAlias = Callable[[Element, AttributeReader], Action | None]


class ActionReader:
    """Reads actions; what is not supported is added to `problems` with its line."""

    def __init__(
        self,
        keys: Collection[str],
        allow_exec: bool,
        problems: list[str],
        folder: Path = Path(),
        read_file: ReadFile = no_file,
    ) -> None:
        self._read_file = read_file
        self._folder = folder
        self._keys = keys
        self._allow_exec = allow_exec
        self._problems = problems
        self._readers: dict[str, _Read] = {
            "ereg": self._search,
            "assignstr": self._assign_text,
            "todouble": self._to_number,
            "test": self._test,
            "strcmp": self._compare_text,
            "jump": self._jump,
            "gettimeofday": self._time_of_day,
            "lookup": self._lookup,
            "exec": self._execute,
            "rtp_echo": self._switch_echo,
        }
        self._readers |= dict.fromkeys(("log", "warning", "error"), self._log)
        self._readers |= dict.fromkeys(
            ("assign", "add", "subtract", "multiply", "divide"), self._assign
        )

    def read_all(self, elements: Iterable[Element]) -> list[Action]:
        """Read a list of elements; those with a problem are left out."""
        found: list[Action] = []
        for element in elements:
            if element.function is not None:
                found.append(FunctionAction(element.function))
                continue
            reader = self._readers.get(element.name)
            if reader is None:
                self._problems.append(f"{element.line}: action <{element.name}> is not supported")
                continue
            attributes = AttributeReader(element, self._problems)
            action = reader(element, attributes)
            attributes.done()
            if action is not None:
                found.append(action)
        return found

    def _template(self, element: Element, text: str) -> Template:
        try:
            return parse_template(text, self._keys, self._read_file)
        except ValueError as error:
            self._problems.append(f"{element.line}: {error}")
            return _NOTHING

    def _search(self, element: Element, attributes: AttributeReader) -> Action | None:
        name = attributes.text("header")
        header = name.strip().rstrip(":").strip()
        search_in = attributes.choice("search_in", ("msg", "hdr", "body", "var"), "msg")
        if search_in == "hdr" and not header:
            attributes.needed("header")
        occurrence = int(attributes.number("occurrence", 1.0))
        attributes.flag("case_indep")  # of the header's name, which is found in any case
        check, inverse = attributes.flag("check_it"), attributes.flag("check_it_inverse")
        names, variable = attributes.names("assign_to"), attributes.text("variable")
        try:
            pattern = compile_extended(attributes.needed("regexp"))
        except ValueError as error:
            self._problems.append(f"{element.line}: <ereg>: {error}")
            return None
        return SearchAction(
            pattern=pattern,
            search_in=search_in,
            header=header,
            behind_name=name.strip("\n").lstrip().removeprefix(header),
            occurrence=max(1, occurrence),
            variable=variable,
            check=check,
            check_inverse=inverse,
            assign_to=names,
            line=element.line,
        )

    def _assign(self, element: Element, attributes: AttributeReader) -> Action:
        variable = attributes.text("variable")
        value = _signed(attributes, "value", "0" if variable else "")
        return AssignAction(element.name, attributes.needed("assign_to"), value, variable)

    def _assign_text(self, element: Element, attributes: AttributeReader) -> Action:
        value = self._template(element, attributes.text("value"))
        return AssignTextAction(attributes.needed("assign_to"), value)

    def _to_number(self, element: Element, attributes: AttributeReader) -> Action:
        return ToNumberAction(attributes.needed("assign_to"), attributes.needed("variable"))

    def _test(self, element: Element, attributes: AttributeReader) -> Action:
        other = attributes.text("variable2")
        return TestAction(
            assign_to=attributes.text("assign_to"),
            variable=attributes.needed("variable"),
            compare=attributes.choice("compare", COMPARISONS, "equal"),
            value=_signed(attributes, "value", "0" if other else ""),
            other=other,
            check=attributes.flag("check_it"),
            check_inverse=attributes.flag("check_it_inverse"),
        )

    def _compare_text(self, element: Element, attributes: AttributeReader) -> Action:
        return CompareTextAction(
            attributes.text("assign_to"),
            attributes.needed("variable"),
            attributes.text("value"),
            attributes.text("variable2"),
            attributes.flag("check_it"),
            attributes.flag("check_it_inverse"),
        )

    def _jump(self, element: Element, attributes: AttributeReader) -> Action:
        variable = attributes.text("variable")
        return JumpAction(int(attributes.number("value", 0.0 if variable else None)), variable)

    def _time_of_day(self, element: Element, attributes: AttributeReader) -> Action | None:
        names = attributes.names("assign_to")
        if len(names) != 2:
            self._problems.append(f"{element.line}: <gettimeofday>: assign_to needs two variables")
            return None
        return TimeOfDayAction(*names)

    def _log(self, element: Element, attributes: AttributeReader) -> Action:
        return LogAction(element.name, self._template(element, attributes.text("message")))

    def _lookup(self, element: Element, attributes: AttributeReader) -> Action:
        key = self._template(element, attributes.needed("key"))
        return LookupAction(attributes.needed("assign_to"), attributes.needed("file"), key)

    def _execute(self, element: Element, attributes: AttributeReader) -> Action | None:
        if attributes.has("int_cmd"):
            return InternalCommand(attributes.choice("int_cmd", INTERNAL, INTERNAL[0]))
        for kind in ("audio", "video"):
            if attributes.has(f"play_pcap_{kind}"):
                return self._play(kind, element, attributes)
        if attributes.has("rtp_stream"):
            return self._stream(element, attributes)
        if attributes.has("rtp_echo"):
            return self._echo(attributes)
        if not attributes.has("command"):
            return None  # the attribute is named: it was not read
        command = attributes.text("command")
        if not self._allow_exec:
            self._problems.append(
                f"{element.line}: <exec command>: a scenario runs commands only with --allow-exec"
            )
            return None
        return ShellCommand(self._template(element, command))

    def _play(self, kind: str, element: Element, attributes: AttributeReader) -> Action | None:
        """Read the packets: from beside the scenario, or else from the working folder."""
        path = Path(attributes.needed(f"play_pcap_{kind}"))
        beside = self._folder / path
        try:
            return PlayAction(kind, read_packets(beside if beside.exists() else path))
        except ConfigurationError as error:
            self._problems.append(f"{element.line}: <exec play_pcap_{kind}>: {error}")
            return None

    def _stream(self, element: Element, attributes: AttributeReader) -> Action | None:
        """Read what is streamed, or that a stream pauses or resumes."""
        text = attributes.needed("rtp_stream")
        if text in _PAUSES:
            return PauseStreamAction(*_PAUSES[text])
        try:
            return StreamAction(read_stream(text, self._folder))
        except ConfigurationError as error:
            self._problems.append(f"{element.line}: <exec rtp_stream>: {error}")
            return None

    def _echo(self, attributes: AttributeReader) -> Action:
        """Read which echo begins or ends; payload types behind it have no effect."""
        name = attributes.needed("rtp_echo").partition(",")[0]
        return _ECHOES[attributes.member("rtp_echo", name, tuple(_ECHOES))]

    def _switch_echo(self, _: Element, attributes: AttributeReader) -> Action:
        variable = attributes.text("variable")
        return EchoSwitchAction(_signed(attributes, "value", "0" if variable else ""), variable)


def _signed(attributes: AttributeReader, name: str, default: str) -> float:
    """A number of either sign: that of the attribute, whose sign is read apart."""
    text = attributes.text(name).strip() or default
    try:
        return float(text)
    except ValueError:
        attributes.number(name, None)  # says what is wrong
        return 0.0
