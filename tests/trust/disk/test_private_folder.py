"""Folders for secrets: whose they are, and who may work in them."""

from __future__ import annotations

import stat
import subprocess
import sys

import pytest

from softphone.errors import ConfigurationError
from softphone.trust.disk import locked, make_folder, remove_leftovers, synchronize

HOLD = """
import sys
from pathlib import Path
from softphone.trust.disk.private_folder import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    path = tmp_path / ".lock"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    yield process, path
    process.kill()
    process.communicate()


def test_a_folder_is_made_for_its_owner(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    synchronize(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_said_to_be(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        make_folder(tmp_path / "file" / "b")
    with pytest.raises(ConfigurationError, match="cannot be opened"), locked(tmp_path / "no" / "b"):
        pass


def test_two_processes_do_not_hold_a_lock_at_a_time(holder):
    _, path = holder
    with pytest.raises(ConfigurationError, match="another process has held"):
        locked(path, patience=0.1).__enter__()


def test_a_process_that_dies_gives_its_lock_back(holder):
    process, path = holder
    process.kill()
    process.wait()
    with locked(path, patience=0.0):
        assert path.exists()


def test_what_a_killed_write_left_is_swept(tmp_path):
    (tmp_path / ".a.tlv.x1").write_bytes(b"half")
    (tmp_path / "a.tlv").write_bytes(b"whole")
    (tmp_path / ".b.tlv.x1").write_bytes(b"another's")
    remove_leftovers(tmp_path, "a.tlv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.tlv.x1", "a.tlv"]
