"""A smoke run of the SDP fuzz target."""

from __future__ import annotations

from tests.fuzz.mutation import mutated, prefixes, replaced
from tests.fuzz.sdp_target import ANSWER, OFFER, check_description


def test_every_prefix_and_nasty_byte():
    for data in (*prefixes(OFFER), *replaced(OFFER, step=3), *replaced(ANSWER)):
        check_description(data)


def test_five_thousand_mutations():
    for data in mutated([OFFER, ANSWER], 5_000, seed=8866):
        check_description(data)
