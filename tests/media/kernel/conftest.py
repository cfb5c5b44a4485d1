"""The kernel, compiled once for these tests, whatever the installation has."""

from __future__ import annotations

import os
import shutil
from types import ModuleType

import pytest

from softphone.media.kernel.build import build
from tests.media.kernel.compiled_kernel import WARNINGS, load


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
    return load(build(tmp_path_factory.mktemp("kernel"), *WARNINGS))
