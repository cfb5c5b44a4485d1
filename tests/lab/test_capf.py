"""The lab's CAPF: a phone enrolls, and registers with the certificate that it got."""

from __future__ import annotations

import pytest

from softphone.account import load_account
from softphone.events import RegistrationState
from softphone.lab import LabConfig, LabServer
from softphone.phone import Phone
from softphone.provisioning import EnrollmentPlan, capf_settings, enroll
from softphone.security import KeyMaterial
from softphone.trust import CapfRefused, CapfRequest, IdentityStore, Operation, TrustStore

DEVICE = "CSFALICE"


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(capf=True)) as server:
        yield server


@pytest.fixture
def store(tmp_path):
    return IdentityStore(tmp_path / "store")


async def enrolled(lab, store, **how):
    settings = capf_settings(TrustStore(), lab.capf.pin.read_bytes(), (lab.capf_address,))
    plan = EnrollmentPlan((lab.capf_address,), settings)
    return await enroll(CapfRequest(DEVICE, **how), plan, store)


def string_of(lab):
    return KeyMaterial(lab.capf.strings[DEVICE].encode())


async def test_a_phone_registers_with_the_certificate_that_it_was_issued(lab, store):
    done = await enrolled(lab, store, string=string_of(lab))
    assert done.operation is Operation.INSTALL
    account = lab.accounts["alice"]
    text = account.read_text().replace('"alice.crt"', f'"{store.path(DEVICE)}"')
    account.write_text(text.replace('"alice.key"', f'"{store.path(DEVICE)}"'))
    async with Phone() as phone:
        line = await phone.register(load_account(account).config)
        assert line.registration is RegistrationState.REGISTERED
        assert "alice" in lab.registered
    store.confirm(DEVICE)
    assert store.previous(DEVICE) is None


async def test_a_string_is_good_for_one_time(lab, store):
    await enrolled(lab, store, string=string_of(lab))
    first = store.load(DEVICE)
    again = await enrolled(lab, store, string=string_of(lab))
    assert again.operation is Operation.NONE
    assert store.load(DEVICE) == first


async def test_another_string_does_not_do(lab, store):
    with pytest.raises(CapfRefused):
        await enrolled(lab, store, string=KeyMaterial(b"0"))
    assert store.load(DEVICE) is None


async def test_who_shows_no_certificate_has_no_device(lab):
    assert set(lab.capf.strings) == {"CSFALICE", "CSFBOB"}


async def test_without_being_asked_for_there_is_none(tmp_path):
    async with LabServer(tmp_path / "lab") as server:
        assert (server.capf, server.capf_address) == (None, None)
