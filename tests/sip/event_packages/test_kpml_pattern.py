"""Digit patterns, and whether digits could go on (RFC 4730 section 5.1)."""

from __future__ import annotations

import itertools

import pytest

from softphone.sip.event_packages.kpml_pattern import PatternMatch, PatternMatcher, read_pattern


def match(text, digits):
    reading = PatternMatcher([read_pattern("t", text)])
    found = PatternMatch(False, True)
    for digit in digits:
        found = reading.feed_digit(digit)
    return found.whole, found.open


@pytest.mark.parametrize(
    ("text", "digits", "whole", "goes_on"),
    [
        ("x", "1", True, False),
        ("x", "*", False, False),
        ("xx", "1", False, True),
        ("x.", "123", True, True),
        ("x{2}", "12", True, False),
        ("x{2,}", "12", True, True),
        ("x{1,2}", "1", True, True),
        ("x{1,2}", "12", True, False),
        ("[1-3*]#", "*", False, True),
        ("[^1]", "1", False, False),
        ("[^1]", "2", True, False),
        ("[^1]", "#", False, False),
        ("[^*]", "0", True, False),
        ("[02-46-9A-D]", "C", True, False),
        ("[02-46-9A-D]", "5", False, False),
        ("[b-c]", "D", False, False),
        ("R", "R", True, False),
        ("x{,2}#", "#", True, False),
        ("x{,2}#", "12", False, True),
        ("x{,2}#", "123", False, False),
        ("[x*]", "7", True, False),
        ("Lx", "7", False, False),
        ("0|011x.", "0", True, True),
        ("0|011x.", "01", False, True),
        (" 1 2 ", "12", True, False),
        ("a", "A", True, False),
        ("*.5", "5", True, False),
    ],
)
def test_what_digits_are_to_a_pattern(text, digits, whole, goes_on):
    assert match(text, digits) == (whole, goes_on)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bs",
        "[9-1]",
        "[-1]",
        "[1-]",
        "[1-x]",
        "x{5,2}",
        "x.x.x.",
        "L",
        "x{0}",
        "(1)",
        "x{}",
        "x{,}",
        "[1-D]",
        "[*-#]",
        "[D-A]",
    ],
)
def test_what_is_no_pattern(text):
    assert read_pattern("t", text) is None


def test_open_says_the_truth_for_every_short_string():
    pattern = "1{1,3}2|*x."
    for digits in itertools.product("12*", repeat=3):
        _, goes_on = match(pattern, digits)
        longer = any(match(pattern, (*digits, more)) != (False, False) for more in "0123456789*#")
        assert goes_on is longer, digits


def test_the_first_pattern_names_the_match():
    patterns = [read_pattern("one", "1x"), read_pattern("two", "x")]
    reading = PatternMatcher(patterns)
    assert reading.feed_digit("1").tag == "two"
    assert reading.feed_digit("1").tag == "one"


def held(text, *digits):
    reading = PatternMatcher([read_pattern("tag", text)])
    return [
        (m.whole, m.open) for m in (reading.feed_digit(one, long=long) for one, long in digits)
    ][-1]


@pytest.mark.parametrize(
    ("text", "digits", "whole", "goes_on"),
    [
        ("L#", [("#", True)], True, False),
        ("L#", [("#", False)], False, False),
        ("xL#", [("1", False), ("#", True)], True, False),
        ("L[1-3]", [("2", True)], True, False),
        ("Lx{2}", [("2", True)], False, True),
        ("Lx{2}", [("2", True), ("3", False)], False, False),
        # Where nothing asks for it, a key that was held is a digit like others.
        ("xx", [("1", True), ("2", True)], True, False),
        ("#x|L#", [("#", True)], True, False),
        ("#x|L#", [("#", False)], False, True),
    ],
)
def test_a_key_that_is_held_is_a_digit_of_its_own_where_one_is_asked_for(
    text, digits, whole, goes_on
):
    assert held(text, *digits) == (whole, goes_on)


def test_whether_a_digit_would_go_on_changes_nothing():
    reading = PatternMatcher([read_pattern("tag", "12")])
    assert (reading.may_continue("1"), reading.may_continue("2")) == (True, False)
    assert reading.feed_digit("1").open
    assert (reading.may_continue("1"), reading.may_continue("2")) == (False, True)
