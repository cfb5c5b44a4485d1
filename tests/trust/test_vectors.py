"""The vectors are whole: every file is listed with its hash, every certificate is as described."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

import pytest

from softphone.trust import fingerprint_of
from softphone.trust.lists.file_crypto import name_text
from tests.support.cisco import DATA, certificate

MANIFEST = json.loads((DATA / "manifest.json").read_text())
FILES = MANIFEST["files"]
CERTIFICATES = MANIFEST["certificates"]
BESIDE = {"README.md", "manifest.json"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_is_as_it_was_made(name):
    data = (DATA / name).read_bytes()
    told = FILES[name]
    assert (len(data), hashlib.sha256(data).hexdigest()) == (told["size"], told["sha256"])


def test_every_file_is_listed_and_every_listed_one_is_there():
    there = {path.relative_to(DATA).as_posix() for path in DATA.rglob("*") if path.is_file()}
    assert there == set(FILES) | BESIDE


@pytest.mark.parametrize("name", sorted(CERTIFICATES))
def test_a_certificate_is_as_it_is_described(name):
    one, told = certificate(name.removesuffix(".pem")), CERTIFICATES[name]
    assert fingerprint_of(one) == told["sha256"]
    assert f"{one.serial_number:x}" == told["serial_hex"].lstrip("0")
    assert one.not_valid_after_utc == datetime.fromisoformat(told["not_after"])
    assert name_text(one.subject).split(",")[0] in told["subject"]
