"""A server that has lost its lists and its signatures gets nobody back to files in clear."""

from __future__ import annotations

import pytest

from softphone.provisioning.fetch_error import FileMissing
from softphone.trust import Bootstrap, FileRefusalReason, FileRefused
from tests.support.cluster import (
    DEVICE,
    Shelf,
    boot_from,
    configurations,
    content,
    full_shelf,
    insecure,
)

PLAIN, NAME = f"{DEVICE}.cnf.xml", f"{DEVICE}.cnf.xml.sgn"


@pytest.mark.parametrize("text", [insecure().text(), content().text()])
async def test_the_file_in_clear_is_not_even_asked_for(tmp_path, text):
    await boot_from(full_shelf(), tmp_path)
    before = configurations(tmp_path)
    shelf = Shelf({PLAIN: text})
    with pytest.raises(FileMissing):
        await boot_from(shelf, tmp_path)
    assert PLAIN not in shelf.asked
    assert configurations(tmp_path) == before


async def test_nor_is_it_taken_under_the_name_of_the_signed_one(tmp_path):
    await boot_from(full_shelf(), tmp_path)
    before = configurations(tmp_path)
    with pytest.raises(FileRefused) as caught:
        await boot_from(Shelf({NAME: insecure().text()}), tmp_path)
    assert caught.value.refusal is FileRefusalReason.NOT_SIGNED
    assert configurations(tmp_path) == before


async def test_lists_that_are_emptied_change_nothing(tmp_path):
    await boot_from(full_shelf(), tmp_path)
    shelf = Shelf(
        {f"CTL{DEVICE}.tlv": b"", f"ITL{DEVICE}.tlv": b"", "ITLFile.tlv": b"", PLAIN: b"<device/>"}
    )
    with pytest.raises(FileMissing):
        await boot_from(shelf, tmp_path)
    assert PLAIN not in shelf.asked


async def test_without_any_list_a_secure_device_does_not_boot(tmp_path):
    with pytest.raises(FileRefused, match="not signed, and says that the device is secure"):
        await boot_from(Shelf({PLAIN: content().text()}), tmp_path, bootstrap=Bootstrap())
    assert configurations(tmp_path) == {}
