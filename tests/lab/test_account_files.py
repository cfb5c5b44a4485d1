"""What the lab writes: readable by its owner only, and usable as it is."""

from __future__ import annotations

import secrets
import stat

import pytest

from softphone.account import tls_settings
from softphone.config import load_account
from softphone.errors import ConfigurationError
from softphone.lab import LabConfig
from softphone.lab.account_files import LabFiles
from softphone.sans_io import Transport
from softphone.security import SrtpPolicy
from softphone.trust import client_context

ADDRESSES = {transport: ("127.0.0.1", 5060 + n) for n, transport in enumerate(Transport)}


def written(folder):
    config = LabConfig()
    files = LabFiles(folder, config, entropy=secrets.token_bytes)
    return files, {user.name: files.account_file(user, ADDRESSES) for user in config.users}


def test_secrets_keys_and_accounts_are_readable_by_their_owner_only(tmp_path):
    written(tmp_path / "lab")
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "lab").iterdir()
        if path.suffix != ".crt"
    }
    assert {"alice.key", "server.key", "carol.secret", "alice.toml"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_every_account_file_loads_without_a_warning(tmp_path):
    _, accounts = written(tmp_path)
    loaded = {name: load_account(path) for name, path in accounts.items()}
    assert not any(file.warnings for file in loaded.values())
    assert loaded["alice"].config.srtp is SrtpPolicy.REQUIRED
    assert loaded["carol"].config.srtp is SrtpPolicy.OFF
    client_context(tls_settings(loaded["alice"].config))


def test_a_folder_used_before_is_written_anew_and_holds_nothing_else(tmp_path):
    first, accounts = written(tmp_path)
    before = accounts["alice"].read_text(), first.passwords["carol"].reveal()
    names = sorted(path.name for path in tmp_path.iterdir())
    second, accounts = written(tmp_path)
    assert accounts["alice"].read_text() == before[0]
    assert second.passwords["carol"].reveal() != before[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    client_context(tls_settings(load_account(accounts["alice"]).config))


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path):
    (tmp_path / "lab").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        written(tmp_path / "lab")


def test_the_passwords_show_themselves_to_nobody(tmp_path):
    files, _ = written(tmp_path)
    assert files.passwords["carol"].reveal().decode() not in repr(vars(files))


def test_a_sign_on_without_a_mailbox_names_none(tmp_path):
    files, _ = written(tmp_path)
    path = files.sign_on_file("alice", "https://127.0.0.1:1")
    assert "[voicemail]" not in path.read_text()
    files.voicemail = ("127.0.0.1", 2)
    assert (
        'server = "127.0.0.1:2"' in files.sign_on_file("alice", "https://127.0.0.1:1").read_text()
    )


def test_a_key_of_another_size_is_made_anew(tmp_path):
    first = written(tmp_path)[0].decoy_key
    (tmp_path / "strangers.key").write_bytes(first)
    assert written(tmp_path)[0].decoy_key == first
    (tmp_path / "strangers.key").write_bytes(first[1:])
    assert len(written(tmp_path)[0].decoy_key) == len(first)
    assert (tmp_path / "strangers.key").read_bytes() != first[1:]
