"""Memory is settled for a load, and as before afterwards."""

from __future__ import annotations

import gc

import pytest

from softphone.load.run import relaxed_garbage_collection
from softphone.load.run.garbage_collection import THRESHOLDS


def test_what_is_there_is_frozen_and_collections_are_rare_only_in_the_block():
    gc.unfreeze()  # what was collected at the start
    before = gc.get_threshold()
    with relaxed_garbage_collection():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > 1000
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_a_failure_undoes_it_too():
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="of the load"), relaxed_garbage_collection():
        raise ValueError("of the load")
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
