"""Service control is carried out after the last call, by whoever sees to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from softphone.account.service_control import ServiceControlHandler
from softphone.events import ServiceRequested


@dataclass(frozen=True)
class Leg:
    ended: asyncio.Future


class Device:
    def __init__(self, calls=0, sees_to_it=None):
        loop = asyncio.get_running_loop()
        self.legs = {Leg(loop.create_future()): None for _ in range(calls)}
        self.done = []

        async def start_anew():
            self.done.append("anew")

        async def on_service(request):
            self.done.append(request.action)
            return sees_to_it

        hook = None if sees_to_it is None else on_service
        self.carrier = ServiceControlHandler(self.legs, start_anew, hook)


@pytest.mark.parametrize(
    ("action", "done"), [("reset", ["anew"]), ("restart", ["anew"]), ("check-version", [])]
)
async def test_without_anybody_who_sees_to_it_the_binding_is_made_anew(action, done):
    device = Device()
    await device.carrier.carry_out(ServiceRequested(action))
    assert device.done == done


@pytest.mark.parametrize("sees_to_it", [True, False])
async def test_who_sees_to_it_is_asked_first(sees_to_it):
    device = Device(sees_to_it=sees_to_it)
    await device.carrier.carry_out(ServiceRequested("restart"))
    assert device.done == (["restart"] if sees_to_it else ["restart", "anew"])


async def test_it_waits_for_the_last_call():
    device = Device(calls=2)
    working = asyncio.create_task(device.carrier.carry_out(ServiceRequested("reset")))
    while device.legs:
        for _ in range(10):  # whatever it does not wait for is done in fewer turns of the loop
            await asyncio.sleep(0)
        assert device.done == []
        assert not working.done()
        device.legs.popitem()[0].ended.set_result(None)
    await asyncio.wait_for(working, 1)
    assert device.done == ["anew"]
