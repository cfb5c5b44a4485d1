"""The lab's CAPF: a phone enrolls, and registers with the certificate that it got."""

from __future__ import annotations

import asyncio
import ssl
import stat

import pytest
from cryptography import x509

from softphone.config import load_account
from softphone.events import RegistrationState
from softphone.lab import Authority, LabConfig, LabServer, parse_pending_enrollment
from softphone.phone import Phone
from softphone.provisioning import EnrollmentPlan, capf_settings, enroll
from softphone.security import KeyMaterial
from softphone.trust import (
    CapfOperation,
    CapfRefused,
    CapfRequest,
    Identity,
    IdentityStore,
    KeyKind,
    TrustStore,
    load_certificate_file,
    new_key,
)

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
    assert done.operation is CapfOperation.INSTALL
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
    assert again.operation is CapfOperation.NONE
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


def orders(*texts):
    return LabConfig(capf=True, capf_orders=tuple(parse_pending_enrollment(text) for text in texts))


async def test_orders_for_one_device_are_carried_out_one_after_the_other(tmp_path, store):
    config = orders("CSFALICE=null-string", "CSFALICE=lsc", "CSFALICE=mic", "CSFALICE=string:4711")
    async with LabServer(tmp_path / "lab", config) as lab:
        assert lab.capf.auth_modes["CSFALICE"] == ["null-string", "lsc", "mic", "string"]
        assert lab.capf.auth_modes["CSFBOB"] == ["string"]
        mic = Identity.load(lab.capf.mics[DEVICE])
        assert (await enrolled(lab, store)).operation is CapfOperation.INSTALL
        first = store.load(DEVICE)
        # Who shows nothing is not let in again, and takes nothing from the queue.
        with pytest.raises(CapfRefused):
            await enrolled(lab, store)
        assert (await enrolled(lab, store, identity=first)).operation is CapfOperation.INSTALL
        second = store.load(DEVICE)
        assert (await enrolled(lab, store, identity=mic)).operation is CapfOperation.INSTALL
        assert len({first.der, second.der, store.load(DEVICE).der}) == 3
        assert lab.capf.strings[DEVICE] == "4711"
        assert (
            await enrolled(lab, store, string=string_of(lab))
        ).operation is CapfOperation.INSTALL
        assert (await enrolled(lab, store)).operation is CapfOperation.NONE


async def test_a_certificate_from_another_maker_does_not_do(tmp_path, store):
    maker = Authority("another maker").issue_general(DEVICE, [], key=new_key(KeyKind.RSA_2048))
    async with LabServer(tmp_path / "lab", orders("CSFALICE=mic")) as lab:
        with pytest.raises(CapfRefused):
            await enrolled(lab, store, identity=Identity(maker.certificate, maker.key))
    assert store.load(DEVICE) is None


async def test_a_mic_is_made_only_where_an_order_wants_one_and_is_private(lab, tmp_path):
    assert lab.capf.mics == {}
    async with LabServer(tmp_path / "another", orders("CSFBOB=mic")) as other:
        assert set(other.capf.mics) == {"CSFBOB"}
        assert "CSFBOB" not in other.capf.strings
        assert stat.S_IMODE(other.capf.mics["CSFBOB"].stat().st_mode) == 0o600


async def test_the_device_certificates_are_issued_by_capf_itself_as_cucm_has_it(lab, store):
    await enrolled(lab, store, string=string_of(lab))
    issued = store.load(DEVICE).certificate
    (capf, *more) = load_certificate_file(lab.capf.pin)
    assert more == []
    capf.verify_directly_issued_by(capf)
    issued.verify_directly_issued_by(capf)
    assert capf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize("service", ["capf", "tvs"])
async def test_the_certificates_of_the_servers_are_anchors_for_any_client(tmp_path, service):
    """As an independent client would have it: OpenSSL with that one certificate, strictly."""
    async with LabServer(tmp_path / "lab", LabConfig(capf=True, tvs=True)) as lab:
        address = lab.capf_address if service == "capf" else lab.tvs_address
        context = ssl.create_default_context(cafile=str(tmp_path / "lab" / f"{service}.crt"))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.check_hostname = False
        _, writer = await asyncio.open_connection(*address, ssl=context)
        found = writer.get_extra_info("ssl_object").getpeercert(True)
        writer.transport.abort()
    assert found == ssl.PEM_cert_to_DER_cert((tmp_path / "lab" / f"{service}.crt").read_text())
