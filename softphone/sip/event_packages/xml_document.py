"""A small reader for XML documents of event packages, with bounds on everything.

Names have their namespaces ("urn:ietf:params:xml:ns:pidf tuple").  A document type, and so any
entity declaration, is refused; size, depth and the numbers of elements and attributes are bounded
before anything is built of them, so that the time is linear in a bounded size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from softphone.sip.message import MalformedMessage

_LONGEST = 512
"""The most characters of a text or an attribute's value that are kept."""


@dataclass(frozen=True, slots=True)
class XmlLimits:
    """The most octets, nested elements, elements and attributes of a document.

    Attributes are counted by their "=": expat collects all of an element before it calls us.
    """

    octets: int = 64 * 1024
    depth: int = 16
    elements: int = 2000
    attributes: int = 4000


@dataclass(slots=True)
class XmlElement:
    """One element: its name with namespace, attributes, text and children."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[XmlElement] = field(default_factory=list)

    @property
    def local_name(self) -> str:
        """The name without its namespace."""
        return self.name.rpartition(" ")[2]

    def attribute(self, name: str) -> str:
        """Return an attribute's value without spaces around it, "" without one."""
        return self.attributes.get(name, "").strip()[:_LONGEST]

    def find(self, *names: str) -> XmlElement | None:
        """Return the first descendant along a path of local names in this element's namespace."""
        found: XmlElement | None = self
        for name in names:
            found = None if found is None else next(found.named(name), None)
        return found

    def named(self, name: str) -> Iterator[XmlElement]:
        """Iterate over the children of a local name in this element's namespace."""
        namespace = self.name.rpartition(" ")[0]
        wanted = f"{namespace} {name}" if namespace else name
        return (child for child in self.children if child.name == wanted)

    def text_at(self, *names: str) -> str:
        """Return the text at a path, "" without such an element."""
        found = self.find(*names)
        return "" if found is None else found.text


@dataclass(slots=True)
class _DocumentReader:
    limits: XmlLimits
    root: XmlElement | None = None
    open: list[XmlElement] = field(default_factory=list)
    count: int = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if self.count > self.limits.elements or len(self.open) >= self.limits.depth:
            raise MalformedMessage("The XML document has too many elements")
        element = XmlElement(name, attributes)
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)

    def end(self, _: str) -> None:
        element = self.open.pop()
        element.text = element.text.strip()[:_LONGEST]

    def characters(self, text: str) -> None:
        if len(self.open[-1].text) < _LONGEST:
            self.open[-1].text += text

    def doctype(self, *_: object) -> None:
        raise MalformedMessage("The XML document has a document type")


def read_xml(data: bytes, root: str) -> XmlElement:
    """Parse a document whose root element is `root` ("namespace name").  Raises MalformedMessage.

    Texts and values are cut off after 512 characters.
    """
    element = read_elements(data, XmlLimits())
    if element.name != root:
        raise MalformedMessage("The XML document is of another kind")
    return element


def read_elements(data: bytes, limits: XmlLimits) -> XmlElement:
    """Parse a document of any kind within limits, as `read_xml` does.  Raises MalformedMessage."""
    if len(data) > limits.octets or data.count(b"=") > limits.attributes:
        raise MalformedMessage("The XML document is too large")
    reader = _DocumentReader(limits)
    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise MalformedMessage(f"The body is no XML document: {reason}") from error
    if reader.root is None:
        raise MalformedMessage("The XML document is empty")
    return reader.root
