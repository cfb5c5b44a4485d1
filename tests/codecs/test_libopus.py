"""Where libopus is found, and what is said when it is nowhere."""

from __future__ import annotations

import ctypes.util
import importlib.util
from collections.abc import Iterator

import pytest

from softphone_codecs import CodecUnavailable, libopus


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    libopus.load_libopus.cache_clear()
    yield
    libopus.load_libopus.cache_clear()


def test_the_wheel_of_pyav_brings_one() -> None:
    assert libopus.load_libopus().opus_get_version_string().startswith(b"libopus 1.")


def test_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(CodecUnavailable, match="Opus needs libopus"):
        libopus.load_libopus()


def test_a_library_of_another_kind_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: "libc.so.6")
    with pytest.raises(CodecUnavailable):
        libopus.load_libopus()
