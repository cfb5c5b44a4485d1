"""User-to-User (RFC 7433) and Session-ID (RFC 7989) values."""

from __future__ import annotations

import pytest

from softphone.sip.message import NIL_UUID, MalformedMessage, SessionId, UserToUser

UUID = "4d0a9c3e5f6b4788a1b2c3d4e5f60718"


@pytest.mark.parametrize(
    ("text", "octets", "fields"),
    [
        (
            "48656C6c6f;encoding=hex;purpose=isdn-uui;content=isdn-uui",
            b"Hello",
            ("isdn-uui", "isdn-uui", "hex"),
        ),
        ("4869", b"Hi", (None, None, None)),
        ("hello", b"hello", (None, None, None)),  # no hex after all
        ("486", b"486", (None, None, None)),
        ("4869;encoding=text", b"4869", (None, None, "text")),
        ('"a; b, \\"c\\"";encoding=text', b'a; b, "c"', (None, None, "text")),
        ('"ü";encoding=text;other=1', "ü".encode(), (None, None, "text")),
    ],
)
def test_data_is_decoded_by_its_encoding(text, octets, fields):
    read = UserToUser.parse(text)
    assert read.octets == octets
    assert (read.purpose, read.content, read.encoding) == fields
    assert UserToUser.parse(str(read)) == read


@pytest.mark.parametrize("octets", [b"\x00\xff", b"order 7"])
def test_any_octets_can_be_sent(octets):
    made = UserToUser.from_octets(octets, purpose="isdn-uui", content="x")
    assert UserToUser.parse(str(made)).octets == octets


@pytest.mark.parametrize("text", ["", ";encoding=hex", 'a"b', '"open', "a b"])
def test_other_text_is_malformed(text):
    with pytest.raises(MalformedMessage):
        UserToUser.parse(text)


def test_a_session_identifier_is_two_uuids():
    both = SessionId.parse(f"{UUID.upper()};remote={UUID};other=1")
    assert both == SessionId(UUID, UUID)
    assert str(both) == f"{UUID};remote={UUID}"
    # RFC 7989 section 11: older senders name no remote end.
    assert SessionId.parse(UUID) == SessionId(UUID, NIL_UUID)


@pytest.mark.parametrize("text", ["", UUID[1:], f"{UUID}0", "4d0a9c3e-5f6b", f"{UUID};remote=x"])
def test_what_is_no_uuid_without_dashes_is_malformed(text):
    with pytest.raises(MalformedMessage):
        SessionId.parse(text)
