"""A test that says that it needs the machine waits for it, and not for ever."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.own_machine import LOOK, Machine, idle_seconds

HOLDER = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(handle, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


class Processors:
    """Two processors of which so much is idle, look by look, and a clock."""

    def __init__(self, *idle: float | None) -> None:
        self.shares = list(idle)
        self.now = 100.0
        self.idle = 0.0

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        share = self.shares.pop(0) if len(self.shares) > 1 else self.shares[0]
        self.idle += (share or 0.0) * seconds

    def machine(self, folder) -> Machine:
        """A machine with these processors."""
        known = self.shares[0] is not None
        look = (lambda: self.idle) if known else (lambda: None)
        return Machine(folder / "lock", look, self.sleep, lambda: self.now)


@pytest.mark.parametrize(
    ("idle", "looks"),
    [((2.0,), 1), ((0.5,), 1), ((0.0, 0.1, 0.4, 0.6), 4), ((0.0,), 40), ((None,), 1)],
)
def test_it_waits_until_half_a_processor_is_idle_or_patience_ends(tmp_path, idle, looks):
    holding = Processors(*idle).machine(tmp_path).wait(10.0)
    assert next(holding) == pytest.approx(looks * LOOK)
    holding.close()


def test_without_patience_it_does_not_wait(tmp_path):
    holding = Processors(2.0).machine(tmp_path).wait(0.0)
    assert next(holding) == 0.0
    holding.close()


def test_one_at_a_time_has_the_machine(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        waiting = Processors(2.0).machine(tmp_path).wait(5.0)
        assert next(waiting) == pytest.approx(5.0)
        waiting.close()
    after = Processors(2.0).machine(tmp_path).wait(5.0)
    assert next(after) == pytest.approx(LOOK)
    after.close()


def test_idle_seconds_grow_and_are_few():
    first = idle_seconds()
    assert first is not None
    assert first <= idle_seconds()
