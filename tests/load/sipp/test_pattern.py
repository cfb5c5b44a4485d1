"""POSIX extended regular expressions."""

from __future__ import annotations

import pytest

from softphone.load.sipp.pattern import compile_extended


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("[[:digit:]]+", "ab 123", "123"),
        ("[^[:space:]]+", "ab 12", "ab"),
        ("[]x]+", "a]x]", "]x]"),
        ("[^]]+", "ab]c", "ab"),
        (r"[a\]", "\\", "\\"),
        (r"1\.2", "1x2 1.2", "1.2"),
        (r"\d", "1d", "d"),
        ("a.b", "a\nb", "a\nb"),
        ("[[:alpha:]_]{2,3}", "1ab_c", "ab_"),
        ("[0-9]{1,3}[.][0-9]{1,3}", "x 10.20", "10.20"),
        ("(a|b)+c", "xabac", "abac"),
    ],
)
def test_a_pattern_matches_as_in_posix(pattern, text, found):
    compiled, _ = compile_extended(pattern)
    assert compiled.search(text)[0] == found


@pytest.mark.parametrize("pattern", ["[a", "(", "a{3,1}", "[[:none:]]", "(?i)a", "*"])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match="no extended regular expression"):
        compile_extended(pattern)


@pytest.mark.parametrize(("pattern", "first"), [(".*x", True), ("^(.*)x", True), ("a.*x", False)])
def test_a_pattern_that_begins_with_anything_is_tried_once(pattern, first):
    assert compile_extended(pattern)[1] is first
