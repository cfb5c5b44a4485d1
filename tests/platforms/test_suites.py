"""The suites for other systems: they are there, and need no more than their workflow installs."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.platforms.__main__ import KERNEL, LONG, PROJECT, PURE, suites

COLLECT = (sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider")


def _collect(*arguments: str) -> subprocess.CompletedProcess[str]:
    # `coverage` is hidden too, and nothing is recorded here.
    ours = ("SOFTPHONE_COVERAGE", "PYTEST_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [*COLLECT, *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_the_workflow_does_not_install_is_not_needed():
    answer = _collect("-p", "tests.platforms.hidden_extras", *suites("", quick=False))
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]


def test_what_is_hidden_is_missed():
    subject = "tests/messaging/xmpp"
    answer = _collect("-p", "tests.platforms.hidden_extras", subject)
    assert "import of slixmpp halted" in answer.stdout


def test_a_suite_that_is_not_there_fails():
    assert _collect("tests/events").returncode == 4


def test_pure_packages_run_in_ci_as_on_windows():
    assert set(PURE) <= set(suites("windows", quick=True))
    assert not {*PURE, *LONG} & set(suites("macos", quick=True))
    assert {*PURE, *LONG} <= set(suites("macos", quick=False))


def test_the_kernel_is_tried_on_macos_itself(monkeypatch):
    assert not {*KERNEL} & {*suites("", quick=False), *suites("macos", quick=False)}
    monkeypatch.setattr(sys, "platform", "darwin")
    assert {*KERNEL} <= set(suites("", quick=False))
    assert all((PROJECT / each).is_file() for each in KERNEL)
