from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.sip.message import MalformedMessage, digits, find_parameter
from softphone.sip.message.grammar import (
    drop_parameter,
    format_parameters,
    is_token,
    parse_parameters,
    quote,
    set_parameter,
    split_commas,
    unique_parameters,
    unquote,
)


@pytest.mark.parametrize("text", ["INVITE", "a-b.c!%*_+`'~9", "0"])
def test_a_token_is_one(text):
    assert is_token(text)


@pytest.mark.parametrize("text", ["", "a b", "a@b", "a:b", "ä", 'a"', "a\n", "a/b", "a(b)"])
def test_anything_else_is_no_token(text):
    assert not is_token(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("0068", 68), ("255", 255), ("0" * 8000 + "7", 7)],
)
def test_digits_with_leading_zeros_are_a_number(text, value):
    assert digits(text, 255) == value


@pytest.mark.parametrize(
    "text", ["", "256", "-1", "+1", " 1", "1 ", "1_0", "٣", "²", "1e2", "9" * 8000, "0x1"]
)
def test_what_int_takes_and_the_grammar_does_not_is_no_number(text):
    assert digits(text, 255) is None


def test_quote_and_unquote_are_inverse():
    for text in ["", "plain", 'a"b', "back\\slash", '\\"\\', "tab\tand bell\x07", "Grüße"]:
        assert unquote(quote(text)) == text


@pytest.mark.parametrize("text", ["a\r\nVia: x", "a\nb", "a\rb"])
def test_a_line_break_cannot_be_quoted(text):
    with pytest.raises(LocalProtocolError):
        quote(text)


def test_a_list_is_cut_at_commas_outside_quotes_and_brackets():
    assert split_commas("a, b ,c") == ["a", "b", "c"]
    assert split_commas('"a,b" <sip:c,d@e>, f;x="\\",g"') == ['"a,b" <sip:c,d@e>', 'f;x="\\",g"']


@pytest.mark.parametrize("text", ['"open', "<open", 'a, "b\\"'])
def test_a_list_with_an_open_quote_or_bracket_is_refused(text):
    with pytest.raises(MalformedMessage):
        split_commas(text)


def test_parameters_keep_order_case_and_writing():
    parameters = parse_parameters(';Tag=1 ; lr;x="a;b"')
    assert parameters == (("Tag", "1"), ("lr", None), ("x", '"a;b"'))
    assert format_parameters(parameters) == ';Tag=1;lr;x="a;b"'


def test_a_parameter_is_found_without_regard_to_case_and_unquoted():
    parameters = parse_parameters(';Tag=1;lr;x="a;b"')
    assert find_parameter(parameters, "tag") == "1"
    assert find_parameter(parameters, "lr") == ""
    assert find_parameter(parameters, "x") == "a;b"
    assert find_parameter(parameters, "y") is None


def test_a_parameter_is_set_in_its_place_and_quoted_when_it_must_be():
    parameters = parse_parameters(";a=1;b=2;c=3")
    assert set_parameter(parameters, "B", "x y") == (("a", "1"), ("B", '"x y"'), ("c", "3"))
    assert set_parameter(parameters, "d", None)[-1] == ("d", None)
    assert drop_parameter(parameters, "B") == (("a", "1"), ("c", "3"))


def test_a_parameter_given_twice_is_refused_unless_it_says_the_same():
    assert unique_parameters((("lr", None), ("lr", None))) == (("lr", None), ("lr", None))
    with pytest.raises(MalformedMessage):
        parse_parameters(";tag=a;Tag=b")


def test_the_reason_of_a_malformed_message_is_its_text():
    error = MalformedMessage("Malformed Via", status_hint=400)
    assert (str(error), error.reason, error.status_hint) == ("Malformed Via", "Malformed Via", 400)
