"""The command that installs an optional dependency in this environment.

Packages that softphone can do without are extras (`softphone[video]`).  Code that needs a missing
one raises ConfigurationError with a sentence that ends in this command.
"""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
from pathlib import Path

from softphone.errors import ConfigurationError

_SOURCE = Path(__file__).resolve().parent.parent


def install_command(extra: str) -> str:
    """Return the command that installs an extra beside this softphone, for a shell.

    An installed softphone is named by its name, which needs no package index to know it.  A
    checkout that is not installed, or was installed before the extra came to be, is named by its
    path: its name alone might fetch something else from an index.
    """
    target = f"softphone[{extra}]"
    editable = ""
    if (_SOURCE / "pyproject.toml").is_file() and extra not in _installed_extras():
        target, editable = f"{_SOURCE}[{extra}]", "-e "
    return f"{_installer()} {editable}'{target}'"


def require_module(module: str, extra: str, sentence: str) -> None:
    """Raise ConfigurationError, `sentence` and the command, where a module is not installed."""
    if not has_module(module):
        raise ConfigurationError(f"{sentence}: {install_command(extra)}")


def has_module(name: str) -> bool:
    """Return whether a top-level module is installed, without importing it."""
    return importlib.util.find_spec(name) is not None


def _installed_extras() -> frozenset[str]:
    # Imported here, since that takes 20 ms and is needed for an error only.
    import importlib.metadata

    try:
        found = importlib.metadata.metadata("softphone").get_all("Provides-Extra")
    except importlib.metadata.PackageNotFoundError:
        return frozenset()
    return frozenset(found or ())


def _installer() -> str:
    """`pip install` where a shell finds the pip of this interpreter; else how to start it."""
    pip, own = shutil.which("pip"), Path(sys.executable).parent
    if pip is not None and Path(pip).parent == own:
        return "pip install"
    if not has_module("pip") and shutil.which("uv"):
        return f"uv pip install --python {shlex.quote(sys.executable)}"
    return f"{shlex.quote(sys.executable)} -m pip install"
