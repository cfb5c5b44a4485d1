"""The kernel, compiled once for these tests, whatever the installation has."""

from __future__ import annotations

import importlib.util
import os
import shutil
from types import ModuleType

import pytest

WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Werror") if os.environ.get("CI") else ()
"""In CI only: a compiler that nobody has met yet may warn of more."""


@pytest.fixture(scope="session")
def compiler() -> str:
    """A C compiler; without one the test is skipped, with CI it fails."""
    found = shutil.which(os.environ.get("CC", "cc"))
    if found is None and os.environ.get("CI"):
        pytest.fail("no C compiler: apt-get install gcc libc6-dev")
    if found is None:
        pytest.skip("no C compiler to build the kernel with: install gcc")
    return found


@pytest.fixture(scope="session")
def compiled(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The kernel as a module."""
    from softphone.media.kernel.build import NAME, build

    made = build(tmp_path_factory.mktemp("kernel"), *WARNINGS)
    spec = importlib.util.spec_from_file_location(NAME, made)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
