"""Queries the providers of the standard library's OpenSSL, through ctypes.

Uses the libcrypto file that this process has mapped, and the functions of OpenSSL 3.  An older
library has no providers, and `Libcrypto.find` returns None for it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_UTF8_POINTER = 6  # OSSL_PARAM_UTF8_PTR


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """A provider's name, version and build, as it reports them."""

    name: str = ""
    version: str = ""
    build: str = ""


class _Parameter(ctypes.Structure):
    """OpenSSL's struct OSSL_PARAM."""

    _fields_ = (
        ("key", ctypes.c_char_p),
        ("data_type", ctypes.c_uint),
        ("data", ctypes.c_void_p),
        ("data_size", ctypes.c_size_t),
        ("return_size", ctypes.c_size_t),
    )


_FETCH = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)
_ONE = (ctypes.c_void_p,)
_FUNCTIONS: dict[str, tuple[type, tuple[type, ...]]] = {
    "OSSL_PROVIDER_available": (ctypes.c_int, _FETCH[:2]),
    "OSSL_PROVIDER_load": (ctypes.c_void_p, _FETCH[:2]),
    "OSSL_PROVIDER_unload": (ctypes.c_int, _ONE),
    "OSSL_PROVIDER_self_test": (ctypes.c_int, _ONE),
    "OSSL_PROVIDER_get_params": (ctypes.c_int, (*_ONE, ctypes.c_void_p)),
    "OSSL_PROVIDER_get0_name": (ctypes.c_char_p, _ONE),
    "EVP_default_properties_is_fips_enabled": (ctypes.c_int, _ONE),
    "EVP_MD_fetch": (ctypes.c_void_p, _FETCH),
    "EVP_MD_get0_provider": (ctypes.c_void_p, _ONE),
    "EVP_MD_free": (ctypes.c_int, _ONE),
    "EVP_CIPHER_fetch": (ctypes.c_void_p, _FETCH),
    "EVP_CIPHER_free": (ctypes.c_int, _ONE),
    "RAND_get0_primary": (ctypes.c_void_p, _ONE),
    "EVP_RAND_CTX_get0_rand": (ctypes.c_void_p, _ONE),
    "EVP_RAND_get0_provider": (ctypes.c_void_p, _ONE),
    "ERR_clear_error": (ctypes.c_int, ()),
}


class Libcrypto:
    """One libcrypto in this process."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments

    @classmethod
    def find(cls, paths: Sequence[str]) -> Libcrypto | None:
        """Open the one mapped libcrypto; None unless `paths` has one file, of OpenSSL 3."""
        if len(paths) != 1:
            return None
        try:
            return cls(ctypes.CDLL(paths[0]))
        except (OSError, AttributeError):
            return None

    def failures(self) -> Iterator[str]:
        """Yield every reason why this library is not in FIPS mode."""
        try:
            yield from self._provider_failures()
            yield from self._algorithm_failures()
        finally:
            # Refused calls leave errors in OpenSSL's queue, which Python would read later.
            self._library.ERR_clear_error()

    def _provider_failures(self) -> Iterator[str]:
        lib = self._library
        if not lib.OSSL_PROVIDER_available(None, b"fips"):
            yield "no FIPS provider is loaded"
            return
        if lib.OSSL_PROVIDER_available(None, b"default"):
            yield "the default provider is loaded, too"
        if not lib.EVP_default_properties_is_fips_enabled(None):
            yield "it does not ask for FIPS algorithms"
        loaded = lib.OSSL_PROVIDER_load(None, b"fips")
        if not loaded or not lib.OSSL_PROVIDER_self_test(loaded):
            yield "the provider's own tests failed"
        if loaded:
            lib.OSSL_PROVIDER_unload(loaded)

    def _algorithm_failures(self) -> Iterator[str]:
        lib = self._library
        digest = lib.EVP_MD_fetch(None, b"SHA2-256", None)
        if not digest or self._name(lib.EVP_MD_get0_provider(digest)) != b"fips":
            yield "SHA-256 is not the FIPS provider's"
        if digest:
            lib.EVP_MD_free(digest)
        generator = lib.RAND_get0_primary(None)
        kind = lib.EVP_RAND_CTX_get0_rand(generator) if generator else None
        if not kind or self._name(lib.EVP_RAND_get0_provider(kind)) != b"fips":
            yield "random numbers are not the FIPS provider's"
        for properties in (None, b"-fips"):
            found = lib.EVP_MD_fetch(None, b"MD5", properties)
            if found:
                lib.EVP_MD_free(found)
                yield f"it calculates MD5{'' if properties is None else ' when asked for'}"
        cipher = lib.EVP_CIPHER_fetch(None, b"ChaCha20-Poly1305", None)
        if cipher:
            lib.EVP_CIPHER_free(cipher)
            yield "it encrypts with ChaCha20"

    def _name(self, provider: int | None) -> bytes:
        found = self._library.OSSL_PROVIDER_get0_name(provider) if provider else b""
        return bytes(found or b"")

    def provider(self) -> ProviderInfo:
        """Name, version and build of the FIPS provider; blank when there is none."""
        lib = self._library
        if not lib.OSSL_PROVIDER_available(None, b"fips"):
            return ProviderInfo()
        loaded = lib.OSSL_PROVIDER_load(None, b"fips")
        texts = [ctypes.c_char_p() for _ in range(3)]
        parameters = (_Parameter * 4)()
        for at, key in enumerate((b"name", b"version", b"buildinfo")):
            parameters[at].key = key
            parameters[at].data_type = _UTF8_POINTER
            parameters[at].data = ctypes.addressof(texts[at])
        lib.OSSL_PROVIDER_get_params(loaded, ctypes.addressof(parameters))
        info = ProviderInfo(*((text.value or b"").decode("utf-8", "replace") for text in texts))
        lib.OSSL_PROVIDER_unload(loaded)
        return info
