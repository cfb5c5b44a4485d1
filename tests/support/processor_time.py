"""A pytest plugin: each test's processor seconds stand in the JUnit report, as property `cpu`.

They are those of this process and of children that have ended: a busy machine does not add to them.
`tests/seconds.py` adds them up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator

import pytest

_BEGAN = pytest.StashKey[float]()


def spent() -> float:
    """The processor seconds of this process and of its children that have ended."""
    children = os.times()  # in ticks of 10 ms, too coarse for this process's own
    return time.process_time() + children.children_user + children.children_system


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Note when a test begins, its fixtures among it."""
    item.stash[_BEGAN] = spent()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Note what the test has taken, before its last report is made."""
    try:
        return (yield)
    finally:
        item.user_properties.append(("cpu", f"{spent() - item.stash[_BEGAN]:.2f}"))
