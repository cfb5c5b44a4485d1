"""Selects the OpenSSL provider of this process: the default one, or a FIPS provider.

A process in FIPS mode is started with an environment from `softphone.trust.fips.mode`.  The package
then calls `load_fips_provider` before anything else, so that both copies of OpenSSL in the process,
the standard library's and that of `cryptography`, load the FIPS provider, each from its own file:
one file cannot serve two.  This module makes no decision and no check; whether loading worked is
checked by `softphone.trust.fips.self_check`, without which nothing is started.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import NoReturn

FIPS_FOLDER_VARIABLE = "SOFTPHONE_FIPS_FOLDER"
"""The environment variable with the FIPS set-up that the process was started with."""

_MODULES = "OPENSSL_MODULES"
# Read once: a later change of the environment must not change the mode, and reading it each time
# costs more than the random bytes of a tag.
_started_with = os.environ.get(FIPS_FOLDER_VARIABLE, "")


def fips_folder() -> Path | None:
    """The set-up that this process was started with; None outside FIPS mode."""
    return Path(_started_with) if _started_with else None


def fips_in_force() -> bool:
    """Whether this process was started in FIPS mode; whether loading worked is not checked."""
    return bool(_started_with)


def load_fips_provider() -> None:
    """Load the FIPS provider into both libraries, each from its own file; no-op outside FIPS mode.

    Python's own MD5, which does not use providers, is removed from the process.  The environment
    is restored on return, for child processes.
    """
    place = fips_folder()
    if place is None:
        return
    os.environ[_MODULES] = str(place / "first")
    _remove_md5()
    hashlib.new("sha256", b"")
    os.environ[_MODULES] = str(place / "second")
    importlib.import_module("cryptography.hazmat.backends.openssl.backend")
    os.environ[_MODULES] = str(place / "first")


def _remove_md5() -> None:
    refusing = ModuleType("_md5", "MD5 is not available in FIPS mode.")
    refusing.__dict__.update(md5=_refuse_md5, MD5Type=type(None))
    sys.modules["_md5"] = refusing
    # hashlib has already bound the old module's names.
    importlib.reload(hashlib)


def _refuse_md5(*_: object, **__: object) -> NoReturn:
    raise ValueError("MD5 is not available in FIPS mode")
