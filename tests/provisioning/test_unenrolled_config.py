"""A device's configuration from outside: signed where lists are held, never an enrollment."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.provisioning import FileMissing, fetch_unenrolled_config
from softphone.trust import FileRefusalReason, FileRefused, IdentityStore, TrustBasis
from tests.support.cluster import (
    DEVICE,
    Shelf,
    announced,
    boot_from,
    content,
    full_shelf,
    identity,
    insecure,
    sealed,
    signed,
)

PLAIN, SIGNED, SEALED = (f"{DEVICE}.cnf.xml{end}" for end in ("", ".sgn", ".enc.sgn"))


@pytest.mark.parametrize("device", [content(), insecure()], ids=["secure", "insecure"])
async def test_without_lists_the_file_is_taken_as_it_comes(device):
    shelf = Shelf({PLAIN: device.text()})
    found = await fetch_unenrolled_config(DEVICE, [shelf])
    assert (found.basis, [each.name for each in found.config.lines]) == (None, ["alice"])
    assert shelf.asked == [PLAIN]


async def test_lists_of_an_earlier_boot_must_have_signed_it(tmp_path):
    await boot_from(full_shelf(), tmp_path)
    shelf = Shelf({SIGNED: signed(content(display_name="New").text(), minutes=1)})
    found = await fetch_unenrolled_config(DEVICE, [shelf], tmp_path)
    assert (found.basis, shelf.asked) == (TrustBasis.CTL, [SIGNED])
    rogue = Shelf({SIGNED: signed(content().text(), by="rogue"), PLAIN: content().text()})
    with pytest.raises(FileRefused):
        await fetch_unenrolled_config(DEVICE, [rogue], tmp_path)


async def test_the_certificate_of_an_earlier_boot_opens_an_encrypted_file(tmp_path):
    await boot_from(full_shelf(), tmp_path)
    IdentityStore(tmp_path).replace(DEVICE, identity())
    shelf = Shelf(
        {
            SIGNED: signed(announced().stub(), minutes=1),
            SEALED: sealed(announced().text(), minutes=1),
        }
    )
    found = await fetch_unenrolled_config(DEVICE, [shelf], tmp_path)
    assert (found.encrypted, found.config.full) == (True, True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (announced().stub(), FileRefusalReason.CANNOT_DECRYPT),
        (b"<device><fullConfig>true</fullConfig></device>", FileRefusalReason.NOT_FOR_US),
        (b"<!DOCTYPE x><device/>", FileRefusalReason.MALFORMED),
    ],
)
async def test_what_cannot_be_used_is_refused(text, reason):
    with pytest.raises(FileRefused) as caught:
        await fetch_unenrolled_config(DEVICE, [Shelf({PLAIN: text})])
    assert caught.value.refusal is reason


async def test_a_missing_file_or_a_bad_name(tmp_path):
    with pytest.raises(FileMissing):
        await fetch_unenrolled_config(DEVICE, [Shelf()], tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="device name"):
        await fetch_unenrolled_config("../x", [Shelf()])
