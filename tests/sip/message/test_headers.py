from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.sip.message import Headers
from softphone.sip.message.headers import (
    HEADER_FIELDS,
    Multiplicity,
    describe_field,
    field_key,
)

COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}


def canonical_name(name):
    return describe_field(name)[1]


@pytest.mark.parametrize(("short", "name"), COMPACT.items())
def test_a_compact_form_is_the_same_name(short, name):
    assert canonical_name(short) == canonical_name(short.upper()) == name
    assert field_key(short) == field_key(name) == name.lower()


def test_no_other_name_has_a_compact_form_and_none_stands_twice():
    assert {field.compact: field.name for field in HEADER_FIELDS if field.compact} == COMPACT
    names = [field.key for field in HEADER_FIELDS]
    assert len(set(names)) == len(names)


def test_names_take_their_own_spelling_and_unknown_ones_keep_theirs():
    assert canonical_name("CALL-id") == "Call-ID"
    assert canonical_name("www-AUTHENTICATE") == "WWW-Authenticate"
    assert canonical_name("x-Strange") == "x-Strange"


def test_which_fields_stand_once_and_which_are_lists():
    assert all(describe_field(name)[2] for name in ("i", "CSEQ", "from", "To", "Max-Forwards", "l"))
    assert not any(describe_field(name)[2] for name in ("Via", "Contact", "Authorization", "X-A"))
    lists = {field.key for field in HEADER_FIELDS if field.multiplicity is Multiplicity.LIST}
    assert lists >= {"via", "contact", "supported", "record-route", "warning"}
    assert not lists & {"www-authenticate", "date", "subject", "call-id"}


def test_values_are_found_in_order_under_any_spelling():
    headers = Headers([("v", "1"), ("To", "x"), ("VIA", "2,3"), ("X-a", "y")])
    assert headers.get("via") == "1"
    assert headers.get_all("Via") == ("1", "2,3")
    assert headers.get("x-A") == "y"
    assert headers.get("From") is None
    assert headers.get_all("From") == ()
    assert "t" in headers
    assert "f" not in headers
    assert 1 not in headers
    assert list(headers) == [("Via", "1"), ("To", "x"), ("Via", "2,3"), ("X-a", "y")]
    assert len(headers) == 4
    assert set(headers.by_key()) == {"via", "to", "x-a"}


def test_headers_are_changed_by_making_new_ones():
    headers = Headers([("Via", "1"), ("Route", "a"), ("Route", "b"), ("To", "x")])
    assert list(headers.with_added("k", "timer"))[-1] == ("Supported", "timer")
    assert next(iter(headers.with_prepended("v", "0"))) == ("Via", "0")
    replaced = headers.with_replaced("route", "c", "d", "e")
    assert replaced.get_all("Route") == ("c", "d", "e")
    assert [name for name, _ in replaced] == ["Via", "Route", "Route", "Route", "To"]
    assert headers.with_replaced("Subject", "s").get("s") == "s"
    assert list(headers.with_replaced("route")) == [("Via", "1"), ("To", "x")]
    assert list(headers.without("ROUTE", "t")) == [("Via", "1")]
    assert headers.get_all("Route") == ("a", "b")


def test_equal_fields_are_equal_headers():
    assert Headers([("v", "1")]) == Headers([("VIA", "1")])
    assert hash(Headers([("v", "1")])) == hash(Headers([("VIA", "1")]))
    assert Headers([("v", "1")]) != Headers([("v", "2")])
    assert Headers() != ()


@pytest.mark.parametrize(
    "field",
    [("Subject", "a\r\nVia: b"), ("Subject", "a\nb"), ("Bad Name", "x"), ("", "x"), ("A:", "x")],
)
def test_a_field_that_would_become_two_cannot_be_made(field):
    with pytest.raises(LocalProtocolError):
        Headers([field])
    with pytest.raises(LocalProtocolError):
        Headers().with_added(*field)


def test_the_repr_shows_no_value():
    assert repr(Headers([("Authorization", "Digest secret")])) == "Headers(Authorization)"


def test_settled_fields_are_found_as_before():
    made = Headers([("Via", "a"), ("Route", "b"), ("Via", "c")])
    read = Headers.from_wire((("Via", "a"),), {"via": ["a"]})
    for headers in (made, read):
        keys = set(headers.by_key())
        headers.drop_index()
        assert (set(headers.by_key()), headers.get("v")) == (keys, "a")
    assert made.get_all("VIA") == ("a", "c")
