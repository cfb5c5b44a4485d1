"""Fixtures that any test may ask for: a seeded entropy and nothing else that is global.

Every log is searched for every key: tests/support/log_search.py.

Real peers have their own fixtures, in tests/peers/conftest.py.
"""

from __future__ import annotations

import gc
import os
import random
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.support.rotation import rotated

TESTS = Path(__file__).resolve().parent

# Nothing of the product is imported here: the first plugin has to see all of it.
pytest_plugins = (
    "tests.support.branch_coverage",
    "tests.support.log_search",
    "tests.support.own_machine",
    "tests.support.processor_time",
    "tests.support.skipped",
)


# Who starts the suite in the background, or by nohup, has told it to ignore these two; the commands
# under test would inherit that, and are to end by them.
for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    number = getattr(signal, name, None)  # Windows has no SIGHUP
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None]:
    """Look for no garbage meanwhile: what is collected stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport]:
    """Have each worker collect from another folder of tests on, around to where it began.

    Whoever imports a module first rewrites its asserts, and keeps the byte code for the others;
    side by side, each would do it for all modules.
    """
    report = yield
    worker = getattr(collector.config, "workerinput", None)
    if worker is not None and collector.path == TESTS and isinstance(collector, pytest.Directory):
        # One that takes the place of a worker that died has a higher number.
        number = int(worker["workerid"].removeprefix("gw")) % worker["workercount"]
        report.result = rotated(report.result, number / worker["workercount"])
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for the night; give the tests of all workers one order, that of files."""
    if not os.environ.get("SOFTPHONE_NIGHTLY"):
        long = [item for item in items if item.get_closest_marker("nightly")]
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=long)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path.parts)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Have no later look for garbage see what was collected."""
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
