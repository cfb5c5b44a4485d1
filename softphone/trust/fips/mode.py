"""Whether this process is to run in FIPS mode, who decided it, and how such a process is started.

The bootstrap setting counts where there is one (an option, SOFTPHONE_FIPS, the account file, the
API, in this order), else the platform's mode.  OpenSSL reads its configuration when a process
starts, so the mode of a running process never changes: a command starts itself anew in the
environment that `process_environment` gives, an application is started so (`softphone fips run`).
What is asked for and not in effect is an error, never another mode.

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

SETTING = "SOFTPHONE_FIPS"
"""The environment variable with the bootstrap setting."""

KERNEL = Path("/proc/sys/crypto/fips_enabled")
"""Where Linux tells of its own mode."""

_SOURCE = "SOFTPHONE_FIPS_SOURCE"
_PLATFORM = "SOFTPHONE_FIPS_PLATFORM"
_CONFIGURATION = "OPENSSL_CONF"
_MODULES = "OPENSSL_MODULES"
_WORDS = {"1": True, "true": True, "yes": True, "on": True}
_WORDS |= {"0": False, "false": False, "no": False, "off": False}


class FipsModeOrigin(StrEnum):
    """Who decided the mode."""

    BOOTSTRAP = "bootstrap"
    PLATFORM = "platform"


class FipsRestriction(StrEnum):
    """What a softphone may be asked for and FIPS mode rules out."""

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
"""What is not available in FIPS mode, each with a sentence."""


@dataclass(frozen=True, slots=True)
class FipsMode:
    """Whether FIPS mode is on, who decided that, and by which setting (`source`)."""

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
    """A bootstrap setting as written; empty is none.  Raises ConfigurationError."""
    word = text.strip().lower()
    if not word:
        return None
    if word not in _WORDS:
        raise ConfigurationError(f"{SETTING}={text!r}: expected true or false")
    return _WORDS[word]


def platform_mode(kernel: Path = KERNEL, given: Mapping[str, str] = os.environ) -> bool:
    """Whether the platform is in FIPS mode: the kernel says so, or the system's OpenSSL is.

    A process that was started in a mode of ours has been told what the platform's is.
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
    """Whether the standard library's OpenSSL wants FIPS algorithms only."""
    binding = importlib.import_module("_hashlib")
    return bool(binding.get_fips_mode())


def setting_of(
    given: bool | None,
    configured: bool | None = None,
    *,
    source: str = "the API",
    environ: Mapping[str, str] = os.environ,
) -> tuple[bool | None, str]:
    """The bootstrap setting and where it stands.

    `given` is the caller's, `configured` the account's.  Raises ConfigurationError.
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
    """Make a setting the bootstrap setting of this process and of those that it starts."""
    os.environ[SETTING] = "true" if on else "false"
    os.environ[_SOURCE] = source


def process_environment(
    mode: FipsMode, folder: Path | None, *, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment to start a process of that mode in; `folder` is a set-up's.

    Raises FipsUnavailable when FIPS mode is on and there is no set-up.
    """
    made = dict(environ)
    made[_PLATFORM] = "1" if platform_mode(given=environ) else "0"
    if mode.decider is FipsModeOrigin.BOOTSTRAP:
        # Or the new process would come to another mode, before it has read an account.
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
    # Without a configuration OpenSSL has its default provider, whatever the platform's file says.
    made[_CONFIGURATION] = os.devnull
    return made


def process_fits(mode: FipsMode) -> bool:
    """Whether this process was started in `mode`; in FIPS mode `require` looks closer."""
    if mode.on:
        return openssl_provider.fips_in_force()
    return not openssl_provider.fips_in_force() and not _system_openssl()


def require_mode(mode: FipsMode) -> None:
    """Go on only if this process runs in `mode`.

    Raises FipsUnavailable when it does not: with the reason, after a self-check of each library.
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
    """Raise FipsForbidden when this process is in FIPS mode, which rules the capability out.

    That it is allowed does not say that this engine has it: it shares no screens in any mode.
    """
    if openssl_provider.fips_in_force():
        raise FipsForbidden(f"in FIPS mode {UNAVAILABLE[capability]}")


def random_bytes(count: int) -> bytes:
    """`count` bytes for keys, nonces and tags: from the FIPS provider's DRBG in FIPS mode."""
    # Where `secrets.token_bytes` gets its bytes, without the three calls on the way.
    return ssl.RAND_bytes(count) if openssl_provider.fips_in_force() else os.urandom(count)
