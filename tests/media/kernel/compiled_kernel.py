"""Loads a kernel that was built for tests."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from softphone.media.kernel.build import NAME

WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Werror") if os.environ.get("CI") else ()
"""In CI only: a compiler that nobody has met yet may warn of more."""


def load(file: Path) -> ModuleType:
    """The kernel in a file as a module; the one that is imported stays."""
    spec = importlib.util.spec_from_file_location(NAME, file)
    assert spec is not None
    assert spec.loader is not None
    imported = sys.modules.pop(NAME, None)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop(NAME, None)  # a module of C puts itself there
    if imported is not None:
        sys.modules[NAME] = imported
    return module
