"""A pytest plugin that records which branches of the product the tests of this process take.

Active when SOFTPHONE_COVERAGE names a folder, as `make test` sets it for its first group; writes
one file there for each process that runs tests.  Must be imported before any module of the product,
since code that ran earlier is not recorded.  Processes that a test starts are not measured.  Cost
and findings: tests/coverage_report.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from coverage import Coverage

PROJECT = Path(__file__).resolve().parent.parent.parent
FOLDER = os.environ.get("SOFTPHONE_COVERAGE")
WORKER = os.environ.get("PYTEST_XDIST_WORKER")
SOURCES = [str(PROJECT / "softphone"), str(PROJECT / "codecs" / "softphone_codecs")]


def new_coverage(folder: str | Path) -> Coverage:
    """Make a measurement whose files are in `folder`, one for each process."""
    from coverage import Coverage

    return Coverage(
        data_file=str(Path(folder) / "data"),
        data_suffix=True,
        config_file=False,
        branch=True,
        source=SOURCES,
        messages=False,
    )


class Recorder:
    """Records from now on, until the session ends."""

    def __init__(self, folder: str) -> None:
        from hypothesis import HealthCheck, settings

        # The same examples in every run, and none fails for being slow.
        slow = [HealthCheck.too_slow]
        settings.register_profile(
            "recorded", derandomize=True, database=None, deadline=None, suppress_health_check=slow
        )
        settings.load_profile("recorded")
        self.coverage = new_coverage(folder)
        self.coverage.start()

    def pytest_configure(self, config: pytest.Config) -> None:
        """Leave it to the workers where there are any: this process runs no test then."""
        if WORKER is None and config.getoption("numprocesses", None):
            self.coverage.stop()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        self.coverage.save()


recorder = Recorder(FOLDER) if FOLDER else None


def pytest_configure(config: pytest.Config) -> None:
    if recorder is not None:
        config.pluginmanager.register(recorder)
