"""A pytest plugin that records which branches of the product the tests of this process take.

Active when SOFTPHONE_COVERAGE names a folder, as `python -m tests.coverage_report --run` sets it;
writes one file there for each process that runs tests, with the test that took each branch (which
tests/mutation/planted.py asks).  Must be imported before any module of the product,
since code that ran earlier is not recorded.  Processes that a test starts are not measured.  Cost
and findings: tests/coverage_report.py.

Recording makes Python code two to four times as slow.  Tests of `UNRECORDED` go without it: they
read source files, or feed by the ten thousand what other tests feed once.
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
UNRECORDED = (
    "tests/fuzz/test_sip_parser.py",
    "tests/media/test_state_owners.py",
    "tests/renames",
    "tests/security/test_every_tls_connection_passes_the_gate.py",
    *("tests/test_architecture.py", "tests/test_code_lines.py", "tests/test_names.py"),
)
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


def is_recorded(path: Path) -> bool:
    """Whether what the tests of a file run counts."""
    name = path.relative_to(PROJECT).as_posix()
    return not any(name == each or name.startswith(f"{each}/") for each in UNRECORDED)


class Recorder:
    """Records from now on, until the session ends, but for tests of UNRECORDED."""

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
        self.recording = True

    def pytest_configure(self, config: pytest.Config) -> None:
        """Leave it to the workers where there are any: this process runs no test then."""
        if WORKER is None and config.getoption("numprocesses", None):
            self.coverage.stop()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Record this test, or do not."""
        wanted = is_recorded(item.path)
        if wanted != self.recording:
            (self.coverage.start if wanted else self.coverage.stop)()
            self.recording = wanted
        if wanted:
            self.coverage.switch_context(item.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        self.coverage.save()


recorder = Recorder(FOLDER) if FOLDER else None


def pytest_configure(config: pytest.Config) -> None:
    if recorder is not None:
        config.pluginmanager.register(recorder)
