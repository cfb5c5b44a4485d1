"""Whether FIPS mode is on, row by row, and that what was decided is what runs."""

from __future__ import annotations

import os
import ssl

import pytest

from softphone import openssl_provider
from softphone.errors import ConfigurationError, FipsForbidden, FipsUnavailable
from softphone.trust.fips import FipsMode, FipsModeOrigin, FipsRestriction, mode
from softphone.trust.fips.mode import effective_mode
from tests.support import fips

ROWS = [
    # platform, bootstrap setting, runs as
    (True, True, "FIPS, by the bootstrap setting"),
    (True, False, "not FIPS, by the bootstrap setting"),
    (True, None, "FIPS, by the platform"),
    (False, True, "FIPS, by the bootstrap setting"),
    (False, False, "not FIPS, by the bootstrap setting"),
    (False, None, "not FIPS, by the platform"),
]


@pytest.fixture(autouse=True)
def _unset(monkeypatch):
    for name in list(os.environ):
        if name.startswith(fips.OURS):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(("platform", "bootstrap", "runs_as"), ROWS)
def test_the_table_of_modes(platform, bootstrap, runs_as):
    assert str(effective_mode(platform=platform, bootstrap=bootstrap)) == runs_as


@pytest.mark.parametrize(("platform", "bootstrap", "runs_as"), ROWS)
def test_the_table_of_modes_as_it_is_read(platform, bootstrap, runs_as, monkeypatch, tmp_path):
    kernel = tmp_path / "fips_enabled"
    kernel.write_text(f"{int(platform)}\n")
    if bootstrap is not None:
        monkeypatch.setenv("SOFTPHONE_FIPS", str(bootstrap).lower())
    setting, source = mode.setting_of(None)
    found = effective_mode(platform=mode.platform_mode(kernel), bootstrap=setting, source=source)
    suffix = "" if bootstrap is None else " (SOFTPHONE_FIPS)"
    assert str(found) == runs_as + suffix


def test_a_platform_without_the_kernel_s_file_is_not_in_fips_mode(tmp_path):
    assert mode.platform_mode(tmp_path / "missing") is False


def test_the_system_s_openssl_in_fips_mode_is_a_platform_in_fips_mode():
    setup = fips.setup()
    env = fips.plain_environment() | {
        "OPENSSL_CONF": str(setup.folder / "openssl-fips.cnf"),
        "OPENSSL_MODULES": str(setup.folder / "first"),
    }
    said = fips.python(
        "from softphone.trust.fips.mode import decide_mode; print(decide_mode())",
        env=env,
    )
    assert said.stdout.strip() == "FIPS, by the platform"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("1", True), ("ON", True), ("false", False), (" no ", False), ("", None)],
)
def test_a_setting_as_it_is_written(text, expected):
    assert mode.read_setting(text) is expected


def test_a_setting_that_says_neither_is_an_error():
    with pytest.raises(ConfigurationError, match="SOFTPHONE_FIPS='maybe': expected true or false"):
        mode.read_setting("maybe")


def test_what_is_nearer_decides(monkeypatch):
    assert mode.setting_of(None, False) == (False, "the account's configuration")
    monkeypatch.setenv("SOFTPHONE_FIPS", "1")
    assert mode.setting_of(None, False) == (True, "SOFTPHONE_FIPS")
    assert mode.setting_of(False, True) == (False, "the API")
    mode.set_bootstrap_setting(False, "--no-fips")
    assert mode.setting_of(None, True) == (False, "--no-fips")


def test_a_mode_that_this_process_is_not_in_is_refused():
    with pytest.raises(FipsUnavailable, match=r"not started in it: start it with `softphone fips"):
        mode.require_mode(fips.ON)
    mode.require_mode(FipsMode(False, FipsModeOrigin.PLATFORM))


def test_fips_mode_without_a_set_up_says_how_to_get_one():
    with pytest.raises(FipsUnavailable, match="run `softphone fips setup` first"):
        mode.process_environment(fips.ON, None)


def test_the_way_out_of_fips_mode_is_a_process_without_configuration(tmp_path):
    inside = mode.process_environment(fips.ON, tmp_path, environ={"PATH": "/bin"})
    assert inside[openssl_provider.FIPS_FOLDER_VARIABLE] == str(tmp_path)
    outside = mode.process_environment(
        FipsMode(False, FipsModeOrigin.BOOTSTRAP), None, environ=inside
    )
    assert openssl_provider.FIPS_FOLDER_VARIABLE not in outside
    assert outside["OPENSSL_CONF"] == "/dev/null"
    assert "OPENSSL_MODULES" not in outside
    assert outside["SOFTPHONE_FIPS_PLATFORM"] == inside["SOFTPHONE_FIPS_PLATFORM"] == "0"


def test_a_mode_cannot_be_left_while_the_process_runs():
    said = fips.in_fips_mode(
        """
        from softphone.errors import FipsUnavailable
        from softphone.trust.fips.mode import decide_mode, require_mode
        require_mode(decide_mode(True))
        try:
            require_mode(decide_mode(False))
        except FipsUnavailable as error:
            print(error)
        """
    )
    assert said == (
        "the mode is not FIPS, by the bootstrap setting (the API), but this process was started"
        " in FIPS mode: start it without"
    )


@pytest.mark.parametrize("capability", list(FipsRestriction))
def test_what_is_not_available_is_refused_in_fips_mode_only(capability, monkeypatch, tmp_path):
    mode.check_allowed(capability)
    monkeypatch.setattr(openssl_provider, "_started_with", str(tmp_path))
    with pytest.raises(FipsForbidden, match="in FIPS mode"):
        mode.check_allowed(capability)


def test_random_bytes_come_from_the_generator_of_the_provider():
    assert len(mode.random_bytes(16)) == 16
    assert mode.random_bytes is (ssl.RAND_bytes if openssl_provider.fips_in_force() else os.urandom)
    said = fips.in_fips_mode(
        """
        import ssl
        from softphone.trust.fips import random_bytes
        print(random_bytes is ssl.RAND_bytes, len(random_bytes(30)))
        """
    )
    assert said == "True 30"
