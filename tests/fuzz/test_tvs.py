"""A smoke run of the fuzz targets of TVS."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.mutation import mutated, prefixes, replaced, shifted
from tests.fuzz.tvs_target import (
    ANSWER,
    CORPUS,
    QUESTION,
    check_client,
    check_message,
    check_server,
)

CHECKS = [check_message, check_server, check_client]


@pytest.mark.parametrize("check", CHECKS)
def test_prefixes_nasty_bytes_and_mutations(check):
    for data in CORPUS:
        check(data)
        for changed in (*prefixes(data), *replaced(data), *shifted(data)):
            check(changed)
    for data in mutated(CORPUS, 3_000, seed=2445):
        check(data)


@pytest.mark.parametrize("check", CHECKS)
def test_random_bytes_behind_a_good_start(check):
    rng = random.Random(2446)
    for size in range(300):
        check(rng.randbytes(size))
        check(QUESTION[:10] + rng.randbytes(size))
        check(ANSWER[:10] + rng.randbytes(size))
