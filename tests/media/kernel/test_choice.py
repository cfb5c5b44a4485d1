"""Which path media takes, and that the layout compiled is the one in use."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from softphone.errors import ConfigurationError
from softphone.media.kernel import choice, describe_path, load_kernel
from softphone.media.kernel.build import SOURCES, sources_digest
from softphone.media.kernel.layout import header_text, layout_digest

HEADER = Path(choice.__file__).with_name("layout.h")


@pytest.fixture(autouse=True)
def found_anew():
    choice._find.cache_clear()
    yield
    choice._find.cache_clear()


@pytest.fixture
def without(monkeypatch):
    monkeypatch.setitem(sys.modules, choice.MODULE, None)


@pytest.fixture
def with_kernel(monkeypatch, compiled):
    monkeypatch.setitem(sys.modules, choice.MODULE, compiled)
    return compiled


def test_the_header_is_that_of_the_state_groups():
    assert HEADER.read_text(encoding="utf-8") == header_text(), (
        "python -m softphone.media.kernel.layout > softphone/media/kernel/layout.h"
    )


@pytest.mark.skipif(not os.environ.get("CI"), reason="an installation may lack a compiler")
def test_the_tests_run_on_the_kernel_unless_they_say_otherwise():
    if os.environ.get(choice.VARIABLE) != "off":
        assert describe_path() == "compiled kernel"


def test_by_default_the_kernel_is_used_where_there_is_one(with_kernel, monkeypatch):
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    assert load_kernel() is with_kernel
    assert describe_path() == "compiled kernel"


def test_by_default_numpy_does_it_all_where_there_is_none(without, monkeypatch):
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    assert load_kernel() is None
    assert "it was not compiled" in describe_path()


def test_the_first_use_says_which_path_it_is(without, monkeypatch, caplog):
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    choice._log_path.cache_clear()
    caplog.set_level("INFO", logger="softphone.media")
    assert load_kernel() is load_kernel() is None
    (told,) = [each.getMessage() for each in caplog.records]
    assert told.startswith("media path: NumPy; ")
    assert "install a C compiler" in told


def test_off_uses_none(with_kernel, monkeypatch):
    monkeypatch.setenv(choice.VARIABLE, "off")
    assert load_kernel() is None
    assert "SOFTPHONE_KERNEL=off" in describe_path()


def test_a_required_kernel_that_is_missing_is_an_error(without, monkeypatch):
    monkeypatch.setenv(choice.VARIABLE, "require")
    with pytest.raises(ConfigurationError, match="was not compiled"):
        load_kernel()


def test_in_fips_mode_there_is_none_and_a_required_one_is_an_error(with_kernel, monkeypatch):
    monkeypatch.setattr(choice, "fips_in_force", lambda: True)
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    assert load_kernel() is None
    monkeypatch.setenv(choice.VARIABLE, "require")
    with pytest.raises(ConfigurationError, match="FIPS"):
        load_kernel()


def test_another_word_is_an_error(monkeypatch):
    monkeypatch.setenv(choice.VARIABLE, "yes")
    with pytest.raises(ConfigurationError, match="none of auto, require, off"):
        load_kernel()


@pytest.mark.parametrize("changed", ["layout", "sources"])
def test_a_kernel_of_another_version_is_not_used(monkeypatch, changed):
    digests = {"layout": layout_digest(), "sources": sources_digest()} | {changed: "0" * 32}
    functions = {f"kernel_{name}": text.encode for name, text in digests.items()}
    ffi = SimpleNamespace(string=lambda text: text)
    old = SimpleNamespace(ffi=ffi, lib=SimpleNamespace(**functions))
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, choice.MODULE, old)
    assert load_kernel() is None
    assert "compiled for another version" in describe_path()


def test_the_c_stays_short_enough_to_be_read():
    lines = [(HEADER.parent / name).read_text("utf-8").count("\n") for name in SOURCES]
    assert sum(lines) < 1500
