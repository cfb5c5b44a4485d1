from __future__ import annotations

import itertools

import pytest

from tests.fuzz.mutation import mutated, prefixes, replaced
from tests.fuzz.sip_target import CORPUS, check_datagram, check_stream
from tests.support.torture import TORTURE

SHORT = sorted(CORPUS, key=len)[:6]
TORTUOUS = next(data for data in CORPUS if b"wsinv" in data)


@pytest.mark.parametrize("name", TORTURE)
def test_nasty_bytes_at_each_position_and_every_prefix(name):
    data = TORTURE[name]
    for mutation in itertools.chain(replaced(data), prefixes(data)):
        check_datagram(mutation)


def test_every_prefix_of_a_stream():
    for data in prefixes(TORTUOUS + SHORT[0]):
        check_stream(data)


def test_twenty_thousand_random_mutations_of_datagrams():
    for data in mutated(CORPUS, 20_000, seed=4475):
        check_datagram(data)


def test_two_thousand_random_mutations_of_streams():
    for data in mutated([a + b"\r\n" + b for a in SHORT for b in SHORT], 2_000, seed=18):
        check_stream(data, piece=61)
