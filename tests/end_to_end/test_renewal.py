"""A certificate that ends is renewed while a call is up, and the call goes on."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from softphone.device import RenewalTimes
from softphone.events import (
    CertificateExpiryNeared,
    CertificateKept,
    CertificateRenewed,
    RegistrationState,
)
from softphone.lab import LabConfig, LabServer, Validity
from softphone.lab.registrar import NoResponse
from softphone.lab.registrar.device_registrar import TLS_FAILURE, forbidden
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.trust import IdentityStore
from tests.support.booting import event_of, plan_of
from tests.support.calling import answer_one, connect, eventually, level_heard, until
from tests.support.waiting import PATIENCE

OFTEN = RenewalTimes(again=timedelta(seconds=0.2))


@pytest.fixture
async def lab(tmp_path):
    # Issued an hour ago: its last third has begun.
    config = LabConfig(files=True, tvs=True, certificate_lifetime=60)
    async with LabServer(tmp_path / "lab", config) as server:
        yield server


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


async def hear(call, frequency):
    """Wait until a tone is heard: what changes in a call may cut a packet or two."""
    async with asyncio.timeout(PATIENCE):
        while await level_heard(call, frequency) < -30:
            pass


def renew(lab, device):
    """Have a device renew its certificate, by one that lasts."""
    lab.capf.validity = Validity()
    lab.capf.require_renewal(device)


def shown_at(lab, name):
    """The fingerprint of the certificate that a user's connection shows."""
    return lab.registered[name].flow.identity.fingerprint


async def test_a_call_goes_on_while_the_certificate_is_renewed(lab, phone, tmp_path):
    store = tmp_path / "alice"
    (alice,) = await phone.boot(plan_of(lab, "CSFALICE", store), renewal=OFTEN)
    (bob,) = await phone.boot(plan_of(lab, "CSFBOB", tmp_path / "bob"))
    before, first_flow = shown_at(lab, "alice"), alice.flow
    ours, theirs = await connect(alice, bob, "bob")
    for call in (ours, theirs):
        await until(call, lambda state: state.lock)
    theirs.audio.play(ToneSource(440.0))

    renew(lab, "CSFALICE")
    renewed = await event_of(alice, CertificateRenewed)
    assert renewed.device == "CSFALICE"
    assert alice.registration is RegistrationState.REGISTERED
    assert alice.flow != first_flow
    assert shown_at(lab, "alice") != before
    assert IdentityStore(store).previous("CSFALICE") is None
    # The call has stayed, is as secure as it was, and can still be changed and ended.
    assert ours.security.lock
    await hear(ours, 440.0)
    await eventually(lambda: first_flow not in alice._driver.flows)
    await ours.hold()
    await ours.resume()
    await hear(ours, 440.0)
    theirs.hangup()
    await asyncio.wait_for(ours.ended(), PATIENCE)

    # And so has the account: it is called over the new connection.
    calling = asyncio.create_task(answer_one(alice))
    again = await bob.dial("alice").answered(timeout=PATIENCE)
    await calling
    again.hangup()


async def test_it_is_warned_of_a_certificate_that_nobody_renews(lab, phone, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "softphone.account"):
        (alice,) = await phone.boot(plan_of(lab, "CSFALICE", tmp_path / "a"), renewal=OFTEN)
        expiring = await event_of(alice, CertificateExpiryNeared)
        kept = await event_of(alice, CertificateKept)
    assert expiring.device == "CSFALICE"
    assert "ask the administrator" in kept.reason
    assert "CertificateExpiryNeared" in caplog.text


@pytest.mark.parametrize("answer", [forbidden(TLS_FAILURE)])
async def test_a_new_certificate_that_is_refused_gives_way_to_the_old_one(
    lab, phone, tmp_path, answer
):
    store = tmp_path / "alice"
    (alice,) = await phone.boot(plan_of(lab, "CSFALICE", store), renewal=OFTEN)
    identities = IdentityStore(store)
    before, flow = identities.load("CSFALICE").der, alice.flow
    lab.devices.script.append(answer)
    renew(lab, "CSFALICE")

    async def refused():
        async for event in alice.events():
            if isinstance(event, CertificateKept) and "refused" in event.reason:
                return event
        raise AssertionError("the account was closed")

    kept = await asyncio.wait_for(refused(), PATIENCE)
    assert TLS_FAILURE in kept.reason
    assert identities.load("CSFALICE").der == before
    assert alice.flow == flow
    assert alice.registration is RegistrationState.REGISTERED


async def test_a_server_that_is_silent_at_the_wrong_moment_is_asked_again(lab, phone, tmp_path):
    store = tmp_path / "alice"
    (alice,) = await phone.boot(plan_of(lab, "CSFALICE", store), renewal=OFTEN)
    before = shown_at(lab, "alice")
    lab.devices.script.append(NoResponse.RESET)
    renew(lab, "CSFALICE")
    await event_of(alice, CertificateRenewed)
    assert shown_at(lab, "alice") != before
    assert alice.registration is RegistrationState.REGISTERED


async def test_a_renewal_that_was_cut_is_finished_or_taken_back_at_the_next_boot(lab, tmp_path):
    store = tmp_path / "alice"
    plan = plan_of(lab, "CSFALICE", store)
    async with Phone() as phone:
        await phone.boot(plan)
    identities = IdentityStore(store)
    before = identities.load("CSFALICE").der
    renew(lab, "CSFALICE")
    lab.devices.script.append(forbidden(TLS_FAILURE))
    steps = []
    async with Phone() as phone:
        (alice,) = await phone.boot(plan_of(lab, "CSFALICE", store, string=None), tell=steps.append)
        assert alice.registration is RegistrationState.REGISTERED
    assert "certificate_reverted" in [step.kind for step in steps]
    assert identities.load("CSFALICE").der == before
