"""The word error rate: replaced, left out and added words, by a slow second way."""

from __future__ import annotations

import random

import pytest

from softphone.bot_test import word_errors
from softphone.bot_test.word_errors import MOST_WORDS, words_of


def slowly(reference, heard):
    """The same by recursion on the table's definition."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(reference, 1):
        new = [i]
        for j, other in enumerate(heard, 1):
            new.append(min(row[j] + 1, new[-1] + 1, row[j - 1] + (word != other)))
        row = new
    return row[-1]


@pytest.mark.parametrize(
    ("expected", "understood", "errors", "words"),
    [
        ("How may I help you?", "how may i help you", 0, 5),
        ("Your order, A-17, is ready.", "your order A 17 is ready", 0, 6),
        ("one two three", "one too three", 1, 3),
        ("one two three", "one three", 1, 3),
        ("one two three", "well one two or three", 2, 3),
        ("It\u2019s here", "it's here", 0, 2),
        ("\u00c4rger", "\u00e4rger", 0, 1),
        ("", "hello there", 2, 0),
        ("hello", "", 1, 1),
    ],
)
def test_errors_and_words(expected, understood, errors, words):
    assert word_errors(expected, understood) == (errors, words)


def test_it_is_levenshteins_distance():
    chance = random.Random(3)
    for _ in range(200):
        one, two = (" ".join(chance.choices("abcd", k=chance.randrange(9))) for _ in "12")
        assert word_errors(one, two)[0] == slowly(one.split(), two.split())


def test_only_so_many_words_count():
    assert len(words_of("a " * (MOST_WORDS + 5))) == MOST_WORDS
