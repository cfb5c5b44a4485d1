"""The presence event package: application/pidf+xml (RFC 3856, RFC 3863), with RPID (RFC 4480)."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from softphone.events import Presence
from softphone.sip.event_packages.xml_document import XmlElement, read_xml
from softphone.sip.message import Body

PRESENCE = "presence"
"""The event package."""
PIDF = "application/pidf+xml"

_NAMESPACE = "urn:ietf:params:xml:ns:pidf"
_MODEL = f"{_NAMESPACE}:data-model"
_RPID = f"{_NAMESPACE}:rpid"


def parse_pidf(data: bytes) -> Presence:
    """Parse a document.  Raises MalformedMessage.

    A user is available if any of its tuples is open.  "On the phone" is read from RPID activities
    of a person or a tuple.
    """
    root = read_xml(data, f"{_NAMESPACE} presence")
    tuples = list(root.named("tuple"))
    people = [child for child in root.children if child.name == f"{_MODEL} person"]
    notes = (
        text
        for element in (*people, *tuples, root)
        for child in element.children
        if child.local_name == "note" and (text := child.text)
    )
    return Presence(
        available=any(one.text_at("status", "basic").lower() == "open" for one in tuples),
        on_the_phone=any(_on_the_phone(one) for one in (*people, *tuples)),
        note=next(notes, ""),
    )


def print_pidf(entity: str, presence: Presence) -> Body:
    """Write a document about `entity`, with one tuple and, on the phone, a person (RFC 4480)."""
    basic = "open" if presence.available else "closed"
    phone = "<r:activities><r:on-the-phone/></r:activities>" if presence.on_the_phone else ""
    person = f'<dm:person id="p1">{phone}</dm:person>' if phone else ""
    note = f"<note>{escape(presence.note)}</note>" if presence.note else ""
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<presence xmlns="{_NAMESPACE}" '
        f'xmlns:dm="{_MODEL}" xmlns:r="{_RPID}" entity={quoteattr(entity)}>'
        f'<tuple id="t1"><status><basic>{basic}</basic></status>{note}</tuple>{person}</presence>\n'
    )
    return Body(PIDF, text.encode())


def _on_the_phone(element: XmlElement) -> bool:
    return any(
        activity.name == f"{_RPID} on-the-phone"
        for activities in element.children
        if activities.name == f"{_RPID} activities"
        for activity in activities.children
    )
