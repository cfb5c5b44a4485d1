"""What fuzzing led by coverage found once never fails again, and the fuzzer itself works."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.fuzz.coverage_guided import FINDINGS, PROJECT, folder_name
from tests.fuzz.full import targets

CHECKS = {folder_name(target.name): target.check for target in targets()}
FOUND = sorted(path for path in FINDINGS.glob("*/*") if path.is_file())


def test_what_was_found_once_is_handled():
    for path in FOUND:
        CHECKS[path.parent.name](path.read_bytes())


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not here: pip install -e '.[test]' (it has no wheel for this machine)",
)
def test_a_second_under_libfuzzer_reaches_the_parser():
    command = [sys.executable, "-m", "tests.fuzz.coverage_guided", "--minutes", "0.05"]
    ended = subprocess.run(
        [*command, "TVS messages"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "held" in ended.stdout
