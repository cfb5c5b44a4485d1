"""The word error rate: how far what was understood is from what should have been said.

Levenshtein's distance on words, without capitals and punctuation, as speech recognition counts it.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np

MOST_WORDS = 2000
"""Words of a text that count: the time grows with the product of both."""


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    return re.findall(r"[\w']+", plain)[:MOST_WORDS]


def word_errors(expected: str, understood: str) -> tuple[int, int]:
    """Return how many words were replaced, left out or added, and how many were expected."""
    reference, heard = words_of(expected), words_of(understood)
    # One row of the table at a time: the distance of the first words of one to those of the other.
    place = np.arange(len(heard) + 1)
    row = place.copy()
    for number, word in enumerate(reference, 1):
        same = np.array([word == other for other in heard], dtype=np.bool_)
        best = np.concatenate(([number], np.minimum(row[:-1] + ~same, row[1:] + 1)))
        # Words added: each place is at most one more than the one before it.
        row = np.minimum.accumulate(best - place) + place
    return int(row[-1]), len(reference)
