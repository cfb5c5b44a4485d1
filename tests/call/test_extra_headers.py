"""What an application may add to a request, and what it may not: one door for every way."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softphone.call import checked_headers
from softphone.call.extra_headers import LONGEST_VALUE, OWNED
from softphone.errors import ConfigurationError
from softphone.sip import Headers
from softphone.sip.message.headers import HEADER_FIELDS


def test_a_mapping_and_pairs_keep_their_order_and_repeats():
    wanted = (("X-One", "1"), ("X-Two", "2"), ("X-Two", "3"), ("Subject", "ü"))
    assert checked_headers({"X-One": "1", "X-Two": ["2", "3"], "Subject": "ü"}) == wanted
    assert checked_headers(wanted) == checked_headers(list(wanted)) == wanted
    assert checked_headers({}) == checked_headers(()) == ()


@pytest.mark.parametrize(
    "given",
    ["X-A: 1", [("X-A",)], [("X-A", "1", "2")], ["ab"], {"X-A": 7}, {"X-A": [b"1"]}, {7: "x"}],
)
def test_what_is_neither_is_refused(given):
    with pytest.raises(ConfigurationError, match="headers: "):
        checked_headers(given)


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X\r\nVia", "Ü", "X\0"])
def test_a_name_is_a_token(name):
    with pytest.raises(ConfigurationError, match="is no name of a header field"):
        checked_headers({name: "1"})


@pytest.mark.parametrize("value", ["a\r\nVia: b", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x1bb"])
def test_a_value_has_no_control_character_and_is_not_quoted_in_the_error(value):
    with pytest.raises(ConfigurationError, match="X-A has a control character") as refused:
        checked_headers({"X-A": value})
    assert "Via" not in str(refused.value)


def test_a_value_has_at_most_2_kb_counted_in_octets():
    checked_headers({"X-A": "a" * LONGEST_VALUE, "X-B": "ü" * (LONGEST_VALUE // 2), "X-C": "a\tb"})
    for long in ("a" * (LONGEST_VALUE + 1), "ü" * (LONGEST_VALUE // 2 + 1)):
        with pytest.raises(ConfigurationError, match="at most 2048"):
            checked_headers({"X-A": long})
    with pytest.raises(ConfigurationError, match="no valid Unicode"):
        checked_headers({"X-A": "\ud800"})


@pytest.mark.parametrize(
    "name",
    [
        *("Via", "v", "ROUTE", "contact", "m", "From", "f", "t", "CSeq", "i", "Require", "k"),
        *(
            "Authorization",
            "proxy-authorization",
            "P-Asserted-Identity",
            "Identity",
            "y",
            "Replaces",
        ),
        *("Content-Length", "l", "c", "Session-Expires", "x", "Refer-To", "r", "Event", "o"),
        *("Max-Forwards", "Record-Route", "Reason", "Remote-Party-ID", "Session-ID", "Replaces"),
    ],
)
def test_what_the_stack_writes_is_refused_in_every_spelling(name):
    with pytest.raises(ConfigurationError, match="is written by softphone itself"):
        checked_headers([(name, "1")])


def test_a_field_that_may_stand_once_stands_once():
    single = next(
        f for f in HEADER_FIELDS if f.multiplicity.name == "SINGLE" and f.key not in OWNED
    )
    checked_headers({single.name: "1"})
    with pytest.raises(ConfigurationError, match="only once"):
        checked_headers([(single.name, "1"), (single.name.lower(), "2")])


def test_what_others_use_on_calls_may_be_given():
    names = "Subject Priority Alert-Info Call-Info User-to-User Privacy P-Preferred-Identity"
    usual = dict.fromkeys((*names.split(), "Diversion", "History-Info", "X-Twilio"), "1")
    assert dict(checked_headers(usual)) == usual


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(["X-A", "Subject", "V", "X A"]), st.text(max_size=9))))
def test_whatever_passes_is_sent_as_one_line_each(headers):
    try:
        fields = checked_headers(headers)
    except ConfigurationError:
        return
    sent = "".join(f"{name}: {value}\r\n" for name, value in Headers(fields))
    assert sent.encode().count(b"\n") == sent.encode().count(b"\r") == len(fields) == len(headers)
