"""Lists of tokens in header fields."""

import pytest

from softphone.sip.message import Headers, MalformedMessage
from softphone.sip.message.header_access import parse_token, read_tokens

read = read_tokens("Supported")


def fields(*values):
    return Headers([("Supported", value) for value in values])


def test_no_field_is_no_token():
    assert read(fields()) == ()


def test_elements_of_all_fields_stand_in_their_order():
    assert read(fields("timer, 100rel", "replaces")) == ("timer", "100rel", "replaces")


@pytest.mark.parametrize("pieces", [1, 60])
def test_what_is_no_token_is_passed_over_whether_it_is_kept_or_too_long_for_that(pieces):
    text = ", ".join(["timer", "not one", "", "gruu"] * pieces)
    for _ in range(2):
        assert read(fields(text)) == ("timer", "gruu") * pieces


def test_a_field_without_end_makes_the_list_empty_each_time():
    for _ in range(2):
        assert read(fields("timer", '"open')) == ()


def test_a_token_is_given_back_and_another_text_refused():
    assert parse_token("100rel") == "100rel"
    with pytest.raises(MalformedMessage, match="token"):
        parse_token("a b")
