"""Decides whether this process must run in FIPS mode, and how to start a process in that mode.

The bootstrap setting decides if there is one (an option, SOFTPHONE_FIPS, the account file, the
API, in this order), else the platform's mode.  OpenSSL reads its configuration when a process
starts, so the mode of a running process never changes: a command restarts itself in the
environment that `process_environment` returns; start an application by `softphone fips run`.  A
mode that was requested and is not in effect is an error.

What a FIPS mode may claim is less than "validated": see docs/guides/fips.md.
"""

from __future__ import annotations

import importlib
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from softphone import openssl_provider
from softphone.errors import ConfigurationError, FipsForbidden, FipsUnavailable
from softphone.sans_io import Entropy

SETTING = "SOFTPHONE_FIPS"
"""The environment variable with the bootstrap setting."""

KERNEL = Path("/proc/sys/crypto/fips_enabled")
"""The file in which Linux shows its own FIPS mode."""

_SOURCE = "SOFTPHONE_FIPS_SOURCE"
_PLATFORM = "SOFTPHONE_FIPS_PLATFORM"
_CONFIGURATION = "OPENSSL_CONF"
_MODULES = "OPENSSL_MODULES"
_WORDS = {"1": True, "true": True, "yes": True, "on": True}
_WORDS |= {"0": False, "false": False, "no": False, "off": False}


class FipsModeOrigin(StrEnum):
    """What decided the mode."""

    BOOTSTRAP = "bootstrap"
    PLATFORM = "platform"


class FipsRestriction(StrEnum):
    """Features that FIPS mode forbids."""

    ACCEPT_UNTRUSTED = "accept_untrusted"
    SCREEN_SHARING = "screen_sharing"
    MD5_DIGEST = "md5_digest"


UNAVAILABLE: Mapping[FipsRestriction, str] = MappingProxyType(
    {
        FipsRestriction.ACCEPT_UNTRUSTED: "an unknown certificate is not accepted by asking: have"
        " it signed by an authority that is known, or give its authority to the store",
        FipsRestriction.SCREEN_SHARING: "screens are not shared",
        FipsRestriction.MD5_DIGEST: "digest authentication is not answered with MD5: let the server"
        " offer SHA-256 (RFC 8760)",
    }
)
"""The sentence for the error text of each forbidden feature."""


@dataclass(frozen=True, slots=True)
class FipsMode:
    """Whether FIPS mode is on, what decided that, and by which setting (`source`)."""

    on: bool
    decider: FipsModeOrigin
    source: str = ""

    def __str__(self) -> str:
        words = {
            FipsModeOrigin.BOOTSTRAP: "by the bootstrap setting",
            FipsModeOrigin.PLATFORM: "by the platform",
        }
        source = f" ({self.source})" if self.source else ""
        return f"{'FIPS' if self.on else 'not FIPS'}, {words[self.decider]}{source}"


def effective_mode(*, platform: bool, bootstrap: bool | None, source: str = "") -> FipsMode:
    """The mode to run in: the bootstrap setting's if there is one, else the platform's."""
    if bootstrap is None:
        return FipsMode(platform, FipsModeOrigin.PLATFORM)
    return FipsMode(bootstrap, FipsModeOrigin.BOOTSTRAP, source)


def read_setting(text: str) -> bool | None:
    """Parse a bootstrap setting; None for an empty one.  Raises ConfigurationError."""
    word = text.strip().lower()
    if not word:
        return None
    if word not in _WORDS:
        raise ConfigurationError(f"{SETTING}={text!r}: expected true or false")
    return _WORDS[word]


def platform_mode(kernel: Path = KERNEL, given: Mapping[str, str] = os.environ) -> bool:
    """Whether the platform is in FIPS mode: by the kernel, or by the system's OpenSSL.

    A process that `process_environment` prepared reads it from a variable instead, because its own
    OpenSSL configuration hides the platform's.
    """
    given_mode = given.get(_PLATFORM)
    if given_mode is not None:
        return given_mode == "1"
    try:
        if kernel.read_text().strip() == "1":
            return True
    except OSError:
        pass  # Other systems and many containers have no such file: then OpenSSL decides.
    return _system_openssl()


def _system_openssl() -> bool:
    """Whether the standard library's OpenSSL is configured for FIPS algorithms only."""
    binding = importlib.import_module("_hashlib")
    return bool(binding.get_fips_mode())


def setting_of(
    given: bool | None,
    configured: bool | None = None,
    *,
    source: str = "the API",
    environ: Mapping[str, str] = os.environ,
) -> tuple[bool | None, str]:
    """The bootstrap setting (None: none) and its source, as text.

    `given`, the caller's, comes first, then SOFTPHONE_FIPS, then `configured`, the account's.
    Raises ConfigurationError.
    """
    if given is not None:
        return given, source
    by_environment = read_setting(environ.get(SETTING, ""))
    if by_environment is not None:
        return by_environment, environ.get(_SOURCE) or SETTING
    return configured, "the account's configuration" if configured is not None else ""


def decide_mode(
    given: bool | None = None, configured: bool | None = None, *, source: str = "the API"
) -> FipsMode:
    """The effective mode of this process.  Raises ConfigurationError for a wrong setting."""
    setting, where = setting_of(given, configured, source=source)
    return effective_mode(platform=platform_mode(), bootstrap=setting, source=where)


def set_bootstrap_setting(on: bool, source: str) -> None:
    """Set the bootstrap setting of this process and its children, in the environment."""
    os.environ[SETTING] = "true" if on else "false"
    os.environ[_SOURCE] = source


def process_environment(
    mode: FipsMode, folder: Path | None, *, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment for a process of the mode; `folder` is that of a finished set-up.

    Raises FipsUnavailable when FIPS mode is on and there is no set-up.
    """
    made = dict(environ)
    made[_PLATFORM] = "1" if platform_mode(given=environ) else "0"
    if mode.decider is FipsModeOrigin.BOOTSTRAP:
        # Otherwise the new process would decide on another mode before it reads the account.
        made |= {SETTING: "true" if mode.on else "false", _SOURCE: mode.source}
    if mode.on:
        if folder is None:
            raise FipsUnavailable(
                f"the mode is {mode}, and this machine is not set up for it: run"
                " `softphone fips setup` first"
            )
        made |= {
            openssl_provider.FIPS_FOLDER_VARIABLE: str(folder),
            _CONFIGURATION: str(folder / "openssl-fips.cnf"),
            _MODULES: str(folder / "first"),
        }
        return made
    made.pop(openssl_provider.FIPS_FOLDER_VARIABLE, None)
    made.pop(_MODULES, None)
    # An empty configuration gives the default provider, whatever the platform's file says.
    made[_CONFIGURATION] = os.devnull
    return made


def process_fits(mode: FipsMode) -> bool:
    """Whether this process was started in `mode`; `require_mode` also runs the self-check."""
    if mode.on:
        return openssl_provider.fips_in_force()
    return not openssl_provider.fips_in_force() and not _system_openssl()


def require_mode(mode: FipsMode) -> None:
    """Raise FipsUnavailable, with the reason, unless this process runs in `mode`.

    In FIPS mode the self-check must pass, too.
    """
    if not process_fits(mode):
        wrong = (
            "was not started in it: start it with `softphone fips run -- COMMAND`"
            if mode.on
            else "was started in FIPS mode: start it without"
        )
        raise FipsUnavailable(f"the mode is {mode}, but this process {wrong}")
    if mode.on:
        from softphone.trust.fips.self_check import run_self_check

        run_self_check().require()


def check_allowed(capability: FipsRestriction) -> None:
    """Raise FipsForbidden when this process runs in FIPS mode, which forbids the capability.

    Outside of FIPS mode it passes even for a feature that is not implemented: screen sharing.
    """
    if openssl_provider.fips_in_force():
        raise FipsForbidden(f"in FIPS mode {UNAVAILABLE[capability]}")


random_bytes: Entropy = ssl.RAND_bytes if openssl_provider.fips_in_force() else os.urandom
"""`random_bytes(n)` returns n bytes for keys, nonces and tags.

They come from the FIPS provider's DRBG in FIPS mode, else from the source of `secrets`.  Chosen
once, as the mode of a process never changes.
"""
