"""Which path the media takes: the compiled kernel or NumPy alone (SOFTPHONE_KERNEL)."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from enum import StrEnum
from functools import cache
from typing import Any, Final

from softphone.errors import ConfigurationError
from softphone.media.kernel.layout import layout_digest
from softphone.openssl_provider import fips_in_force
from softphone.srtp import transform_addresses

logger = logging.getLogger("softphone.media")

VARIABLE: Final = "SOFTPHONE_KERNEL"
MODULE: Final = f"{__package__}._kernel"
"""Compiled by `build`, when softphone was installed where there was a compiler, or later."""

_BUILD: Final = (
    "install a C compiler, then run `python -m softphone.media.kernel.build`, or install again"
)


class KernelChoice(StrEnum):
    """The values of SOFTPHONE_KERNEL."""

    AUTO = "auto"
    REQUIRE = "require"
    OFF = "off"


def kernel_choice() -> KernelChoice:
    """Return the choice of the environment.  Raises ConfigurationError for an unknown word."""
    word = os.environ.get(VARIABLE, KernelChoice.AUTO)
    try:
        return KernelChoice(word)
    except ValueError:
        raise ConfigurationError(
            f"{VARIABLE}={word[:32]} is none of auto, require, off: unset it for auto"
        ) from None


@cache
def _find() -> tuple[Any, str]:
    """The compiled module, and an empty text; or None and the reason."""
    from softphone.media.kernel.build import lacking, sources_digest  # only here, as it can be run

    if why := lacking():
        return None, why
    try:
        module = importlib.import_module(MODULE)
    except ImportError:
        return None, f"it was not compiled: {_BUILD}"
    known = [module.ffi.string(each()).decode() for each in _digests(module)]
    if known != [layout_digest(), sources_digest()]:
        return None, f"it was compiled for another version: {_BUILD}"
    return module, ""


def _digests(module: Any) -> tuple[Any, ...]:
    """The functions that return the digests of a build; an old one has only the first."""
    return module.lib.kernel_layout, getattr(module.lib, "kernel_sources", module.lib.kernel_layout)


def load_kernel() -> Any | None:
    """Return the compiled module that media is to use, or None for the NumPy path.

    Raises ConfigurationError where SOFTPHONE_KERNEL requires the kernel and it cannot be used.
    """
    module, why = _chosen()
    if module is None and kernel_choice() is KernelChoice.REQUIRE:
        raise ConfigurationError(f"{VARIABLE}=require, but the media kernel is not used: {why}")
    _log_path()
    return module


@cache
def _log_path() -> None:
    """Log the path once, at the first use."""
    logger.info("media path: %s", describe_path())


def _chosen() -> tuple[Any, str]:
    if kernel_choice() is KernelChoice.OFF:
        return None, f"{VARIABLE}=off"
    if fips_in_force():
        return None, "in FIPS mode SRTP is done by OpenSSL's validated module"
    if transform_addresses() is None:
        return None, "the installed pylibsrtp is not one whose library is known"
    return _find()


def describe_path() -> str:
    """Return a sentence about the path that media takes, for `doctor` and results."""
    module, why = _chosen()
    if module is None:
        return f"NumPy; the compiled kernel is not used: {why}"
    said = ["compiled kernel"]
    if not has_datagrams(module):
        said.append("without its part for sockets: datagrams go through Python")
    if sys.platform != "linux":
        said.append("untested on this system")
    return "; ".join(said)


def has_datagrams(module: Any) -> bool:
    """Whether a compiled module reads and writes sockets: that needs recvmmsg and sendmmsg."""
    return hasattr(module.lib, "kernel_receive_datagrams")
