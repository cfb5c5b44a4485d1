"""The self-check at the start of FIPS mode: checks that each library uses the FIPS provider.

A library's FIPS flag proves nothing: one sets it with no provider loaded at all.  So each library
must compute what a FIPS provider can, and refuse what it must.  The check covers what this process
has loaded; `softphone.trust.fips.openssl_info` queries the standard library's OpenSSL.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.bindings._rust import openssl as binding
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from softphone import openssl_provider
from softphone.errors import FipsUnavailable
from softphone.trust.fips.openssl_info import Libcrypto, ProviderInfo

# FIPS 180-4's example, and case 1 of the GCM specification with its 128-bit tag.
_ABC_SHA_256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
_EMPTY_GCM = "58e2fccefa7e3061367f1d57a4e7455a"


@dataclass(frozen=True, slots=True)
class LibraryCheck:
    """One library: its version, the provider that it uses, and the failures (empty: passed).

    `used` is False for a library that FIPS mode does not use.
    """

    name: str
    version: str
    provider: ProviderInfo = field(default_factory=ProviderInfo)
    path: str = ""
    failures: tuple[str, ...] = ()
    used: bool = True

    @property
    def passed(self) -> bool:
        """Whether it may be used in FIPS mode."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """The checks of all libraries."""

    libraries: tuple[LibraryCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether the process may work in FIPS mode: every library has passed."""
        return all(each.passed for each in self.libraries)

    def require(self) -> None:
        """Raise FipsUnavailable, with every reason, unless all passed."""
        wrong = [f"{each.name}: {reason}" for each in self.libraries for reason in each.failures]
        if wrong:
            reasons = "; ".join(wrong)
            raise FipsUnavailable(
                f"FIPS mode is on and the self-check failed; nothing was started: {reasons}"
            )


def loaded_files(pattern: str, maps: Path = Path("/proc/self/maps")) -> tuple[str, ...]:
    """The files mapped into this process whose names fit `pattern`, each once, in order."""
    try:
        lines = maps.read_text().splitlines()
    except OSError:
        return ()
    paths = [line.split(maxsplit=5)[5] for line in lines if line.count("/")]
    return tuple(dict.fromkeys(path for path in paths if re.search(pattern, path)))


def refuses(action: Callable[[], object]) -> bool:
    """Whether a library refuses an action with one of the errors for disallowed algorithms."""
    try:
        action()
    except (ValueError, UnsupportedAlgorithm, InternalError):
        return True
    return False


@cache
def run_self_check() -> SelfCheck:
    """Check this process; the result is cached, because a process keeps its providers."""
    return SelfCheck((_standard_library(), _cryptography(), _pylibsrtp()))


def _standard_library() -> LibraryCheck:
    version = importlib.import_module("ssl").OPENSSL_VERSION
    library = Libcrypto.find(loaded_files(r"/libcrypto[^/]*\.so"))
    if library is None:
        reason = "its OpenSSL cannot be examined: it is not a shared library of its own"
        return LibraryCheck("standard library", version, failures=(reason,))
    failures = [*library.failures(), *_python_failures()]
    path = _provider_file("first")
    if path is None:
        failures.append("the provider's file is not loaded")
    return LibraryCheck(
        "standard library", version, library.provider(), path or "", tuple(failures)
    )


def _python_failures() -> Iterator[str]:
    """Check that Python's built-in hashes do not replace those that OpenSSL refuses."""
    if not type(hashlib.sha256(b"")).__module__.startswith("_hashlib"):
        yield "hashlib does not use OpenSSL"
    if not refuses(lambda: hashlib.new("md5", b"", usedforsecurity=False)):
        yield "hashlib calculates MD5"


def _cryptography() -> LibraryCheck:
    version = binding.openssl_version_text()
    failures = [sentence for sentence, holds in _PROOFS.items() if not _holds(holds)]
    path = _provider_file("second")
    if path is None:
        failures.append("the provider's second file is not loaded")
    # Its symbols are hidden: take the version of the first file, if the bytes are the same.
    found = ProviderInfo()
    if path is not None and _same_bytes():
        library = Libcrypto.find(loaded_files(r"/libcrypto[^/]*\.so"))
        found = found if library is None else library.provider()
    return LibraryCheck("cryptography", version, found, path or "", tuple(failures))


def _holds(proof: Callable[[], bool]) -> bool:
    try:
        return proof()
    except (ValueError, UnsupportedAlgorithm, InternalError):
        return False


def _sha_256() -> bool:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"abc")
    return digest.finalize().hex() == _ABC_SHA_256


_PROOFS: dict[str, Callable[[], bool]] = {
    "it does not ask for FIPS algorithms": binding.is_fips_enabled,
    "SHA-256 is wrong or missing": _sha_256,
    "AES-GCM is wrong or missing": lambda: (
        AESGCM(bytes(16)).encrypt(bytes(12), b"", None).hex() == _EMPTY_GCM
    ),
    "it calculates MD5": lambda: refuses(lambda: hashes.Hash(hashes.MD5())),
    "it encrypts with ChaCha20": lambda: refuses(lambda: ChaCha20Poly1305(bytes(32))),
}


def _pylibsrtp() -> LibraryCheck:
    """Report pylibsrtp as unused: its OpenSSL can load no provider, so it does no SRTP."""
    module = sys.modules.get("pylibsrtp")
    version = "not loaded" if module is None else str(getattr(module, "__version__", ""))
    return LibraryCheck("pylibsrtp", version, used=False)


def _provider_file(copy: str) -> str | None:
    place = openssl_provider.fips_folder()
    if place is None:
        return None
    wanted = str((place / copy / "fips.so").resolve())
    return wanted if wanted in loaded_files(r"/fips[^/]*\.so") else None


def _same_bytes() -> bool:
    place = openssl_provider.fips_folder()
    if place is None:
        return False
    first, second = ((place / copy / "fips.so").read_bytes() for copy in ("first", "second"))
    return first == second
