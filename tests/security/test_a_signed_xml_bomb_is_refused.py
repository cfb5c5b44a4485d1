"""XML that explodes, with a good signature on it: refused before anything is expanded or stored."""

from __future__ import annotations

import pytest

from softphone.trust import FileRefused, IdentityStore
from tests.support.cluster import (
    DEVICE,
    announced,
    boot_from,
    configurations,
    full_shelf,
    identity,
    sealed,
    signed,
)

NAME, SEALED = f"{DEVICE}.cnf.xml.sgn", f"{DEVICE}.cnf.xml.enc.sgn"
LAUGHS = b"".join(
    b'<!ENTITY l%d "%s">' % (level, b"&l%d;" % (level - 1) * 10) for level in range(1, 10)
)

SENTENCE = r"a document type, which may hide entities|too many elements, or too deep"
"""What the person in front of it is told."""
BOMBS = {
    "a billion laughs": b'<!DOCTYPE d [<!ENTITY l0 "ha">%s]><device>&l9;</device>' % LAUGHS,
    "an external entity": b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b"<device>&x;</device>",
    "a deep one": b"<device>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</device>",
    "a wide one": b"<device>" + b"<a/>" * 200_000 + b"</device>",
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_signed_one(tmp_path, bomb):
    shelf = full_shelf(**{NAME: signed(BOMBS[bomb])})
    with pytest.raises(FileRefused, match=SENTENCE):
        await boot_from(shelf, tmp_path)
    assert configurations(tmp_path) == {}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_one_that_is_encrypted(tmp_path, bomb):
    IdentityStore(tmp_path).replace(DEVICE, identity())
    shelf = full_shelf(**{NAME: signed(announced().stub()), SEALED: sealed(BOMBS[bomb])})
    with pytest.raises(FileRefused, match=SENTENCE):
        await boot_from(shelf, tmp_path)
    assert set(configurations(tmp_path)) == {NAME}
