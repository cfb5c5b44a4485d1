"""A smoke run of the fuzz targets of signed numbers."""

from __future__ import annotations

import random

from softphone.trust.stir import parse_authority_list, parse_identity
from tests.fuzz.mutation import mutated, prefixes, replaced
from tests.fuzz.stir_target import IDENTITY, LIST, check_identity, check_list, check_path
from tests.support.stir import StirAuthority


def test_prefixes_nasty_bytes_and_mutations_of_a_header_field():
    assert parse_identity(IDENTITY.decode()).origin == "15550101003"
    for data in (*prefixes(IDENTITY), *replaced(IDENTITY, step=5)):
        check_identity(data)
    for data in mutated([IDENTITY], 2_000, seed=8224):
        check_identity(data)


def test_prefixes_nasty_bytes_and_mutations_of_a_list_of_numbers():
    assert len(parse_authority_list(LIST)) == 3
    for data in (*prefixes(LIST), *replaced(LIST)):
        check_list(data)
    for data in mutated([LIST], 3_000, seed=8226):
        check_list(data)


def test_mutations_of_certificates():
    pem = StirAuthority().carrier().pem
    for data in mutated([pem], 200, seed=8588):
        check_path(data)


def test_random_bytes():
    rng = random.Random(8225)
    for size in range(300):
        for check in (check_identity, check_list, check_path):
            check(rng.randbytes(size))
