"""What is typed stays text in a filter (RFC 4515)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.contacts.ldap_filter import (
    address_filter,
    escape_filter_value,
    number_filter,
    word_filter,
)
from tests.support.bonsai import need_bonsai


@pytest.mark.parametrize(
    ("value", "text"),
    # The examples of RFC 4515 section 4.
    [
        (
            "Parens R Us (for all your parenthetical needs)",
            r"Parens R Us \28for all your parenthetical needs\29",
        ),
        ("*", r"\2a"),
        (r"C:\MyFile", r"C:\5cMyFile"),
        ("\0", r"\00"),
        ("Lu\u010di\u0107", "Lu\u010di\u0107"),
    ],
)
def test_the_rfc_s_examples(value, text):
    assert escape_filter_value(value) == text


@given(st.text(max_size=60))
def test_no_text_leaves_its_place(value):
    text = escape_filter_value(value)
    assert not set(text) & set("*()\0")
    back = re.sub(r"\\([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text)
    assert back == value


@given(st.text(alphabet=st.characters(exclude_characters="\0"), max_size=60))
def test_it_is_what_the_library_escapes(value):
    need_bonsai()
    from bonsai import escape_filter_exp

    assert escape_filter_value(value).lower() == escape_filter_exp(value).lower()


def test_every_word_begins_some_attribute():
    assert word_filter("ann ad", ("cn", "sn"), (), "(a=b)") == (
        "(&(a=b)(&(|(cn=ann*)(sn=ann*))(|(cn=ad*)(sn=ad*))))"
    )
    assert word_filter("ann", ("cn",), ("tel",), "(a=b)") == "(&(a=b)(cn=ann*))"


def test_a_number_is_looked_for_however_it_is_written():
    assert word_filter("+49 30 123", ("cn",), ("tel",), "(a=b)").endswith("(tel=*0*1*2*3)))")
    assert number_filter("*21#", ("tel", "mob"), "(a=b)") == (
        r"(&(a=b)(|(tel=*\2a*2*1*#)(mob=*\2a*2*1*#)))"
    )


def test_more_words_than_anybody_types_do_not_make_a_longer_filter():
    assert len(word_filter("a " * 1000, ("cn",), (), "(a=b)")) < 100


@pytest.mark.parametrize(
    ("uris", "mails", "text"),
    [
        (("u",), ("mail",), "(&(a=b)(|(u=sip:x@y)(u=x@y)(mail=x@y)))"),
        (("u", "v"), (), "(&(a=b)(|(|(u=sip:x@y)(v=sip:x@y))(|(u=x@y)(v=x@y))))"),
        ((), ("mail",), "(&(a=b)(|(mail=x@y)))"),
    ],
)
def test_an_address_is_looked_for_with_its_scheme_and_without(uris, mails, text):
    assert address_filter("x@y", uris, mails, "(a=b)") == text


def test_an_address_is_text_in_its_filter():
    assert address_filter("*)(x@y", (), ("m",), "(a=b)") == r"(&(a=b)(|(m=\2a\29\28x@y)))"
