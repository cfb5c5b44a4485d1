"""The kernel's memory under sanitizers: hostile packets, states and systems, led by coverage."""

from __future__ import annotations

import os

from tests.fuzz.kernel_target import fuzz_kernel

SECONDS = float(os.environ.get("SOFTPHONE_FUZZ_SECONDS", "5"))


def test_no_script_of_packets_and_states_leaves_the_arrays(compiler: str) -> None:
    assert compiler
    ended = fuzz_kernel(SECONDS, seed=1)
    assert not ended.fault, ended.fault
    assert ended.edges > 600
