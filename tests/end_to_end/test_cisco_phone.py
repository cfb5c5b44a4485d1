"""A Cisco phone and the lab, which plays CUCM: registration, nodes, service control, calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.config import load_account
from softphone.diagnostics import Ladder
from softphone.errors import NotAcceptable, RegistrationRefused, RegistrationTimeout
from softphone.events import (
    CallState,
    MessageWaiting,
    NodeChanged,
    RegistrationState,
    RemoteControlRequested,
    ServiceRequested,
)
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.lab.registrar import NoResponse
from softphone.lab.registrar.device_registrar import (
    ACTIVE_ELSEWHERE,
    SECURITY_MISMATCH,
    TLS_FAILURE,
    forbidden,
)
from softphone.phone import Phone
from softphone.sans_io import Transport
from softphone.security import SecurityLevel, SecurityShortfall, SrtpPolicy
from softphone.sip import Body
from softphone.sip.event_packages import remote_request, remote_response
from softphone.sip.event_packages.cisco_remotecc import REMOTECC_RESPONSE
from softphone.sip.event_packages.cisco_service_control import ServiceAction
from tests.support.calling import connect, eventually, until
from tests.support.waiting import PATIENCE

CERTIFICATE = Login(Transport.TLS, certificate=True)
USERS = (
    LabUser("alice", CERTIFICATE, "cisco_phone"),
    LabUser("bob", CERTIFICATE, "cisco_phone"),
    LabUser("carol", Login(Transport.UDP)),
)


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(users=USERS, nodes=2)) as server:
        yield server


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


def config_of(lab, name, **media):
    config = load_account(lab.accounts[name]).config
    return config.with_media(**media) if media else config


async def register(lab, phone, name, **media):
    return await phone.register(config_of(lab, name, **media))


async def told(account, kind):
    """The next event of a kind, from the start."""

    async def wait():
        async for event in account.events():
            if isinstance(event, kind):
                return event
        raise AssertionError("the account was closed")

    return await asyncio.wait_for(wait(), PATIENCE)


async def test_it_registers_as_its_device_and_is_welcomed(lab, phone):
    alice = await register(lab, phone, "alice")
    contact = lab.registered["alice"].contact
    assert contact.parameter("+u.sip!devicename.ccm.cisco.com") == "CSFALICE"
    assert contact.parameter("+u.sip!model.ccm.cisco.com") == "503"
    assert contact.parameter("+sip.instance").startswith("<urn:uuid:00000000-0000-0000-0000-")
    assert (await told(alice, MessageWaiting)).waiting is False
    assert (await told(alice, ServiceRequested)).action == "check-version"
    assert (await told(alice, RemoteControlRequested)).request == "cfwdallupdate"


async def test_its_options_go_with_the_first_register_only_and_are_granted(lab):
    ladder = Ladder()
    async with Phone(tap=ladder) as phone:
        alice = await register(lab, phone, "alice")
        with alice.change() as now:
            alice._context.machine.registration.refresh(now=now)
        await eventually(lambda: ladder.transcript().count("200 OK") >= 2)
    shown = ladder.transcript()
    assert shown.count("<bulkregisterreq>") == 1
    asked, _, granted = shown.partition("x-cisco-remotecc-response>")
    assert asked.count("<optionsind>") == 1
    assert granted.startswith("<response><code>200</code><optionsind>")


async def test_another_client_s_registration_is_taken_over_when_its_user_agrees(lab, phone):
    config = config_of(lab, "alice")
    first = await phone.register(replace(config, device=replace(config.device, mac="0" * 12)))
    mine = replace(config, device=replace(config.device, mac="1" * 12))
    with pytest.raises(RegistrationRefused, match="take_over") as caught:
        await phone.register(mine)
    assert caught.value.status == 403
    assert first.registration is RegistrationState.REGISTERED
    second = await phone.register(replace(mine, device=replace(mine.device, take_over=True)))
    assert second.registration is RegistrationState.REGISTERED
    await eventually(lambda: first.registration is RegistrationState.FAILED)
    assert second.registration is RegistrationState.REGISTERED


async def test_two_clients_that_insist_do_not_end_one_another_for_ever(lab, phone):
    config = config_of(lab, "alice")
    devices = [replace(config.device, mac=digit * 12, take_over=True) for digit in "01"]
    first = await phone.register(replace(config, device=devices[0]))
    second = await phone.register(replace(config, device=devices[1]))
    await eventually(lambda: first.registration is RegistrationState.FAILED)
    assert second.registration is RegistrationState.REGISTERED


async def test_the_standby_is_watched_and_its_keep_alives_bind_nothing(lab, phone):
    await register(lab, phone, "alice")
    await eventually(lambda: lab.devices.keep_alives == 1)
    assert lab.registered["alice"].flow.local == lab.nodes.addresses[0]


async def test_a_node_that_ends_is_left_for_the_next_and_the_call_goes_on(lab, phone):
    alice, bob = [await register(lab, phone, name) for name in ("alice", "bob")]
    call, other = await connect(alice, bob, "bob")
    await until(call, lambda state: state.lock)
    await lab.nodes.stop_node(0)
    moved = await told(alice, NodeChanged)
    assert str(lab.nodes.addresses[1][1]) in moved.node
    assert alice.registration is RegistrationState.REGISTERED
    await eventually(lambda: len(lab.registered) == 2)
    assert lab.registered["alice"].flow.local == lab.nodes.addresses[1]
    assert call.state is CallState.CONFIRMED
    await call.hold()
    await call.resume()
    call.hangup()
    await asyncio.wait_for(other.ended(), PATIENCE)
    again, _ = await connect(alice, bob, "bob")
    await until(again, lambda state: state.lock)


@pytest.mark.parametrize(
    "text", [ACTIVE_ELSEWHERE, TLS_FAILURE, SECURITY_MISMATCH, "something new"]
)
async def test_a_refusal_says_what_cucm_says_and_what_to_do(lab, phone, text):
    lab.devices.script.append(forbidden(text))
    with pytest.raises(RegistrationRefused) as caught:
        await register(lab, phone, "alice")
    assert text in str(caught.value)
    assert caught.value.status == 403


async def test_a_second_client_of_the_device_is_refused(lab, phone):
    await register(lab, phone, "alice")
    with pytest.raises(RegistrationRefused, match=r"another client.*sign out there first"):
        await register(lab, phone, "alice")


async def test_a_server_that_says_when_is_told_so(lab, phone):
    lab.devices.script.append(forbidden("busy", retry_after=35))
    with pytest.raises(RegistrationRefused, match="busy"):
        await register(lab, phone, "alice")


@pytest.mark.parametrize(
    "body",
    [
        remote_response(
            200, '<optionsind><combine max="6"><service-control/></combine></optionsind>'
        ),
        remote_response(400),
        Body(REMOTECC_RESPONSE, b"<x-cisco-remotecc-response><response>"),
        Body("multipart/mixed", b"--no boundary"),
        Body("application/octet-stream", bytes(range(256))),
    ],
    ids=["options", "refused", "cut off", "no parts", "anything"],
)
async def test_whatever_body_the_200_has_the_phone_is_registered(lab, phone, monkeypatch, body):
    register_device = lab.devices.handle_register

    def answer(*request, **options):
        return replace(register_device(*request, **options), body=body)

    monkeypatch.setattr(lab.devices, "handle_register", answer)
    alice = await register(lab, phone, "alice")
    assert alice.registration is RegistrationState.REGISTERED
    # What follows the 200 on the same connection is read as ever.
    assert (await told(alice, ServiceRequested)).action == "check-version"


async def test_a_reset_moves_it_to_the_next_node(lab, phone):
    lab.devices.script.append(NoResponse.RESET)
    alice = await register(lab, phone, "alice")
    assert alice.registration is RegistrationState.REGISTERED
    assert lab.registered["alice"].flow.local == lab.nodes.addresses[1]


async def a_round_trip(lab, binding):
    """Whatever the phone had to send by now has come: the answer to a later request has."""
    exchange = lab.service.send_service_control(
        binding, ServiceAction.CHECK_VERSION, call_id="later@h"
    )
    await eventually(lambda: exchange.response is not None)


@pytest.mark.parametrize("action", [ServiceAction.RESTART, ServiceAction.RESET])
async def test_service_control_makes_it_start_anew_after_the_last_call(lab, phone, action):
    alice, bob = [await register(lab, phone, name) for name in ("alice", "bob")]
    call, _ = await connect(alice, bob, "bob")
    before = lab.registered["alice"]
    exchange = lab.service.send_service_control(before, action)
    await eventually(lambda: exchange.response is not None)
    assert exchange.response.status == 200
    await a_round_trip(lab, before)
    assert lab.registered["alice"].call_id == before.call_id
    call.hangup()
    await eventually(lambda: lab.registered.get("alice", before).call_id != before.call_id)
    await eventually(lambda: alice.registration is RegistrationState.REGISTERED)


@pytest.mark.parametrize(
    "action", [ServiceAction.RESTART, ServiceAction.RESET, ServiceAction.CHECK_VERSION]
)
async def test_service_control_of_another_registration_changes_nothing(lab, phone, action):
    await register(lab, phone, "alice")
    before = lab.registered["alice"]
    exchange = lab.service.send_service_control(before, action, call_id="another@h")
    await eventually(lambda: exchange.response is not None)
    assert exchange.response.status == 400
    await a_round_trip(lab, before)
    assert lab.registered["alice"].call_id == before.call_id


async def test_remote_control_is_told_and_not_done(lab, phone):
    alice = await register(lab, phone, "alice")
    exchange = lab.service.send_remotecc(lab.registered["alice"], [remote_request("answercallreq")])
    await eventually(lambda: exchange.response is not None)
    assert exchange.response.status == 202

    async def wait():
        async for event in alice.events():
            if isinstance(event, RemoteControlRequested) and event.request == "answercallreq":
                return event

    assert not (await asyncio.wait_for(wait(), PATIENCE)).allowed
    assert alice.calls == ()


async def test_waiting_messages_are_told(lab, phone):
    alice = await register(lab, phone, "alice")
    lab.service.send_message_summary(lab.registered["alice"], waiting=True, new=3)

    async def wait():
        async for event in alice.events():
            if isinstance(event, MessageWaiting) and event.waiting:
                return event

    assert (await asyncio.wait_for(wait(), PATIENCE)).new == 3


@pytest.mark.parametrize("fallback", [True, False])
async def test_rtp_answers_srtp_only_where_the_server_falls_back(lab, phone, fallback):
    lab.devices.fallback = fallback
    alice = await register(lab, phone, "alice", srtp=SrtpPolicy.OPTIONAL)
    carol = await register(lab, phone, "carol")
    if fallback:
        call, _ = await connect(alice, carol, "carol")
        assert call.audio.security.suite is None
        assert call.security.level is SecurityLevel.NOT_SECURE
        assert "X-cisco-srtp-fallback" in alice._endpoint.config.supported
        return
    with pytest.raises((SecurityShortfall, NotAcceptable), match="has not agreed"):
        await connect(alice, carol, "carol")


async def test_without_any_node_it_says_so(tmp_path, phone):
    async with LabServer(tmp_path / "lab", LabConfig(users=USERS, nodes=2)) as lab:
        config = config_of(lab, "alice")
        for index in range(2):
            await lab.nodes.stop_node(index)
        with pytest.raises(Exception, match=r"refused|reached|answer") as caught:
            await phone.register(config)
        assert not isinstance(caught.value, RegistrationTimeout)


async def test_a_device_with_its_own_line_name_keeps_it(lab, phone):
    config = config_of(lab, "alice")
    config = replace(config, device=replace(config.device, contact="4a1b-guid"))
    await phone.register(config)
    assert lab.registered["alice"].contact.uri.user == "4a1b-guid"
