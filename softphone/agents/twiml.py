"""The part of TwiML that an agent server carries out, parsed from XML.

`<Connect>` with one `<Stream>` and its `<Parameter>`s, `<Hangup>`, `<Reject>` and `<Pause>`, in the
order of the document.  Anything else is parsed to `Unsupported`, which ends the call and is named:
a call never goes on as if a verb had not been there.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from softphone.errors import SoftphoneError
from softphone.sip.event_packages.xml_document import XmlElement, XmlLimits, read_elements
from softphone.sip.message import MalformedMessage

logger = logging.getLogger("softphone.agents")

LARGEST_DOCUMENT = 1 << 16
"""Octets of a document, as Twilio has it."""
LONGEST_PAUSE = 3600
"""The most seconds of a `<Pause>`."""
LONGEST_PARAMETER = 500
"""The most characters of a parameter's name and value together, as Twilio has it."""
MOST_PARAMETERS = 64
MOST_VERBS = 100

_LIMITS = XmlLimits(octets=LARGEST_DOCUMENT, depth=8, elements=1000, attributes=4000)
_SECONDS = re.compile(r"[0-9]{1,4}")
_TRACKS: Final = ("", "inbound_track")
"""The values of `track` that a stream in `<Connect>` may have."""


class TwimlError(SoftphoneError):
    """What was given, or what the voice URL answered, is no TwiML document."""

    _hint = "answer with an XML document whose root element is Response"


@dataclass(frozen=True, slots=True)
class Connect:
    """Join the call with the bot at `url`, which is told `parameters`, until the bot is done."""

    url: str = field(repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the call, as one that is busy or as one that is not wanted."""

    busy: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds; before the answer the caller hears ringing meanwhile."""

    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A verb, or a form of one, that is not carried out: its `name` in the document."""

    name: str


Verb: TypeAlias = Connect | Hangup | Reject | Pause | Unsupported


def parse_twiml(data: bytes) -> tuple[Verb, ...]:
    """Parse a document, up to its first Unsupported verb.  Raises TwimlError."""
    try:
        root = read_elements(data, _LIMITS)
    except MalformedMessage as error:
        raise TwimlError(f"no TwiML document: {error}") from error
    if root.name != "Response":
        raise TwimlError("no TwiML document: its root element is not Response")
    verbs: list[Verb] = []
    for element in root.children:
        if len(verbs) >= MOST_VERBS:
            raise TwimlError(f"a TwiML document of more than {MOST_VERBS} verbs")
        verbs.append(_verb(element))
        if isinstance(verbs[-1], Unsupported):
            break
    return tuple(verbs)


def _verb(element: XmlElement) -> Verb:
    if element.children and element.name != "Connect":
        return Unsupported(_shown(element.name, element.children[0].name))
    match element.name:
        case "Connect":
            return _connect(element)
        case "Hangup":
            return Hangup()
        case "Reject":
            reason = element.attribute("reason") or "rejected"
            if reason not in ("rejected", "busy"):
                return Unsupported("Reject reason")
            return Reject(reason == "busy")
        case "Pause":
            length = element.attribute("length") or "1"
            if not _SECONDS.fullmatch(length) or int(length) > LONGEST_PAUSE:
                return Unsupported("Pause length")
            return Pause(float(length))
        case other:
            return Unsupported(_shown(other))


def _connect(element: XmlElement) -> Verb:
    if element.attributes.get("action"):
        # The next document would have to be fetched there; ignoring it would change the call.
        return Unsupported("Connect action")
    if [each.name for each in element.children] != ["Stream"]:
        inner = next((each.name for each in element.children if each.name != "Stream"), "Stream")
        return Unsupported(_shown("Connect", inner))
    (stream,) = element.children
    url = stream.attributes.get("url", "").strip()
    if not url:
        return Unsupported("Stream without url")
    if stream.attribute("track") not in _TRACKS:
        return Unsupported("Stream track")
    if stream.attributes.get("statusCallback"):
        logger.warning(
            "the statusCallback of a <Stream> is not called: webhooks tell of calls",
            extra={"once": True},
        )
    parameters: dict[str, str] = {}
    for child in stream.children:
        name, value = child.attributes.get("name", ""), child.attributes.get("value", "")
        if child.name != "Parameter" or child.children:
            return Unsupported(_shown("Stream", child.name))
        if not name or name in parameters or len(name) + len(value) > LONGEST_PARAMETER:
            return Unsupported("Parameter")
        parameters[name] = value
    if len(parameters) > MOST_PARAMETERS:
        return Unsupported("Parameter")
    return Connect(url, parameters)


def _shown(*names: str) -> str:
    """Return element names for a log: ASCII letters and digits of their first 40 characters."""
    return "/".join(
        "".join(each for each in name[:40] if each.isascii() and each.isalnum()) for name in names
    )
