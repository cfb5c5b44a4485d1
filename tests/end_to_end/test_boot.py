"""From a bare name to a registered phone, against the lab, from a store that is empty."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import CertificateError, CertificateUntrusted
from softphone.events import RegistrationState
from softphone.lab import LabConfig, LabServer
from softphone.phone import Phone
from softphone.provisioning import (
    BootPlan,
    FileServerAddress,
    HttpsTrust,
    StepKind,
    file_client_for,
)
from softphone.security import KeyMaterial, Scope, SecurityLevel
from softphone.trust import Bootstrap, FileRefusalReason, FileRefused, IdentityStore, TrustStore
from tests.support.calling import connect, until


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(files=True, tvs=True)) as server:
        yield server


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


def plan_of(lab, device, store, scheme="http", **options):
    web = HttpsTrust(TrustStore.from_sources(str(lab.files.ca)))
    server = file_client_for(FileServerAddress(scheme, *lab.cluster.addresses[scheme]), web)
    string = lab.capf.strings.get(device)
    defaults = {
        "bootstrap": Bootstrap(frozenset({lab.cluster.files.fingerprint})),
        "string": None if string is None else KeyMaterial(string.encode()),
        "web": web,
    }
    return BootPlan(device, [server], store, **defaults | options)


@pytest.mark.parametrize("scheme", ["tftp", "http", "https"])
async def test_a_phone_boots_enrolls_and_registers(lab, phone, tmp_path, scheme):
    steps = []
    plan = plan_of(lab, "CSFALICE", tmp_path / "store", scheme)
    (account,) = await phone.boot(plan, tell=steps.append)
    assert account.registration is RegistrationState.REGISTERED
    assert "alice" in lab.registered
    told = [step for step in steps if step.kind is StepKind.ENROLLMENT_PROGRESS]
    assert told[0].sentence.startswith("connecting to CAPF at 127.0.0.1 port ")
    assert told[-1].sentence == "the certificate is stored"
    assert [step.kind for step in steps if step not in told] == [
        StepKind.LIST_ACCEPTED,
        StepKind.LIST_ACCEPTED,
        StepKind.CONFIGURATION_VERIFIED,
        StepKind.ENROLLING,
        StepKind.ENROLLED,
        StepKind.LIST_UNCHANGED,
        StepKind.LIST_UNCHANGED,
        StepKind.CONFIGURATION_VERIFIED,
        StepKind.CONFIGURATION_VERIFIED,
        StepKind.READY,
        StepKind.REGISTERED,
    ]
    assert steps[-2].sentence.startswith("the device is encrypted with its certificate")
    assert account.flow.identity.verdict == "trust-list"
    assert account.config.persona == "cisco_phone"
    identities = IdentityStore(tmp_path / "store")
    assert identities.load("CSFALICE") is not None
    assert identities.previous("CSFALICE") is None


async def test_the_second_morning_needs_neither_pin_nor_string(lab, tmp_path):
    plan = plan_of(lab, "CSFALICE", tmp_path / "store")
    async with Phone() as phone:
        await phone.boot(plan)
    bare = plan_of(lab, "CSFALICE", tmp_path / "store", bootstrap=Bootstrap(), string=None)
    steps = []
    async with Phone() as phone:
        (account,) = await phone.boot(bare, tell=steps.append)
        assert account.registration is RegistrationState.REGISTERED
    assert StepKind.ENROLLING not in [step.kind for step in steps]


async def test_a_phone_that_has_died_comes_back_as_the_same(lab, phone, tmp_path):
    plan = plan_of(lab, "CSFALICE", tmp_path / "store")
    (first,) = await phone.boot(plan)
    lab.cut_connection("alice")
    async with Phone() as again:
        (second,) = await again.boot(plan)
        assert second.config.device.mac == first.config.device.mac
        assert second.registration is RegistrationState.REGISTERED


async def test_two_booted_phones_talk_in_private(lab, phone, tmp_path):
    (alice,) = await phone.boot(plan_of(lab, "CSFALICE", tmp_path / "a"))
    (bob,) = await phone.boot(plan_of(lab, "CSFBOB", tmp_path / "b", "tftp"))
    ours, theirs = await connect(alice, bob, "bob")
    for call in (ours, theirs):
        await until(call, lambda state: state.lock)
        assert call.security.level is SecurityLevel.ENCRYPTED
        assert call.security.scope is Scope.END_TO_END
    ours.hangup()


async def test_a_phone_that_is_not_secure_boots_too(lab, phone, tmp_path):
    (carol,) = await phone.boot(plan_of(lab, "CSFCAROL", tmp_path / "store"))
    assert carol.registration is RegistrationState.REGISTERED
    assert carol.flow.identity is None


async def test_an_empty_store_and_nobody_named_is_refused_before_anything_is_read(
    lab, phone, tmp_path
):
    plan = plan_of(lab, "CSFALICE", tmp_path / "store", bootstrap=Bootstrap())
    with pytest.raises(FileRefused) as caught:
        await phone.boot(plan)
    assert caught.value.refusal is FileRefusalReason.NO_ANCHOR
    assert caught.value.fingerprint == lab.cluster.files.fingerprint
    assert not any("cnf.xml" in name for name in lab.cluster.service.served)
    assert phone.accounts == ()


async def test_https_is_not_spoken_with_somebody_unknown(lab, phone, tmp_path):
    plan = plan_of(lab, "CSFALICE", tmp_path / "store")
    web = HttpsTrust()
    server = file_client_for(FileServerAddress("https", *lab.cluster.addresses["https"]), web)
    stranger = replace(plan, servers=[server], web=web)
    with pytest.raises(CertificateError):
        await phone.boot(stranger)
    assert lab.cluster.service.served == []
    (account,) = await phone.boot(plan)
    await phone.close(account)
    # By then the list has named the server.
    (account,) = await phone.boot(stranger)
    assert account.registration is RegistrationState.REGISTERED


async def test_while_the_file_service_is_away_the_phone_works_with_what_it_has(lab, tmp_path):
    plan = plan_of(lab, "CSFALICE", tmp_path / "store")
    async with Phone() as phone:
        await phone.boot(plan)
    await lab.cluster.service.__aexit__(None, None, None)
    steps = []
    async with Phone() as phone:
        (account,) = await phone.boot(plan, tell=steps.append)
        assert account.registration is RegistrationState.REGISTERED
    assert StepKind.CONFIGURATION_KEPT in [step.kind for step in steps]


async def test_a_call_server_that_the_lists_do_not_name_gets_no_register(tmp_path):
    """The lists of one lab, the call server of another."""
    config = LabConfig(files=True)
    async with LabServer(tmp_path / "one", config) as one, LabServer(tmp_path / "two") as two:
        one.cluster._nodes = (two.addresses,)
        async with Phone() as phone:
            with pytest.raises(CertificateUntrusted):
                await phone.boot(plan_of(one, "CSFALICE", tmp_path / "store"))
            assert phone.accounts == ()
        assert dict(two.registered) == {}
    assert IdentityStore(tmp_path / "store").load("CSFALICE") is not None
