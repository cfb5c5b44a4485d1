"""Reads the documents of the mailbox interface, XML or JSON, with bounds on everything.

Elements may come in any order, unknown ones are skipped, and what is missing has a default: the
safer one.  JSON is read as the XML that it stands for: members become elements, those whose name
begins with "@" attributes, and a list is one element repeated.  Nothing raises but VoicemailError.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any  # what JSON is read as, before it is checked

from softphone.errors import VoicemailError
from softphone.sip.event_packages.xml_document import (
    XmlElement,
    XmlLimits,
    read_elements,
)
from softphone.sip.message import MalformedMessage
from softphone.voicemail.message import MailboxState, MessagePage, MessagePart, VoiceMessage

logger = logging.getLogger("softphone.voicemail")

LARGEST = 1 << 20
"""The most octets of a document."""
_LIMITS = XmlLimits(octets=LARGEST, depth=16, elements=20_000, attributes=20_000)
_MOST_PARTS_OF_JSON = 2 * _LIMITS.elements
"""Brackets and commas, those in texts included: they are counted before anything is built."""
_LONGEST = 512
_ID = re.compile(r"[0-9]{1,4}:[A-Za-z0-9._~=+-]{1,128}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_MOST_PARTS = 100
_LAST_MILLISECOND = 253_402_300_799_000
"""The last second of the year 9999, where datetime ends."""


def is_message_id(text: str) -> bool:
    """Return whether a text has the form of a message's ID, "0:b4ffbaa5-…"."""
    return _ID.fullmatch(text) is not None


def parse_messages(data: bytes) -> MessagePage:
    """Parse a list of messages.  Raises VoicemailError for an invalid document."""
    root = _read(data, "Messages")
    found = [each for each in root.children if each.local_name == "Message"]
    messages = tuple(each for each in map(_message, found) if each is not None)
    return MessagePage(messages, len(found), _number(root.attribute("total")))


def parse_message(data: bytes) -> VoiceMessage:
    """Parse one message.  Raises VoicemailError for an invalid document, or one without an ID."""
    message = _message(_read(data, "Message"))
    if message is None:
        raise VoicemailError("the server described a message without a usable ID")
    return message


def parse_mailbox(data: bytes) -> MailboxState:
    """Parse a mailbox.  Raises VoicemailError for an invalid document."""
    root = _read(data, "Mailbox")
    return MailboxState(
        _line(root.text_at("DisplayName")),
        mounted=_flag(root, "IsMailboxMounted", True) and _flag(root, "IsStoreMounted", True),
        # Without this element, deleted messages count as not kept, so that the user is asked before
        # one is deleted.
        keeps_deleted=_flag(root, "IsDeletedFolderEnabled", False),
        size=_number(root.text_at("CurrentSizeInBytes")),
        receive_quota_exceeded=_flag(root, "IsReceiveQuotaExceeded", False),
    )


def parse_version(data: bytes) -> str:
    """Parse the answer to `/vmrest/version`.  Raises VoicemailError for an invalid document."""
    root = _read(data, "VersionInformation")
    return _line(root.text_at("version"))


def _message(element: XmlElement) -> VoiceMessage | None:
    """Return the message that an element describes; None without an ID that can be asked for."""
    identity = element.text_at("MsgId")
    if not is_message_id(identity):
        logger.warning("a message is left out: its ID is not one that can be asked for")
        return None
    milliseconds = _number(element.text_at("ArrivalTime"))
    known = 0 < milliseconds <= _LAST_MILLISECOND
    return VoiceMessage(
        identity,
        subject=_line(element.text_at("Subject")),
        read=_flag(element, "Read", False),
        # A message that is not marked as harmless is treated as secure, or private.
        secure=_flag(element, "Secure", True),
        private=element.text_at("Sensitivity").lower() not in ("", "normal"),
        urgent=element.text_at("Priority").lower() == "urgent",
        dispatch=_flag(element, "Dispatch", False),
        kind=_line(element.text_at("MsgType")).lower(),
        authenticated=_flag(element, "FromSub", False),
        sender=_line(element.text_at("From", "DisplayName")),
        address=_line(element.text_at("From", "SmtpAddress")),
        extension=_line(element.text_at("From", "DtmfAccessId")),
        caller_number=_line(element.text_at("CallerId", "CallerNumber")),
        caller_name=_line(element.text_at("CallerId", "CallerName")),
        arrived=datetime.fromtimestamp(milliseconds // 1000, UTC) if known else None,
        duration=_number(element.text_at("Duration")) / 1000,
        size=_number(element.text_at("Size")),
        parts=tuple(_parts(element)),
    )


def _parts(element: XmlElement) -> Iterator[MessagePart]:
    """Number the attachments as the server does: only that, and not their address, is used."""
    listed = element.find("Attachments")
    if listed is not None:
        for number, each in enumerate(listed.named("Attachment")):
            if number == _MOST_PARTS:
                break
            yield MessagePart(number, _line(each.text_at("contentType")).lower())


def _flag(element: XmlElement, name: str, default: bool) -> bool:
    """Return a flag; anything but one true or false is the default."""
    said = {each.text.lower() for each in element.named(name)}
    return {"true": True, "false": False}.get(said.pop(), default) if len(said) == 1 else default


def _number(text: str) -> int:
    return int(text) if _NUMBER.fullmatch(text) else 0


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text).strip()


def _read(data: bytes, root: str) -> XmlElement:
    """Read a document, XML or JSON by its first character."""
    if len(data) > LARGEST:
        raise VoicemailError("the voicemail server's answer is too large")
    if data.lstrip(b" \t\r\n")[:1] == b"{":
        return _JsonReader(root).read(data)
    try:
        element = read_elements(data, _LIMITS)
    except MalformedMessage as error:
        raise VoicemailError(f"the voicemail server's answer is not read: {error}") from error
    if element.local_name != root:
        raise VoicemailError(
            f"the voicemail server answered with {_line(element.local_name)[:40]!r}"
        )
    return element


class _JsonReader:
    """Turns a JSON object into elements, within the limits of an XML document."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._count = 0

    def read(self, data: bytes) -> XmlElement:
        if sum(map(data.count, (b"[", b"{", b","))) > _MOST_PARTS_OF_JSON:
            raise VoicemailError("the voicemail server's answer has too many elements")
        try:
            # Numbers stay texts: those of thousands of digits would cost quadratic time.
            whole = json.loads(
                data,
                parse_int=str,
                parse_float=str,
                parse_constant=str,
                object_pairs_hook=_members,
            )
        except (ValueError, RecursionError) as error:
            raise VoicemailError("the voicemail server's answer is no JSON") from error
        return self._element(self._root, whole, 0)

    def _element(self, name: str, value: Any, depth: int) -> XmlElement:
        self._count += 1
        if self._count > _LIMITS.elements or depth > _LIMITS.depth:
            raise VoicemailError("the voicemail server's answer has too many elements")
        element = XmlElement(name, {})
        if not isinstance(value, dict):
            element.text = _scalar(value)
            return element
        for key, member in value.items():
            if key.startswith("@"):
                element.attributes[key[1:]] = _scalar(member)
                continue
            for each in member if isinstance(member, list) else [member]:
                element.children.append(self._element(key, each, depth + 1))
        return element


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object.  Raises ValueError if one is there twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.strip()[:_LONGEST] if isinstance(value, str) else ""
