"""A good signature over somebody else's configuration: the name inside is checked."""

from __future__ import annotations

import pytest

from softphone.trust import FileRefusalReason, FileRefused, IdentityStore
from tests.support.cluster import (
    DEVICE,
    announced,
    boot_from,
    configurations,
    content,
    full_shelf,
    identity,
    sealed,
    signed,
)

NAME, SEALED = f"{DEVICE}.cnf.xml.sgn", f"{DEVICE}.cnf.xml.enc.sgn"


@pytest.mark.parametrize(
    "inside",
    [
        "CSFBOB.cnf.xml.sgn",
        "csfalice.cnf.xml.sgn",
        "CSFALICE.cnf.xml",
        "CSFALICE.cnf.xml.sgn.old",
        "XMLDefault.cnf.xml.sgn",
        "RINGLIST.XML.sgn",
    ],
)
async def test_a_signed_file_for_another_name(tmp_path, inside):
    shelf = full_shelf(**{NAME: signed(content().text(), inside)})
    with pytest.raises(FileRefused, match="was asked for, and a file signed as") as caught:
        await boot_from(shelf, tmp_path)
    assert caught.value.refusal is FileRefusalReason.NAME_MISMATCH
    assert configurations(tmp_path) == {}


async def test_an_encrypted_file_for_another_name(tmp_path):
    """Even one that our own key opens: an administrator may have used it twice."""
    IdentityStore(tmp_path).replace(DEVICE, identity())
    shelf = full_shelf(
        **{
            NAME: signed(announced().stub()),
            SEALED: sealed(content().text(), "CSFBOB.cnf.xml.enc.sgn"),
        }
    )
    with pytest.raises(FileRefused) as caught:
        await boot_from(shelf, tmp_path)
    assert caught.value.refusal is FileRefusalReason.NAME_MISMATCH
    assert set(configurations(tmp_path)) == {NAME}
