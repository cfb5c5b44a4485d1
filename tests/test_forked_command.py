"""A forked command is one: its streams, folder, environment, signals and end are a process's."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from tests.support.forked_command import REAL, command_line
from tests.support.processes import runs
from tests.support.waiting import PATIENCE

PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def run(*arguments, **options):
    return subprocess.run(
        [*command_line(), *arguments], capture_output=True, text=True, check=False, **options
    )


@pytest.fixture
def lab(tmp_path):
    with subprocess.Popen(
        [*command_line(), "lab", "--dir", "lab", "--json"], cwd=tmp_path, **PIPES
    ) as process:
        json.loads(process.stdout.readline())
        yield process
        process.terminate()


def number_of(folder):
    """The process of a lab, as it says itself to who starts another one there."""
    said = " ".join(run("lab", "--dir", "lab", cwd=folder).stderr.split())
    return int(said.partition("(process ")[2].partition(")")[0])


@pytest.mark.parametrize("words", [("--version",), ("call",), ("trust", "no-such"), ("--help",)])
def test_it_says_and_ends_as_a_process_of_its_own_does(words):
    real = subprocess.run([*REAL, *words], capture_output=True, text=True, check=False)
    forked = run(*words)
    assert (forked.returncode, forked.stdout) == (real.returncode, real.stdout)
    assert forked.stderr == real.stderr.replace("python -m softphone", "softphone")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_it(lab, tmp_path, number):
    process = number_of(tmp_path)
    assert process != lab.pid
    assert runs(process)
    lab.send_signal(number)
    assert lab.wait(PATIENCE) == 0
    assert not runs(process)


def test_it_goes_with_who_started_it_by_force(lab, tmp_path):
    process = number_of(tmp_path)
    lab.kill()
    assert lab.wait(PATIENCE) == -signal.SIGKILL
    handle = os.pidfd_open(process) if runs(process) else None
    if handle is not None:
        import select

        select.select([handle], [], [], PATIENCE)
        os.close(handle)
    assert not runs(process)


def test_what_is_read_before_a_command_begins_makes_it_a_process_as_it_is():
    """The interpreter itself says it, before `softphone` does anything."""
    said = run("--version", env=os.environ | {"PYTHONVERBOSE": "1"})
    assert said.returncode == 0
    assert "# installing zipimport hook" in said.stderr or "import _frozen_importlib" in said.stderr
    assert run("--version").stderr == ""


def test_its_environment_is_that_of_who_starts_it(tmp_path):
    said = run("doctor", "--help", env=os.environ | {"COLUMNS": "60"})
    assert max(map(len, said.stdout.splitlines())) <= 60
