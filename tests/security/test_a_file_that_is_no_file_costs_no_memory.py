"""A device, or a disk image, in the place of a certificate, key, request or account file."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from softphone.config.toml_reader import read_text
from softphone.errors import ConfigurationError
from softphone.trust import Identity, TrustStore, load_certificate_file
from softphone.trust.disk import read_whole

ENDLESS = Path("/dev/zero")


@pytest.mark.parametrize(
    "read", [load_certificate_file, Identity.load, TrustStore.from_sources, read_whole, read_text]
)
def test_it_is_refused_by_its_kind_or_its_size(read, tmp_path):
    with pytest.raises(ConfigurationError, match="it is a device, not a file"):
        read(ENDLESS)
    with (tmp_path / "image").open("wb") as image:
        image.truncate(1 << 40)
    with pytest.raises(ConfigurationError, match=r"is larger than \d+ bytes|more than \d+ bytes"):
        read(tmp_path / "image")


def test_a_file_of_the_largest_size_is_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    assert read_whole(path, most=8) == b"12345678"
    with pytest.raises(ConfigurationError, match="larger than 7 bytes"):
        read_whole(path, most=7)


def _little_memory():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


@pytest.mark.parametrize(
    "command",
    [
        ("csr", "check", "/dev/zero"),
        ("register", "--account", "/dev/zero"),
        ("enroll", "CSFALICE", "--capf", "127.0.0.1:1", "--null-string", "--ca", "/dev/zero"),
        ("enroll", "CSFALICE", "--capf", "127.0.0.1:1", "--mic", "/dev/zero", "--ca", "/dev/zero"),
    ],
)
def test_the_command_says_so(tmp_path, command):
    store = ("--store", str(tmp_path)) if command[0] == "enroll" else ()
    ended = subprocess.run(
        [sys.executable, "-m", "softphone", *command, *store],
        env=os.environ | {"NO_COLOR": "1"},
        preexec_fn=_little_memory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "/dev/zero" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_empty_authentication_string_is_a_usage_error(tmp_path):
    arguments = ["boot", "CSFALICE", "--server", "http://127.0.0.1:1", "--auth-string", ""]
    ended = subprocess.run(
        [sys.executable, "-m", "softphone", *arguments, "--store", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 2
    assert "1 to 15 visible characters" in ended.stderr
