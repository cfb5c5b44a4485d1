"""Files replaced at one stroke."""

from __future__ import annotations

import os
import stat

import pytest

from softphone.errors import ConfigurationError
from softphone.trust import readable_by_others, write_private


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    write_private(path, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigurationError, match="No space left"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_file_is_never_readable_by_others(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"")
    path.chmod(0o666)
    write_private(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_that_others_can_read_is_said(tmp_path):
    path = tmp_path / "secret"
    write_private(path, b"x")
    assert readable_by_others(path) is None
    path.chmod(0o640)
    assert f"chmod 600 {path}" in readable_by_others(path)
    path.chmod(0o604)
    assert "can be read by others" in readable_by_others(path)
