"""Presence documents (RFC 3863, RFC 4480)."""

from __future__ import annotations

import pytest

from softphone.events import Presence
from softphone.sip import MalformedMessage
from softphone.sip.event_packages import parse_pidf

NAMESPACES = (
    'xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"'
    ' xmlns:r="urn:ietf:params:xml:ns:pidf:rpid"'
)
PHONE = "<r:activities><r:on-the-phone/></r:activities>"


def document(inner):
    return f'<presence {NAMESPACES} entity="sip:a@h">{inner}</presence>'.encode()


def tuple_of(basic, more=""):
    return f'<tuple id="1"><status><basic>{basic}</basic></status>{more}</tuple>'


@pytest.mark.parametrize(
    ("inner", "presence"),
    [
        ("", Presence(False)),
        (tuple_of("open"), Presence(True)),
        (tuple_of("closed"), Presence(False)),
        (tuple_of(" OPEN "), Presence(True)),
        (tuple_of("closed") + tuple_of("open"), Presence(True)),
        (tuple_of("open", PHONE), Presence(True, True)),
        (f'<dm:person id="p">{PHONE}</dm:person>', Presence(False, True)),
        (tuple_of("open", "<note>At lunch</note>"), Presence(True, False, "At lunch")),
        ("<note>Away</note>", Presence(False, False, "Away")),
        ("<x:tuple xmlns:x='urn:x'><x:status/></x:tuple>", Presence(False)),
    ],
)
def test_what_is_read(inner, presence):
    assert parse_pidf(document(inner)) == presence


@pytest.mark.parametrize("data", [b"", b"<presence/>", document("") + b"<", b"open"])
def test_anything_else_is_refused(data):
    with pytest.raises(MalformedMessage):
        parse_pidf(data)
