"""POSIX extended regular expressions."""

from __future__ import annotations

import random
import re

import pytest

from softphone.load.sipp.pattern import MOST_WORK, compile_extended
from tests.support.linear_time import is_linear


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
        ("a*?b", "aab", "aab"),
        ("<.*?>", "<a><b>", "<a><b>"),
        ("<.*+>", "<a>", "<a>"),
        ("a{x}", "aa{x}", "a{x}"),
        ("a{,2}b", "aaab", "aab"),
        ("^a|b$", "cb", "b"),
        ("a$", "aa\n", "a"),
    ],
)
def test_a_pattern_matches_as_in_posix(pattern, text, found):
    compiled = compile_extended(pattern)
    assert compiled.search(text)[0] == found
    # Whichever way it is searched.
    assert compiled._program.search(text, anchored=compiled.anchored)[0] == found


HUGE = "((a{1,100}){1,100}){1,100}"


@pytest.mark.parametrize("pattern", ["[a", "(", "a{3,1}", "[[:none:]]", "(?i)a", "*", HUGE])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match="no extended regular expression"):
        compile_extended(pattern)


@pytest.mark.parametrize(("pattern", "first"), [(".*x", True), ("^(.*)x", True), ("a.*x", False)])
def test_a_pattern_that_begins_with_anything_is_tried_once(pattern, first):
    assert compile_extended(pattern).anchored is first


HOSTILE = {
    "sip:(.*)@(.*):(.*)>": "@:",
    "sip:.*@.*:.*;transport=udp": "sip:@:",
    "<sip:(.*)@(.*)>;tag=(.*)": "@",
    "([^;]*;)*tag=([^;]*)": ";",
    "(a+)+$": "a",
    "(a|a)*c": "a",
    "[0-9]+;refresher=uac": "1",
    "([a-z0-9]+[.-]?)+@": "a",
}
"""Patterns as scenarios have them, and what a far end repeats to have them tried in every way."""


@pytest.mark.parametrize("pattern", HOSTILE)
def test_no_far_end_makes_a_search_long(pattern):
    """1,600 octets took one of them nine seconds, and 30 another one minutes."""
    searched = compile_extended(pattern).search
    unit = HOSTILE[pattern]
    assert is_linear(searched, lambda count: f"sip:{unit * (count // len(unit))}!", largest=16_384)


def _pattern(rng: random.Random, depth: int) -> str:
    kind = rng.random()
    if depth == 0 or kind < 0.35:
        return rng.choice(["a", "b", "c", ".", "[ab]", "[^a]", ";", "@"])
    if kind < 0.55:
        return _pattern(rng, depth - 1) + _pattern(rng, depth - 1)
    if kind < 0.7:
        return f"({_pattern(rng, depth - 1)})"
    if kind < 0.8:
        return f"({_pattern(rng, depth - 1)}|{_pattern(rng, depth - 1)})"
    # What may be nothing is not repeated: there the two differ.
    inner = _pattern(rng, depth - 1)
    repeated = rng.choice(["*", "+", "?", "{1,3}", "{2}", "{0,2}", "{,2}", "{2,}"])
    return f"({inner}){'' if re.fullmatch(inner, '') else repeated}"


@pytest.mark.parametrize("seed", range(8))
def test_both_ways_to_search_find_the_same(seed):
    rng = random.Random(seed)
    for _ in range(150):
        pattern = rng.choice(["", "^"]) + _pattern(rng, 4) + rng.choice(["", "$"])
        if any(re.fullmatch(each, "") for each in re.findall(r"\(([^()]*)\)[*+{]", pattern)):
            continue
        compiled = compile_extended(pattern)
        for _ in range(4):
            text = "".join(rng.choices("abc;@\n", k=rng.randrange(9)))
            quick = compiled.search(text)
            assert compiled._program.search(text, anchored=compiled.anchored) == quick, pattern


def test_what_is_short_is_left_to_re_and_what_may_be_long_is_not(monkeypatch):
    compiled = compile_extended("sip:.*@.*>")
    asked = []
    kind = type(compiled._program)
    monkeypatch.setattr(kind, "search", lambda self, text, **_: asked.append(len(text)))
    assert compiled.search("sip:a@b>") == ("sip:a@b>",)
    longest = int(MOST_WORK ** (1 / 3))
    assert compiled.search("x" * longest) is None
    assert asked == []
    compiled.search("x" * (longest + 2))
    assert asked == [longest + 2]


def test_what_is_kept_of_many_searches_is_bounded():
    program = compile_extended("(a+)+c")._program
    for first in range(0, 0x9000, 0x100):
        program.search("".join(map(chr, range(first, first + 0x100))), anchored=False)
    assert len(program._kinds) <= 4096
    assert len(program._moves) <= 4096
