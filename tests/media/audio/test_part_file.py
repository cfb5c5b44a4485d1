"""A file gets its name once it is whole, and overwrites nothing."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from softphone.errors import ConfigurationError, MediaError
from softphone.media.audio import PartFile


@pytest.fixture
def own(tmp_path):
    return PartFile(tmp_path / "a.wav")


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_it_has_its_name_once_it_is_whole(tmp_path, mode):
    own = PartFile(tmp_path / "a.wav", mode=mode)
    own.file.write(b"begun ")
    assert (own.part.name, own.path.exists()) == ("a.wav.part", False)
    own.finish(lambda: own.file.write(b"ended"))
    assert own.path.read_bytes() == b"begun ended"
    assert stat.S_IMODE(own.path.stat().st_mode) == mode
    assert not own.part.exists()


def test_what_is_there_is_not_overwritten(tmp_path, own):
    with pytest.raises(ConfigurationError, match="under way or was cut off"):
        PartFile(own.path)
    own.path.write_bytes(b"another's")
    with pytest.raises(ConfigurationError, match="not overwritten"):
        PartFile(own.path)
    with pytest.raises(MediaError, match=r"exists by now; .*a\.wav\.part"):
        own.finish(lambda: None)
    assert own.path.read_bytes() == b"another's"
    assert own.part.exists()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        PartFile(tmp_path / "no" / "b.wav")


def test_a_file_that_cannot_be_ended_stays_and_says_where(own):
    def full():
        raise OSError(errno.ENOSPC, "No space left")

    with pytest.raises(MediaError, match=r"a\.wav\.part is cut short: No space left"):
        own.finish(full)
    assert own.file.closed
    assert own.part.exists()
    assert not own.path.exists()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EMLINK])
def test_where_there_are_no_hard_links_it_is_renamed(own, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, "no links")

    monkeypatch.setattr(os, "link", refuse)
    own.finish(lambda: None)
    assert own.path.exists()
    assert not own.part.exists()


def test_a_name_that_cannot_be_given_is_told(own, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "I/O error")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(MediaError, match=r"stays in .*a\.wav\.part: I/O error"):
        own.finish(lambda: None)
    assert own.part.exists()


def test_what_is_given_up_leaves_nothing(tmp_path, own):
    own.discard()
    own.discard()
    assert own.file.closed
    assert not list(tmp_path.iterdir())
