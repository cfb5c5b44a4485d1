"""A smoke run of the endpoint's fuzz target."""

from __future__ import annotations

import itertools

import pytest

from softphone.sans_io import Side
from tests.fuzz.endpoint_target import EndpointTarget
from tests.fuzz.mutation import mutated
from tests.fuzz.sip_target import CORPUS


@pytest.mark.parametrize("side", Side)
def test_what_a_far_end_says_next_mutated(side):
    for seed in range(200):
        target = EndpointTarget(side=side)
        for data in mutated(target.corpus, 25, seed, edits=(0, 0, 1, 1, 2)):
            target.check(data)
        if seed % 10 == 0:
            target.settle()


def test_what_a_far_end_says_next_in_any_order():
    for seed, order in enumerate(itertools.permutations(range(6), 3)):
        target = EndpointTarget()
        for index in order:
            target.check(target.corpus[(index * 3 + seed) % len(target.corpus)])
        if seed % 10 == 0:
            target.settle()


def test_the_torture_corpus_amid_calls():
    target = EndpointTarget()
    for data in CORPUS:
        target.check(data)
    for data in mutated(CORPUS, 1000, seed=3261):
        target.check(data)
    target.settle()
