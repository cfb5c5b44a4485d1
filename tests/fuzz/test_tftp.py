"""A smoke run of the fuzz targets of TFTP."""

from __future__ import annotations

import random

from tests.fuzz.mutation import mutated, prefixes, replaced
from tests.fuzz.tftp_target import CORPUS, check_download, check_server, check_tftp_packet


def check(data: bytes) -> None:
    check_tftp_packet(data)
    check_download(data)
    check_server(data)


def test_prefixes_nasty_bytes_and_mutations():
    for packet in (CORPUS[0], CORPUS[1], CORPUS[3], CORPUS[5]):
        for data in (packet, *prefixes(packet), *replaced(packet)):
            check(data)
    for data in mutated(CORPUS, 3_000, seed=1350):
        check(data)


def test_random_bytes():
    rng = random.Random(69)
    for size in range(300):
        check(rng.randbytes(size))
        check(b"\0" + rng.randbytes(size))
