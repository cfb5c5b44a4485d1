"""Locks, permissions and limits, on this system and with what Windows has instead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from softphone import operating_system
from softphone.errors import ConfigurationError
from softphone.lab.folder_lock import locked_folder
from softphone.operating_system import (
    descriptor_limits,
    is_foreign,
    kill_process_group,
    lock_file,
    synchronize_folder,
)
from softphone.trust.disk import check_folder, locked, readable_by_others, write_private

HOLDER = """
import os, sys
from softphone.operating_system import lock_file
print(lock_file(os.open(sys.argv[1], os.O_RDWR)), flush=True)
sys.stdin.read()
"""


class WindowsLocks:
    """msvcrt.locking as documented: an octet at the position of the handle, for one holder."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.held: dict[tuple[int, int], int] = {}

    def locking(self, handle: int, mode: int, octets: int) -> None:
        assert (mode, octets) == (self.LK_NBLCK, 1)
        place = (os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR))
        if self.held.setdefault(place, handle) != handle:
            raise PermissionError(13, "Permission denied")


@pytest.fixture
def windows(monkeypatch) -> WindowsLocks:
    """What Windows lacks is hidden, and its locks are there."""
    locks = WindowsLocks()
    for name in ("geteuid", "fchmod", "O_DIRECTORY", "O_NOFOLLOW", "pread", "pwrite"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(operating_system, "fcntl", None)
    monkeypatch.setattr(operating_system, "resource", None)
    monkeypatch.setattr(operating_system, "msvcrt", locks)
    return locks


def test_a_lock_of_another_process_is_seen_and_ends_with_it(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    handle = os.open(path, os.O_RDWR)
    try:
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as holder:
            assert holder.stdout.readline() == "True\n"
            assert not lock_file(handle)
            holder.stdin.close()
        assert lock_file(handle)
    finally:
        os.close(handle)


def test_windows_locks_an_octet_that_nobody_reads(tmp_path, windows):
    path = tmp_path / "lock"
    path.write_bytes(b"17\n")
    one, other = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    try:
        assert lock_file(one)
        assert not lock_file(other)
        assert os.read(other, 10) == b"17\n"
    finally:
        os.close(one)
        os.close(other)


def test_a_store_is_locked_and_written_on_windows(tmp_path, windows):
    with locked(tmp_path / "lock"):
        with (
            pytest.raises(ConfigurationError, match="another process has held"),
            locked(tmp_path / "lock", patience=0.0),
        ):
            pass
        write_private(tmp_path / "key", b"secret")
    assert (tmp_path / "key").read_bytes() == b"secret"


@pytest.mark.usefixtures("windows")
def test_modes_say_nothing_on_windows(tmp_path):
    tmp_path.chmod(0o777)
    check_folder(tmp_path)
    (tmp_path / "key").touch(mode=0o644)
    assert readable_by_others(tmp_path / "key") is None
    assert not is_foreign(tmp_path.stat())
    synchronize_folder(tmp_path)
    assert descriptor_limits() is None


def test_a_lab_says_which_process_has_its_folder_on_windows(tmp_path, windows):
    with (
        locked_folder(tmp_path),
        pytest.raises(Exception, match=rf"another lab \(process {os.getpid()}\) runs"),
        locked_folder(tmp_path),
    ):
        pass


def test_without_any_lock_nothing_is_written(tmp_path, windows, monkeypatch):
    monkeypatch.setattr(operating_system, "msvcrt", None)
    with pytest.raises(OSError, match="locks no files"), locked(tmp_path / "lock"):
        pass


def test_nothing_else_imports_what_windows_lacks():
    """At import, that is: a feature of Linux only may load what it needs when it is used."""
    names = ("fcntl", "resource", "pwd", "grp", "tty")
    probe = f"import sys; sys.modules.update(dict.fromkeys({names!r}))\n"
    project = Path(operating_system.__file__).parent
    modules = sorted(
        ".".join(("softphone", *path.relative_to(project).with_suffix("").parts))
        for path in project.rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    )
    # The last one's library asks for the system's name, which is Linux here.
    bots = ("softphone.agents.livekit.", "softphone.agents.pipecat.")
    locust = "softphone.load.locust.softphone_user"
    left_out = ("softphone.messaging.", *bots, "softphone.mcp.", locust)
    wanted = [each for each in modules if not each.startswith(left_out)]
    probe += f"import importlib\nfor name in {wanted!r}:\n    try: importlib.import_module(name)\n"
    probe += "    except ModuleNotFoundError as error:\n"
    probe += "        if error.name != 'bonsai': raise\n"
    ended = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_a_process_that_forbids_core_dumps_has_none():
    pytest.importorskip("resource")
    code = (
        "import resource; from softphone.operating_system import forbid_core_dumps;"
        "forbid_core_dumps(); print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=90
    )
    assert ended.stdout == "0\n"


def test_where_the_system_has_no_limits_there_is_nothing_to_forbid(monkeypatch):
    monkeypatch.setattr(operating_system, "resource", None)
    operating_system.forbid_core_dumps()


def test_a_group_is_killed_whole_one_that_is_gone_is_none_and_windows_has_none(monkeypatch):
    command = "sleep 60 & echo; wait"
    with subprocess.Popen(
        ["sh", "-c", command], stdout=subprocess.PIPE, start_new_session=True
    ) as shell:
        assert shell.stdout.readline() == b"\n"
        monkeypatch.delattr(os, "killpg")
        kill_process_group(shell.pid)
        monkeypatch.undo()
        assert shell.poll() is None
        kill_process_group(shell.pid)
        # The sleep has the pipe's other end, too.
        assert shell.stdout.read() == b""
        assert shell.wait() == -9
        kill_process_group(shell.pid)
