"""Header fields by their declarations: read when asked for, once, as often as they may stand."""

import pytest

from softphone.sip.message import Headers, MalformedMessage, Request, parse_datagram, parse_uri
from softphone.sip.message.headers import (
    HEADER_FIELDS,
    FieldAccess,
    Multiplicity,
    TypedHeaderField,
)
from tests.sip.message.test_field_access import MALFORMED_STRICT

VALUES = {
    "Via": ("SIP/2.0/TCP a;branch=1", "SIP/2.0/UDP b"),
    "Warning": ('399 a "one, two"', '300 b "three"'),
    "Reason": ("SIP;cause=488", "Q.850;cause=16"),
    "Accept": ("application/sdp", "text/plain"),
    **dict.fromkeys(("Supported", "Unsupported", "Require"), ("timer", "100rel")),
    "Allow": ("INVITE", "ACK"),
    "User-to-User": ("4869;encoding=hex", '"a, b";purpose=x'),
}
ADDRESSES = ('"a, b" <sip:a@b>', "<sip:c@d>")
LISTS = [
    field
    for field in HEADER_FIELDS
    if isinstance(field, TypedHeaderField) and field.multiplicity is Multiplicity.LIST
]
FIXED = {
    "Via": "SIP/2.0/UDP h.example;branch=z9hG4bKx",
    "From": "<sip:a@b.example>;tag=1",
    "To": "<sip:a@b.example>",
    "Call-ID": "1",
    "CSeq": "1 OPTIONS",
}


def supported(*values):
    fields = Headers([("Supported", value) for value in values])
    return Request("INVITE", parse_uri("sip:a@b"), fields).supported


def received(*fields):
    lines = [f"{name}: {value}" for name, value in (*FIXED.items(), *fields)]
    return parse_datagram("\r\n".join(["OPTIONS sip:a@b SIP/2.0", *lines, "\r\n"]).encode())


@pytest.mark.parametrize("field", LISTS, ids=lambda field: field.name)
def test_a_list_reads_the_same_in_one_field_and_cut_into_several(field):
    values = VALUES.get(field.name, ADDRESSES)
    read = [
        getattr(Request("INVITE", parse_uri("sip:a@b"), Headers(fields)), field.attribute)
        for fields in (
            [(field.name, ", ".join(values))],
            [(field.name, value) for value in values],
            [(field.compact or field.key, values[0]), (field.key.upper(), values[1])],
        )
    ]
    assert len(read[0]) == 2
    assert read[0] == read[1] == read[2]


@pytest.mark.parametrize("field", HEADER_FIELDS, ids=lambda field: field.name)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
def test_a_second_field_refuses_a_message_where_there_may_be_one_only(field, spell):
    value = FIXED.get(field.name) or VALUES.get(field.name, ADDRESSES)[0]
    names = [field.name] if field.name in FIXED else [spell(field.name), field.compact or field.key]
    found = received(*((name, value) for name in names))
    reason = getattr(found, "reason", "")
    refused = reason == f"More than one {field.name} header field"
    assert refused == (field.multiplicity is Multiplicity.SINGLE)


@pytest.mark.parametrize("name", MALFORMED_STRICT)
def test_a_malformed_strict_field_refuses_a_message(name):
    assert received((name, MALFORMED_STRICT[name][0])).status_hint == 400


def test_a_field_is_read_when_it_is_asked_for_and_once():
    read = []

    class Counting(FieldAccess):
        __slots__ = ("headers",)

        number = TypedHeaderField(
            "X-Number", Multiplicity.SINGLE, lambda values: read.append(values) or len(values)
        )
        """How many there are."""

    read.clear()  # The declaration has asked for the value of a message without the field.
    message = Counting()
    message.headers = Headers([("x-number", "1")])
    assert not read
    assert (message.number, message.number) == (1, 1)
    assert read == [["1"]]


def test_what_is_raised_is_not_kept():
    request = Request("INVITE", parse_uri("sip:a@b"), Headers([("Event", "a@b")]))
    for _ in range(2):
        with pytest.raises(MalformedMessage):
            _ = request.event


def test_a_message_stays_frozen_and_equal_when_it_is_read():
    first, second = (
        Request("INVITE", parse_uri("sip:a@b"), Headers([("Expires", "3")])) for _ in range(2)
    )
    assert first.expires == 3
    with pytest.raises((AttributeError, TypeError)):
        first.headers = Headers()
    assert first == second
    assert "expires" not in repr(first)


def test_no_field_is_no_token():
    assert supported() == ()


def test_elements_of_all_fields_stand_in_their_order():
    assert supported("timer, 100rel", "replaces") == ("timer", "100rel", "replaces")


@pytest.mark.parametrize("pieces", [1, 60])
def test_what_is_no_token_is_passed_over_whether_it_is_kept_or_too_long_for_that(pieces):
    text = ", ".join(["timer", "not one", "", "gruu"] * pieces)
    for _ in range(2):
        assert supported(text) == ("timer", "gruu") * pieces


def test_a_field_without_end_makes_the_list_empty_each_time():
    for _ in range(2):
        assert supported("timer", '"open') == ()
