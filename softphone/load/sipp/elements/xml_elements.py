"""Reads a SIPp scenario file into elements with their lines, within bounds on everything.

Such files begin with a document type that names `sipp.dtd`.  It is tolerated and never fetched; a
declaration of an entity or of attributes ends the reading, so nothing is ever expanded or added.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from softphone.errors import ConfigurationError
from softphone.operating_system import open_to_read

MOST_OCTETS = 4 * 1024 * 1024
MOST_ELEMENTS = 20_000
MOST_ATTRIBUTES = 40_000
"""Attributes are counted by their "=": expat collects all of an element before it calls us."""
DEEPEST = 8


@dataclass(slots=True)
class Element:
    """One element: its line, attributes, text with the line where that begins, and children.

    `function` is that of an action that Python code gives; no file of XML has one.
    """

    name: str
    line: int
    attributes: dict[str, str]
    text: str = ""
    text_line: int = 0
    children: list[Element] = field(default_factory=list)
    function: Callable[..., None] | None = None


class _Refused(Exception):
    """The document has what is not read; the text says what."""


class _ElementReader:
    """Builds the tree of elements from what expat reports."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._count = 0
        self._parser = parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = self._entity
        parser.AttlistDeclHandler = self._attributes
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def read(self, data: bytes) -> Element:
        """Parse the whole document.  Raises _Refused and ExpatError."""
        self._parser.Parse(data, True)
        if self.root is None:
            raise _Refused("there is no element")
        return self.root

    @property
    def line(self) -> int:
        """The line at which the parser is."""
        return self._parser.CurrentLineNumber

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS or len(self._open) >= DEEPEST:
            raise _Refused("too many elements, or too deep ones")
        element = Element(name, self.line, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append([])

    def _end(self, _: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def _characters(self, text: str) -> None:
        # Not buffered, since buffered text would be reported with the line of its end.
        if not self._texts[-1]:
            self._open[-1].text_line = self.line
        self._texts[-1].append(text)

    def _entity(self, *_: object) -> None:
        raise _Refused("an entity is declared")

    def _attributes(self, *_: object) -> None:
        # Defaults would be added to every element: a small file would grow large.
        raise _Refused("attributes are declared")


def read_elements(path: Path) -> Element:
    """Read a file.  Raises ConfigurationError with file and line."""
    try:
        with open_to_read(path) as file:
            data = file.read(MOST_OCTETS + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    if len(data) > MOST_OCTETS or data.count(b"=") > MOST_ATTRIBUTES:
        raise ConfigurationError(f"{path}: too large for a scenario")
    reader = _ElementReader()
    try:
        return reader.read(data)
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise ConfigurationError(f"{path}:{error.lineno}: this is no XML: {reason}") from error
    except (LookupError, ValueError) as error:
        raise ConfigurationError(f"{path}:1: its encoding is not read: {error}") from error
    except _Refused as error:
        raise ConfigurationError(f"{path}:{reader.line}: {error}") from error
