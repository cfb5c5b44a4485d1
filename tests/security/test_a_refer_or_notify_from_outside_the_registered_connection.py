"""REFER and NOTIFY that come past the registered connection change nothing, whoever sends them.

The attacker here has all that can be had: a certificate of the same authority, the phone's own
Call-ID of REGISTER, and a connection that the phone itself has opened to a standby server.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.config import load_account
from softphone.events import RemoteControlRequested, ServiceRequested
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.phone import Phone
from softphone.sans_io import Transport
from softphone.sip.event_packages import remote_request
from softphone.sip.event_packages.cisco_service_control import ServiceAction
from tests.support.calling import eventually

USERS = (LabUser("alice", Login(Transport.TLS, certificate=True), "cisco_phone"),)


@pytest.fixture
async def world(tmp_path):
    """A registered phone, its binding, and the same binding as if over the standby's flow."""
    config = LabConfig(users=USERS, nodes=2)
    async with LabServer(tmp_path / "lab", config) as lab, Phone() as phone:
        alice = await phone.register(load_account(lab.accounts["alice"]).config)
        await eventually(lambda: lab.devices.keep_alives == 1)
        binding = lab.registered["alice"]
        (standby,) = [flow for flow in lab._driver.flows if flow != binding.flow]
        assert standby.local == lab.nodes.addresses[1]
        yield lab, alice, binding, replace(binding, flow=standby)


async def answered(exchange):
    await eventually(lambda: exchange.response is not None)
    return exchange.response.status


async def told_after(account, lab, binding):
    """All that the account has been told, once a harmless request has gone through."""
    await answered(lab.service.send_message_summary(binding, waiting=False))
    return list(account._events._events)


def wishes(events):
    kinds = (ServiceRequested, RemoteControlRequested)
    return [event for event in events if isinstance(event, kinds)]


async def test_a_reset_over_another_connection_is_refused(world):
    lab, alice, binding, outside = world
    before = wishes(await told_after(alice, lab, binding))
    for action in ServiceAction:
        assert await answered(lab.service.send_service_control(outside, action)) == 403
    assert wishes(await told_after(alice, lab, binding)) == before
    await asyncio.sleep(0.1)
    assert lab.registered["alice"].call_id == binding.call_id


async def test_remote_control_over_another_connection_is_refused(world):
    lab, alice, binding, outside = world
    before = wishes(await told_after(alice, lab, binding))
    for name in ("answercallreq", "initiatecallreq", "bulkupdate"):
        assert await answered(lab.service.send_remotecc(outside, [remote_request(name)])) == 403
    assert wishes(await told_after(alice, lab, binding)) == before
    assert alice.calls == ()


async def test_a_refer_to_somebody_calls_nobody_wherever_it_comes_from(world):
    lab, alice, binding, outside = world
    for place, status in ((binding, 603), (outside, 403)):
        request = lab.service
        fields = [("Refer-To", "<sip:mallory@192.0.2.66>"), ("Contact", "<sip:127.0.0.1>")]
        exchange = request._send_request("REFER", place, fields, remote_request("x"))
        assert await answered(exchange) == status
    assert alice.calls == ()
    assert lab.calls == 0


async def test_the_registered_connection_is_heard(world):
    lab, _, binding, _ = world
    assert (
        await answered(lab.service.send_service_control(binding, ServiceAction.CHECK_VERSION))
        == 200
    )
    assert await answered(lab.service.send_remotecc(binding, [remote_request("dndupdate")])) == 202
