"""What was skipped is summed up, and what would have it run is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.skipped import MOST_LINES, remedy, summary

PROJECT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("needs fish: apt-get install fish", ("apt-get install", ("fish",))),
        (
            "needs the OpenSSL FIPS provider: apt-get install openssl-provider-fips (not found)",
            ("apt-get install", ("openssl-provider-fips",)),
        ),
        (
            "needs pipecat: python -m tests.support.extra_site, or softphone[pipecat]",
            ("pip install", ("'softphone[pipecat]'",)),
        ),
        ("Ray is not installed: pip install '.[test]'", ("pip install", ("'softphone[test]'",))),
        (
            "real peers need root: run `sudo PEERS=install make test`",
            ("real peers and captures: sudo PEERS=install make test", ()),
        ),
        (
            "a capture needs root or CAP_NET_RAW",
            ("real peers and captures: sudo PEERS=install make test", ()),
        ),
        ("no IPv6 here", ("no IPv6 here", ())),
    ],
)
def test_a_reason_has_a_remedy(reason, expected):
    assert remedy(reason) == expected


def test_packages_share_a_line_and_there_are_ten_at_most():
    reasons = {f"a{number}": f"needs p{number}: apt-get install p{number}" for number in range(12)}
    (line,) = summary(reasons)
    assert line.split()[:3] == ["12", "apt-get", "install"]
    assert set(line.split()[3:]) == {f"p{number}" for number in range(12)}
    lines = summary(reasons | {f"b{number}": f"reason {number}" for number in range(20)})
    assert len(lines) == MOST_LINES
    assert lines[-1].split()[:2] == ["12", "for"]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_run_writes_what_it_skipped_and_by_which_name_it_is_run(workers, tmp_path):
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "def test_a(): pass\n"
        "@pytest.mark.parametrize('x', [1, 2])\n"
        "def test_b(x): pytest.skip('needs fish: apt-get install fish')\n"
    )
    (tmp_path / "test_none.py").write_text(
        "import pytest\npytest.skip('needs zsh: apt-get install zsh', allow_module_level=True)\n"
    )
    # Whoever runs this test may be a worker itself: those that it starts are none.
    environ = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.skipped", "-c", os.devnull]
    ended = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--skipped-to=skipped.json", "--rootdir=.", *workers],
        cwd=tmp_path,
        env=environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert json.loads((tmp_path / "skipped.json").read_text()) == {
        "test_none.py": "needs zsh: apt-get install zsh",
        "test_some.py::test_b[1]": "needs fish: apt-get install fish",
        "test_some.py::test_b[2]": "needs fish: apt-get install fish",
    }
    lines = [line.split() for line in ended.stdout.splitlines() if "apt-get install" in line]
    assert lines == [["3", "apt-get", "install", "fish", "zsh"]]
