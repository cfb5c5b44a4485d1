"""The self-check: what it finds under the real provider, and that nothing wrong passes."""

from __future__ import annotations

import json
import shutil

import pytest

from softphone.errors import FipsUnavailable
from softphone.trust.fips.openssl_info import ProviderInfo
from softphone.trust.fips.self_check import (
    LibraryCheck,
    SelfCheck,
    loaded_files,
    refuses,
    run_self_check,
)
from tests.support import fips

REPORT = """
import json, softphone
from dataclasses import asdict
from softphone.trust.fips.self_check import run_self_check
print(json.dumps({each.name: asdict(each) for each in run_self_check().libraries}))
"""


def report(env):
    ended = fips.python(REPORT, env=env)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_under_the_provider_every_library_passes_with_a_file_of_its_own():
    setup = fips.setup()
    found = report(fips.fips_environment(setup))
    assert [each["failures"] for each in found.values()] == [[], [], []]
    for name, copy in (("standard library", "first"), ("cryptography", "second")):
        assert found[name]["path"] == str(setup.folder / copy / "fips.so")
        assert found[name]["provider"]["name"] == "OpenSSL FIPS Provider"
        assert found[name]["provider"]["version"]
    assert found["pylibsrtp"]["used"] is False


def test_without_the_provider_every_library_that_is_used_fails():
    found = report(fips.plain_environment())
    assert "no FIPS provider is loaded" in found["standard library"]["failures"]
    assert "hashlib calculates MD5" in found["standard library"]["failures"]
    assert "it encrypts with ChaCha20" in found["cryptography"]["failures"]


def test_a_flag_alone_proves_nothing(tmp_path):
    """One file for both: `cryptography` says that it is in FIPS mode, and can do nothing."""
    setup = fips.setup()
    shutil.copytree(setup.folder / "first", tmp_path / "first")
    (tmp_path / "second").symlink_to(tmp_path / "first")
    shutil.copy(setup.folder / "fipsmodule.cnf", tmp_path)
    env = fips.fips_environment(setup) | {
        "SOFTPHONE_FIPS_FOLDER": str(tmp_path),
        "OPENSSL_MODULES": str(tmp_path / "first"),
    }
    found = report(env)
    assert found["standard library"]["failures"] == []
    assert "SHA-256 is wrong or missing" in found["cryptography"]["failures"]
    assert "it does not ask for FIPS algorithms" not in found["cryptography"]["failures"]


@pytest.mark.parametrize("copy", ["first", "second"])
def test_a_provider_that_was_changed_by_one_byte_is_refused(tmp_path, copy):
    setup = fips.setup()
    folder = tmp_path / "changed"
    shutil.copytree(setup.folder, folder)
    file = folder / copy / "fips.so"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    env = fips.fips_environment(setup) | {
        "SOFTPHONE_FIPS_FOLDER": str(folder),
        "OPENSSL_MODULES": str(folder / "first"),
    }
    found = report(env)
    broken = "standard library" if copy == "first" else "cryptography"
    assert found[broken]["failures"]


def test_a_failure_names_every_reason_and_starts_nothing():
    with pytest.raises(FipsUnavailable) as caught:
        SelfCheck(
            (LibraryCheck("one", "1", failures=("a", "b")), LibraryCheck("two", "2"))
        ).require()
    assert str(caught.value) == (
        "FIPS mode is on and the self-check failed; nothing was started: one: a; one: b"
    )
    SelfCheck((LibraryCheck("two", "2"),)).require()


def test_what_was_found_is_kept():
    assert run_self_check() is run_self_check()


def test_files_that_are_mapped_are_told_once(tmp_path):
    maps = tmp_path / "maps"
    maps.write_text(
        "7f00-7f01 r--p 00000000 08:01 5    /usr/lib/a folder/libcrypto.so.3\n"
        "7f01-7f02 r-xp 00001000 08:01 5    /usr/lib/a folder/libcrypto.so.3\n"
        "7f03-7f04 rw-p 00000000 00:00 0 \n"
        "7f05-7f06 rw-p 00000000 00:00 0    [heap]\n"
    )
    assert loaded_files(r"/libcrypto", maps) == ("/usr/lib/a folder/libcrypto.so.3",)
    assert loaded_files(r"/libssl", maps) == ()
    assert loaded_files(r"/libcrypto", tmp_path / "missing") == ()


def test_what_is_done_is_not_refused():
    def fail():
        raise ValueError

    assert refuses(fail)
    assert not refuses(lambda: None)
    assert ProviderInfo() == ProviderInfo("", "", "")
