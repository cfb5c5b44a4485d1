"""A smoke run of the fuzz targets of trust lists and signed files."""

from __future__ import annotations

import random

from tests.fuzz.mutation import mutated, prefixes, replaced
from tests.fuzz.trust_target import HEADER, LIST, check_header, check_list


def test_prefixes_nasty_bytes_and_mutations_of_a_list():
    check_list(LIST)
    for data in (*prefixes(LIST), *replaced(LIST, step=23)):
        check_list(data)
    for data in mutated([LIST], 800, seed=6970):
        check_list(data)


def test_prefixes_nasty_bytes_and_mutations_of_a_header():
    check_header(HEADER)
    header = HEADER[:960]
    for data in (*prefixes(header), *replaced(header, step=3)):
        check_header(data)
    for data in mutated([header], 3_000, seed=6971):
        check_header(data)


def test_random_bytes():
    rng = random.Random(2445)
    for size in range(300):
        check_list(rng.randbytes(size))
        check_list(LIST[:10] + rng.randbytes(size))
