"""Fixtures that any test may ask for: a seeded entropy and nothing else that is global.

Every log is searched for every key: tests/support/log_search.py.

Real peers have their own fixtures, in tests/peers/conftest.py.
"""

from __future__ import annotations

import gc
import os
import random
import signal
from collections.abc import Callable, Iterator

import pytest

# Nothing of the product is imported here: the first plugin has to see all of it.
pytest_plugins = (
    "tests.support.branch_coverage",
    "tests.support.log_search",
    "tests.support.processor_time",
)


# Who starts the suite in the background, or by nohup, has told it to ignore these two; the commands
# under test would inherit that, and are to end by them.
for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    number = getattr(signal, name, None)  # Windows has no SIGHUP
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was collected stays to the end: no collection of garbage need look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def entropy() -> Callable[[int], bytes]:
    """A seeded stream of random bytes: the same bytes in every run."""
    return random.Random(20261124).randbytes


@pytest.fixture(autouse=True)
def _mode_as_it_was() -> Iterator[None]:
    """A command that settles the FIPS mode says so in the environment: not for the next test."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("SOFTPHONE_FIPS")}
    yield
    for name in [name for name in os.environ if name.startswith("SOFTPHONE_FIPS")]:
        del os.environ[name]
    os.environ.update(ours)
