"""Somebody serves yesterday's configuration again: it is told of, and today's stays in use."""

from __future__ import annotations

from softphone.provisioning import StepKind
from softphone.trust import IdentityStore
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


async def test_an_old_signed_file(tmp_path):
    shelf = full_shelf(**{NAME: signed(content(expires=300).text(), minutes=5)})
    await boot_from(shelf, tmp_path)
    before = configurations(tmp_path)
    shelf.files[NAME] = signed(content(expires=60).text())
    steps = []
    booted = await boot_from(shelf, tmp_path, tell=steps.append)
    assert booted.config.timers.register_expires == 300
    assert configurations(tmp_path) == before
    (told,) = [step for step in steps if step.kind is StepKind.CONFIGURATION_REPLAYED]
    assert "older than the one that was accepted last" in told.sentence


async def test_an_old_encrypted_file_under_a_new_announcement(tmp_path):
    IdentityStore(tmp_path).replace(DEVICE, identity())
    shelf = full_shelf(
        **{
            NAME: signed(announced().stub(), minutes=5),
            SEALED: sealed(content(expires=300).text(), minutes=5),
        }
    )
    await boot_from(shelf, tmp_path)
    shelf.files |= {
        NAME: signed(announced().stub(), minutes=9),
        SEALED: sealed(content(expires=60).text()),
    }
    booted = await boot_from(shelf, tmp_path)
    assert booted.config.timers.register_expires == 300


async def test_a_file_from_before_the_encryption(tmp_path):
    """The old whole file, in the clear it was signed in, does not undo the encryption."""
    IdentityStore(tmp_path).replace(DEVICE, identity())
    old = signed(content(expires=60).text())
    shelf = full_shelf(
        **{
            NAME: signed(announced().stub(), minutes=5),
            SEALED: sealed(content(expires=300).text(), minutes=5),
        }
    )
    await boot_from(shelf, tmp_path)
    shelf.files[NAME] = old
    booted = await boot_from(shelf, tmp_path)
    assert (booted.configuration.encrypted, booted.config.timers.register_expires) == (True, 300)
