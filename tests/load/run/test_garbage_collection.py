"""Memory is settled for a load, and as before afterwards."""

from __future__ import annotations

import gc

import pytest

from softphone.load.run import relaxed_garbage_collection
from softphone.load.run.garbage_collection import THRESHOLDS


def test_what_the_application_has_frozen_stays_frozen():
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    assert frozen > 1000  # by tests/conftest.py; single ones go when nothing refers to them
    with relaxed_garbage_collection():
        assert gc.get_threshold() == THRESHOLDS
        assert frozen - 100 < gc.get_freeze_count() <= frozen
    assert gc.get_threshold() == before
    assert frozen - 100 < gc.get_freeze_count() <= frozen


@pytest.fixture(scope="module")
def nothing_frozen():
    """Unfreeze what pytest collected at the start; it is frozen again after these tests."""
    gc.unfreeze()
    yield
    gc.collect()
    gc.freeze()


@pytest.mark.usefixtures("nothing_frozen")
def test_what_is_there_is_frozen_and_collections_are_rare_only_in_the_block():
    before = gc.get_threshold()
    with relaxed_garbage_collection():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > 1000
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


@pytest.mark.usefixtures("nothing_frozen")
def test_a_failure_undoes_it_too():
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="of the load"), relaxed_garbage_collection():
        raise ValueError("of the load")
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
