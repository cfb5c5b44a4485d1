"""What the server asks of a booted phone: it fetches its configuration again, and follows it."""

from __future__ import annotations

import asyncio

import pytest

from softphone.events import ConfigurationFetched, RegistrationState
from softphone.lab import LabConfig, LabServer
from softphone.lab.registrar.device_notify import CONFIG_STAMP
from softphone.phone import Phone
from softphone.sip.event_packages.cisco_service_control import ServiceAction
from tests.support.booting import event_of, plan_of
from tests.support.calling import answer_one, connect, eventually
from tests.support.waiting import PATIENCE


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(files=True, tvs=True, nodes=2)) as server:
        yield server


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


async def booted(lab, phone, tmp_path, device="CSFALICE"):
    (account,) = await phone.boot(plan_of(lab, device, tmp_path / device))
    return account


def call_id_of(lab):
    """The Call-ID that alice is registered by; None while she is not."""
    binding = lab.registered.get("alice")
    return None if binding is None else binding.call_id


def ask(lab, action, **options):
    return lab.service.send_service_control(lab.registered["alice"], action, **options)


@pytest.mark.parametrize("action", [ServiceAction.RESET, ServiceAction.RESTART])
async def test_a_phone_that_starts_anew_has_what_has_changed(lab, phone, tmp_path, action):
    alice = await booted(lab, phone, tmp_path)
    before = call_id_of(lab)
    lab.cluster.changes["CSFALICE"] = {"display_name": "Alice Liddell", "expires": 300}
    ask(lab, action)
    fetched = await event_of(alice, ConfigurationFetched)
    assert fetched.changed
    await eventually(lambda: call_id_of(lab) not in (None, before))
    await eventually(lambda: alice.registration is RegistrationState.REGISTERED)
    assert alice.config.display_name == "Alice Liddell"
    assert alice.config.expires == 300


async def test_a_phone_goes_to_the_servers_that_its_new_configuration_names(lab, phone, tmp_path):
    alice = await booted(lab, phone, tmp_path)
    first = alice.flow.remote
    nodes = lab.cluster.device("CSFALICE")[0].nodes
    lab.cluster.changes["CSFALICE"] = {"nodes": tuple(reversed(nodes))}
    ask(lab, ServiceAction.RESTART)
    await eventually(lambda: "alice" in lab.registered and alice.flow.remote != first)
    assert alice.flow.remote == nodes[1].secure


async def test_versions_are_compared_and_only_what_differs_is_fetched(lab, phone, tmp_path):
    alice = await booted(lab, phone, tmp_path)
    same = lab.cluster.stamp("CSFALICE")
    call_id = call_id_of(lab)
    served = len(lab.cluster.service.served)
    ask(lab, ServiceAction.CHECK_VERSION, stamps=((CONFIG_STAMP, same),))
    ask(lab, ServiceAction.CHECK_VERSION, stamps=((CONFIG_STAMP, "0" * 32),))
    assert not (await event_of(alice, ConfigurationFetched)).changed
    fetched = len(lab.cluster.service.served)
    assert fetched > served
    lab.cluster.changes["CSFALICE"] = {"display_name": "Alice Liddell"}
    ask(lab, ServiceAction.CHECK_VERSION, stamps=((CONFIG_STAMP, lab.cluster.stamp("CSFALICE")),))
    await eventually(lambda: alice.config.display_name == "Alice Liddell")
    await eventually(lambda: call_id_of(lab) not in (None, call_id))


async def test_nothing_happens_while_a_call_is_up(lab, phone, tmp_path):
    alice = await booted(lab, phone, tmp_path)
    bob = await booted(lab, phone, tmp_path, "CSFBOB")
    ours, _ = await connect(alice, bob, "bob")
    lab.cluster.changes["CSFALICE"] = {"display_name": "Alice Liddell"}
    ask(lab, ServiceAction.RESET)
    served = len(lab.cluster.service.served)
    await asyncio.sleep(0.3)
    assert alice.calls
    assert len(lab.cluster.service.served) == served
    ours.hangup()
    await eventually(lambda: alice.config.display_name == "Alice Liddell")
    await eventually(lambda: alice.registration is RegistrationState.REGISTERED)
    # The application's account is the same one, and takes calls.
    answering = asyncio.create_task(answer_one(alice))
    call = await bob.dial("alice").answered(timeout=PATIENCE)
    await answering
    call.hangup()


async def test_a_reset_of_another_registration_is_refused(lab, phone, tmp_path):
    alice = await booted(lab, phone, tmp_path)
    call_id, served = call_id_of(lab), len(lab.cluster.service.served)
    ask(lab, ServiceAction.RESET, call_id="another@lab")
    ask(lab, ServiceAction.CHECK_VERSION, stamps=((CONFIG_STAMP, "0"),))
    await event_of(alice, ConfigurationFetched)
    assert call_id_of(lab) == call_id
    assert len(lab.cluster.service.served) > served


async def test_without_its_file_service_a_phone_starts_anew_with_what_it_has(lab, phone, tmp_path):
    alice = await booted(lab, phone, tmp_path)
    before = call_id_of(lab)
    await lab.cluster.service.__aexit__(None, None, None)
    ask(lab, ServiceAction.RESTART)
    await eventually(lambda: call_id_of(lab) not in (None, before))
    await eventually(lambda: alice.registration is RegistrationState.REGISTERED)
