"""Which OpenSSL provider this process runs with: the usual one, or a FIPS provider.

A process in FIPS mode is started with an environment that `softphone.trust.fips.mode` makes.  The
package calls `load_fips_provider` before anything else then, so that both copies of OpenSSL in the
process, the standard library's and the one inside `cryptography`, load the FIPS provider, each its
own file of it: one file cannot serve two.  This module decides nothing and checks nothing; whether
it has worked is told by `softphone.trust.fips.self_check`, without which nothing is started.
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
"""The environment variable that names the set-up which the process was started with."""

_MODULES = "OPENSSL_MODULES"
# The mode is that of the start: what is written to the environment later changes nothing, and to
# ask it costs more than the random bytes of a tag do.
_started_with = os.environ.get(FIPS_FOLDER_VARIABLE, "")


def fips_folder() -> Path | None:
    """The set-up that this process was started with; None outside FIPS mode."""
    return Path(_started_with) if _started_with else None


def fips_in_force() -> bool:
    """Whether this process was started in FIPS mode; whether it worked is not asked here."""
    return bool(_started_with)


def load_fips_provider() -> None:
    """Load both libraries, each with its own provider file; a no-op outside FIPS mode.

    Python's own MD5, which knows nothing of providers, is taken out of the process.  The
    environment is as before when this returns, for the processes that are started from here.
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
    # It has bound the old one to its names already.
    importlib.reload(hashlib)


def _refuse_md5(*_: object, **__: object) -> NoReturn:
    raise ValueError("MD5 is not available in FIPS mode")
