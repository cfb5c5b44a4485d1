"""The set-up: made whole, tried, switched at one stroke; what is missing is said."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from softphone.errors import FipsUnavailable
from softphone.trust.fips.setup import default_folder, find_module, find_setup, make_setup
from tests.support import fips


def program(tmp_path, text):
    path = tmp_path / "openssl"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_set_up_is_made_tried_and_found_again(tmp_path):
    module = fips.have_module()
    place = f'[ "$1" != version ] || exec echo \'MODULESDIR: "{module.parent}"\''
    openssl = program(tmp_path, f'{place}\nexec openssl "$@"')
    made = make_setup(tmp_path / "fips", openssl=openssl)
    assert find_setup(tmp_path / "fips") == made
    assert made.module == str(module.resolve())
    assert made.digest == hashlib.sha256(module.read_bytes()).hexdigest()
    assert not made.outdated
    assert "ems-check = 1" in (made.folder / "fipsmodule.cnf").read_text()
    first, second = (made.folder / copy / "fips.so" for copy in ("first", "second"))
    assert first.stat().st_ino != second.stat().st_ino
    assert (tmp_path / "fips").stat().st_mode & 0o077 == 0
    again = make_setup(tmp_path / "fips", module=module)
    assert again == made


def test_the_lenient_set_up_lets_old_tls_peers_in(tmp_path):
    module = fips.have_module()
    strict = make_setup(tmp_path, module=module)
    lenient = make_setup(tmp_path, module=module, pedantic=False)
    assert "ems-check = 0" in (lenient.folder / "fipsmodule.cnf").read_text()
    assert find_setup(tmp_path) == lenient
    # The one before may be in use by a process that runs.
    assert strict.folder.is_dir()


def test_a_set_up_whose_origin_has_changed_is_outdated(tmp_path):
    module = tmp_path / "fips.so"
    shutil.copy(fips.have_module(), module)
    made = make_setup(tmp_path / "base", module=module)
    assert not made.outdated
    with module.open("ab") as file:
        file.write(b"\0")
    assert made.outdated
    module.unlink()
    assert made.outdated


def test_a_file_that_is_no_provider_is_refused_and_nothing_has_changed(tmp_path):
    kept = make_setup(tmp_path / "base", module=fips.have_module())
    wrong = tmp_path / "wrong.so"
    wrong.write_bytes(b"not a library")
    with pytest.raises(FipsUnavailable, match="openssl fipsinstall failed"):
        make_setup(tmp_path / "base", module=wrong)
    assert find_setup(tmp_path / "base") == kept
    assert [each.name for each in (tmp_path / "base").iterdir() if each.name[0] == "."] == []


def test_a_damaged_set_up_is_thrown_away_and_said(tmp_path):
    module = fips.have_module()
    made = make_setup(tmp_path, module=module)
    with (made.folder / "second" / "fips.so").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\0\0\0\0")
    with pytest.raises(FipsUnavailable, match="self-check failed"):
        make_setup(tmp_path, module=module)
    assert find_setup(tmp_path) is None
    assert make_setup(tmp_path, module=module) == made


def test_a_missing_provider_says_what_to_install(tmp_path):
    openssl = program(tmp_path, f"echo 'MODULESDIR: \"{tmp_path}/modules\"'")
    with pytest.raises(FipsUnavailable) as caught:
        find_module(openssl)
    assert f"({tmp_path}/modules/fips.so)" in str(caught.value)
    assert "apt-get install openssl-provider-fips" in str(caught.value)


def test_a_missing_program_is_said(tmp_path):
    with pytest.raises(FipsUnavailable, match="cannot be run"):
        find_module(str(tmp_path / "no-such-program"))


@pytest.mark.parametrize("spoiled", ["setup.json", "first/fips.so", "openssl-fips.cnf"])
def test_half_a_set_up_is_none(tmp_path, spoiled):
    folder = tmp_path / "0123"
    for copy in ("first", "second"):
        (folder / copy).mkdir(parents=True)
        (folder / copy / "fips.so").write_bytes(b"")
    for name in ("fipsmodule.cnf", "openssl-fips.cnf"):
        (folder / name).write_text("")
    record = {"module": "/m", "digest": "00", "pedantic": True}
    (folder / "setup.json").write_text(json.dumps(record))
    assert find_setup(tmp_path) is None
    (tmp_path / "current").symlink_to("0123")
    found = find_setup(tmp_path)
    assert found is not None
    assert found.outdated
    (folder / spoiled).unlink()
    assert find_setup(tmp_path) is None


def test_where_set_ups_are_kept(tmp_path):
    assert default_folder({"SOFTPHONE_FIPS_DIR": "/a/b"}).as_posix() == "/a/b"
    state = {"XDG_STATE_HOME": str(tmp_path)}
    assert default_folder(state) == tmp_path / "softphone" / "fips"
    assert default_folder({}).parts[-4:] == (".local", "state", "softphone", "fips")
