"""Texts sealed on disk: bound to their place, opened by their key only."""

from __future__ import annotations

import stat

import pytest

from softphone.errors import ConfigurationError
from softphone.trust.keystore.encryption_at_rest import open_file_cipher


def test_a_text_opens_with_its_key_at_its_place(tmp_path, entropy):
    sealer = open_file_cipher(tmp_path / "key", entropy=entropy)
    sealed = sealer.encrypt_text("the text", bound="here")
    assert sealed.isascii()
    assert "text" not in sealed
    assert sealed != sealer.encrypt_text("the text", bound="here")
    assert open_file_cipher(tmp_path / "key").decrypt_text(sealed, bound="here") == "the text"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    changed = sealed[:-4] + ("AAAA" if sealed[-4:] != "AAAA" else "BBBB")
    for wrong, bound in (
        (sealed, "there"),
        (changed, "here"),
        ("v1:", "here"),
        ("the text", "here"),
    ):
        with pytest.raises(ConfigurationError, match="does not open"):
            sealer.decrypt_text(wrong, bound=bound)
    with pytest.raises(ConfigurationError, match="does not open"):
        open_file_cipher(tmp_path / "other").decrypt_text(sealed, bound="here")


def test_a_file_of_another_size_is_no_key(tmp_path):
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="5 bytes"):
        open_file_cipher(tmp_path / "key")


def test_a_key_that_others_can_write_is_not_used(tmp_path):
    (tmp_path / "key").write_bytes(bytes(32))
    (tmp_path / "key").chmod(0o620)
    with pytest.raises(ConfigurationError, match="its group can write"):
        open_file_cipher(tmp_path / "key")


def test_of_a_key_that_others_can_read_a_warning_is_logged(tmp_path, caplog):
    (tmp_path / "key").write_bytes(bytes(32))
    (tmp_path / "key").chmod(0o640)
    open_file_cipher(tmp_path / "key")
    assert "can be read by others" in caplog.text


def test_a_file_without_an_end_is_no_key(tmp_path):
    (tmp_path / "key").write_bytes(bytes(4097))
    with pytest.raises(ConfigurationError, match="larger than 4096"):
        open_file_cipher(tmp_path / "key")
    with pytest.raises(ConfigurationError, match="it is a device, not a file"):
        open_file_cipher("/dev/zero")
