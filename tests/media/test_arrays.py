"""Memory that goes back to the system."""

from __future__ import annotations

import mmap
import resource
from pathlib import Path

import pytest

from softphone.media.arrays import LARGE, zeros

STATM = Path("/proc/self/statm")


@pytest.mark.parametrize("octets", [0, 1, 2, LARGE - 2, LARGE, LARGE + 2, 1 << 20])
def test_it_is_zeros_that_can_be_written(octets):
    memory = zeros(octets)
    assert memory.shape == (octets,)
    assert not memory.any()
    memory[:] = 7
    assert (memory == 7).all()


def test_two_have_nothing_in_common():
    one, two = zeros(LARGE), zeros(LARGE)
    one[:] = 1
    assert not two.any()


def test_where_there_are_no_private_mappings_it_is_the_same(monkeypatch):
    monkeypatch.delattr(mmap, "MAP_PRIVATE", raising=False)
    memory = zeros(LARGE)
    memory[-1] = 1
    assert memory.sum() == 1


@pytest.mark.skipif(not STATM.exists(), reason="there is no /proc here")
def test_what_is_let_go_is_the_system_s_again():
    def resident() -> int:
        return int(STATM.read_text().split()[1]) * resource.getpagesize()

    before = resident()
    memory = zeros(64 << 20)
    memory[:] = 1
    assert resident() - before > 60 << 20
    del memory
    assert resident() - before < 8 << 20
