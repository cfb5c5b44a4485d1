"""Nobody signs the word that a file is missing: it leads no device from its own configuration away.

A hardware phone that the cluster does not know gets XMLDefault, which is signed, too, and registers
in clear.  Whoever stands on the way of the files could give it to a phone that is secure.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import TransportError
from softphone.provisioning import BootPlan, boot_device
from softphone.provisioning.fetch_error import FileMissing
from softphone.trust import Bootstrap, ListKind, RecordFields, Role, TrustListStore
from tests.support.cluster import (
    Shelf,
    configurations,
    content,
    insecure,
    pin,
    signed,
    signer,
    trust_list,
)

DEVICE = "SEP001122334455"
NAME, DEFAULT = f"{DEVICE}.cnf.xml.sgn", "XMLDefault.cnf.xml.sgn"
LISTS = {
    f"CTL{DEVICE}.tlv": trust_list(ListKind.CTL),
    f"ITL{DEVICE}.tlv": trust_list(ListKind.ITL),
}
OWN = {NAME: signed(content().text(), NAME)}
COMMON = {DEFAULT: signed(insecure().text(), DEFAULT)}


async def boot(files, folder, failure=None):
    shelf = replace(Shelf(files), failure=failure)
    plan = BootPlan(DEVICE, [shelf], folder, bootstrap=Bootstrap(frozenset({pin()})))
    return await boot_device(plan)


async def test_a_phone_that_has_its_own_gets_no_default_when_that_is_hidden(tmp_path):
    assert (await boot({**LISTS, **OWN, **COMMON}, tmp_path)).config.tls_required
    before = configurations(tmp_path)
    with pytest.raises(FileMissing, match="it had one before"):
        await boot({**LISTS, **COMMON}, tmp_path)
    assert configurations(tmp_path) == before
    kept = await boot({}, tmp_path, TransportError("nobody answers"))
    assert (kept.configuration.name, kept.config.tls_required) == (NAME, True)


async def test_a_phone_that_was_never_known_boots_by_the_default_and_without_servers(tmp_path):
    assert (await boot({**LISTS, **COMMON}, tmp_path)).configuration.name == DEFAULT
    kept = await boot({}, tmp_path, TransportError("nobody answers"))
    assert (kept.configuration.name, kept.configuration.kept) == (DEFAULT, True)
    assert (await boot({**LISTS, **OWN, **COMMON}, tmp_path)).configuration.name == NAME


async def test_another_cluster_begins_anew(tmp_path):
    await boot({**LISTS, **OWN}, tmp_path)
    TrustListStore(tmp_path).reset()
    lists = {
        name: trust_list(
            kind, by="rogue", fields=[RecordFields(Role.TFTP, signer("rogue").certificate)]
        )
        for name, kind in zip(LISTS, ListKind, strict=True)
    }
    shelf = Shelf({**lists, DEFAULT: signed(insecure().text(), DEFAULT, by="rogue")})
    plan = BootPlan(DEVICE, [shelf], tmp_path, bootstrap=Bootstrap(first_use=True))
    assert (await boot_device(plan)).configuration.name == DEFAULT
