"""OpenSSL, asked function by function; under the provider in test_fips_check."""

from __future__ import annotations

import ssl

import pytest

from softphone import openssl_provider
from softphone.trust.fips.openssl_info import Libcrypto, ProviderInfo
from softphone.trust.fips.self_check import loaded_files
from tests.support import fips


@pytest.fixture
def library():
    if openssl_provider.fips_in_force():
        pytest.skip("this is about a process outside FIPS mode")
    found = Libcrypto.find(loaded_files(r"/libcrypto[^/]*\.so"))
    assert found is not None, "this interpreter has no shared OpenSSL of its own"
    return found


def test_the_usual_provider_is_told_from_a_fips_provider(library):
    assert ssl.OPENSSL_VERSION
    assert list(library.failures()) == [
        "no FIPS provider is loaded",
        "SHA-256 is not the FIPS provider's",
        "random numbers are not the FIPS provider's",
        "it calculates MD5",
        "it calculates MD5 when asked for",
        "it encrypts with ChaCha20",
    ]
    assert library.provider() == ProviderInfo()


def test_a_default_provider_beside_it_is_noticed(tmp_path):
    """With both loaded, what asks for MD5 in so many words would get it."""
    setup = fips.setup()
    text = (setup.folder / "openssl-fips.cnf").read_text()
    both = text.replace("base = base_sect", "base = base_sect\ndefault = base_sect")
    assert both != text
    (tmp_path / "both.cnf").write_text(both)
    env = fips.fips_environment(setup) | {"OPENSSL_CONF": str(tmp_path / "both.cnf")}
    said = fips.python(
        "from softphone.trust.fips.self_check import run_self_check;"
        " print(run_self_check().libraries[0].failures)",
        env=env,
    )
    assert "the default provider is loaded, too" in said.stdout
    assert "it calculates MD5 when asked for" in said.stdout


def test_without_exactly_one_library_nothing_is_examined():
    assert Libcrypto.find(()) is None
    assert Libcrypto.find(("/one/libcrypto.so", "/two/libcrypto.so")) is None
    assert Libcrypto.find(("/no/such/libcrypto.so",)) is None
    assert Libcrypto.find(loaded_files(r"/libc\.so")) is None
