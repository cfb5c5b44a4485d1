"""A configuration signed by somebody the lists name, only not as a server of files."""

from __future__ import annotations

import pytest

from softphone.trust import FileRefusalReason, FileRefused, ListKind, RecordFields, Role
from tests.support.cluster import (
    DEVICE,
    boot_from,
    configurations,
    content,
    full_shelf,
    records,
    signed,
    signer,
    trust_list,
)

NAME = f"{DEVICE}.cnf.xml.sgn"


@pytest.mark.parametrize("role", [Role.SAST, Role.CCM, Role.CAPF, Role.TVS, Role.APP_SERVER])
async def test_it_is_refused_and_nothing_is_stored(tmp_path, role):
    fields = [*records(), RecordFields(role, signer("other role").certificate)]
    shelf = full_shelf(**{NAME: signed(content().text(), by="other role")})
    shelf.files |= {
        f"{kind.value.upper()}{DEVICE}.tlv": trust_list(kind, fields=fields) for kind in ListKind
    }
    with pytest.raises(
        FileRefused, match="whom no trust list names as a server of files"
    ) as caught:
        await boot_from(shelf, tmp_path)
    assert caught.value.refusal is FileRefusalReason.SIGNER_UNKNOWN
    assert configurations(tmp_path) == {}


@pytest.mark.parametrize("role", [Role.TFTP, Role.CCM_TFTP])
async def test_the_roles_that_may_sign_do(tmp_path, role):
    fields = [*records(), RecordFields(role, signer("other role").certificate)]
    shelf = full_shelf(**{NAME: signed(content().text(), by="other role")})
    shelf.files |= {
        f"{kind.value.upper()}{DEVICE}.tlv": trust_list(kind, fields=fields) for kind in ListKind
    }
    assert (await boot_from(shelf, tmp_path)).config.full
