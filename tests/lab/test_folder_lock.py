"""A lab's folder: whose it is, and until when."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.lab import LabServer
from softphone.lab.folder_lock import locked_folder

HOLD = """
import sys
from pathlib import Path
from softphone.lab.folder_lock import locked_folder
with locked_folder(Path(sys.argv[1])):
    print("claimed", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "claimed\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_that_another_process_holds_is_refused_with_its_number(holder, tmp_path):
    said = rf"another lab \(process {holder.pid}\) runs in {tmp_path}: end it first, or take"
    with pytest.raises(LocalProtocolError, match=said), locked_folder(tmp_path):
        pass


def test_a_process_that_dies_gives_its_folder_back(holder, tmp_path):
    holder.kill()
    holder.wait()
    with locked_folder(tmp_path):
        assert (tmp_path / ".lab.lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_is_made_held_once_and_given_back(tmp_path):
    folder = tmp_path / "a" / "lab"
    for _ in range(2):
        with locked_folder(folder):
            assert stat.S_IMODE((folder / ".lab.lock").stat().st_mode) == 0o600
            with pytest.raises(LocalProtocolError, match="another lab"), locked_folder(folder):
                pass
    assert (folder / ".lab.lock").read_text() == ""


@pytest.mark.parametrize("left", [b"", b"no number\n", b"\xff" * 30])
def test_a_number_that_is_not_there_is_not_said(tmp_path, left):
    with locked_folder(tmp_path):
        (tmp_path / ".lab.lock").write_bytes(left)
        said = f"another lab runs in {tmp_path}: "
        with pytest.raises(LocalProtocolError, match=said), locked_folder(tmp_path):
            pass


def test_a_folder_that_cannot_be_used_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigurationError, match="cannot be used"),
        locked_folder(tmp_path / "file"),
    ):
        pass
    (tmp_path / ".lab.lock").symlink_to(tmp_path / "file")
    with pytest.raises(ConfigurationError, match="cannot be used"), locked_folder(tmp_path):
        pass


async def test_a_second_lab_writes_nothing_where_one_runs(tmp_path):
    async with LabServer(tmp_path):
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        with pytest.raises(LocalProtocolError, match="another lab"):
            await LabServer(tmp_path).__aenter__()
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
