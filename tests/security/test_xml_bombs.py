"""A configuration brings a document type, entities, or an outside file: nothing is expanded."""

from __future__ import annotations

import pytest

from softphone.contacts.uds_document import parse_users
from softphone.errors import DirectoryError
from softphone.provisioning import parse_device_config
from softphone.trust import FileRefusalReason, FileRefused

BILLION = "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10))
BOMBS = [
    f"<!DOCTYPE device [<!ENTITY a0 'ha'>{BILLION}]><device>&a9;</device>",
    "<!DOCTYPE device [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><device>&x;</device>",
    "<!DOCTYPE device SYSTEM 'http://192.0.2.1/device.dtd'><device/>",
    "<!DOCTYPE device [<!ENTITY % p SYSTEM 'file:///etc/passwd'>%p;]><device/>",
    "<!DOCTYPE device><device/>",
]


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("declaration", ["", "<?xml version='1.0' encoding='UTF-8'?>"])
def test_a_document_type_is_refused_before_anything_is_expanded(bomb, declaration):
    with pytest.raises(FileRefused, match="document type") as caught:
        parse_device_config((declaration + bomb).encode())
    assert caught.value.refusal is FileRefusalReason.MALFORMED


ENCODINGS = ["utf-16", "utf-16-le", "utf-32", "utf-7", "cp037", "cp1026", "hz", "iso2022_jp"]
USERS = "<!DOCTYPE users [<!ENTITY b 'bbbb'>]><users><user><x>&b;</x></user></users>"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("head", ["", "encoded", "plain"])
def test_another_encoding_does_not_hide_a_document_type(encoding, head):
    """Octets of UTF-7 and EBCDIC do not show that there is one."""
    declaration = f"<?xml version='1.0' encoding='{encoding}'?>"
    start = {
        "": b"",
        "encoded": declaration.encode(encoding, "replace"),
        "plain": declaration.encode(),
    }[head]
    with pytest.raises(FileRefused):
        parse_device_config(start + BOMBS[0].encode(encoding, "replace"))
    with pytest.raises(DirectoryError):
        parse_users(start + USERS.encode(encoding, "replace"), "server")
