"""How the interpreter of a bench was built: an unoptimised one is up to 1.25 times slower.

Every result has it beside the version of Python.
"""

from __future__ import annotations

import platform
import sysconfig

__all__ = ["python_build"]


def python_build() -> list[str]:
    """The compiler and its options, without the folders of the machine that built it."""
    flags = [str(sysconfig.get_config_var(name) or "") for name in ("CONFIG_ARGS", "PY_CFLAGS")]
    words = [word.strip("'\"") for word in " ".join(flags).split()]
    found = [word for word in dict.fromkeys(words) if word and "/" not in word]
    return [platform.python_compiler(), *found]
