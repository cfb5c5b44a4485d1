"""A smoke run of the SRTP fuzz target."""

from __future__ import annotations

import random

import pytest

from softphone.security import CryptoSuite
from tests.fuzz.mutation import mutated, prefixes, replaced
from tests.fuzz.srtp_target import SrtpTarget


@pytest.mark.parametrize("suite", list(CryptoSuite))
def test_prefixes_nasty_bytes_and_mutations_of_true_packets(suite):
    target = SrtpTarget(suite)
    for packet in target.corpus[1:]:
        for data in (*prefixes(packet), *replaced(packet, step=5)):
            target.check(data)
    for data in mutated(target.corpus, 1_500, seed=3711):
        target.check(data[:2048])
    target.check_alive()


@pytest.mark.parametrize("suite", list(CryptoSuite))
def test_random_bytes(suite):
    target, rng = SrtpTarget(suite), random.Random(7714)
    for size in range(300):
        target.check(rng.randbytes(size))
        target.check(b"\x80" + rng.randbytes(size))
    target.check_alive()


@pytest.mark.parametrize("suite", list(CryptoSuite))
def test_copies_cut_short_with_every_count_of_sources_count_alike(suite):
    target = SrtpTarget(suite)
    packet = target.corpus[0]
    target.check(packet)
    for size in range(1, len(packet)):
        for first in range(32):  # the extension bit and the CSRC count (RFC 3550 section 5.1)
            target.check(bytes(((packet[0] & 0xE0) | first,)) + packet[1:size])
    target.check_alive()
