"""Health: alive, ready, draining; and nothing else is said."""

from __future__ import annotations

import asyncio

import pytest

from softphone.lab import LabServer
from softphone.monitoring import HealthServer
from softphone.phone import Phone
from tests.monitoring.test_page_server import ask
from tests.support.calling import account_of, connect, eventually
from tests.support.direct import address_of, clear
from tests.support.waiting import patiently


async def seen(server):
    """What both pages say."""
    answers = [
        await ask(server.port, f"GET /{each} HTTP/1.1\r\n\r\n".encode())
        for each in ("live", "ready")
    ]
    return [
        (int(each.split()[1]), each.partition(b"\r\n\r\n")[2].decode().strip()) for each in answers
    ]


async def test_a_phone_is_ready_with_an_account_and_until_it_drains():
    async with Phone() as phone, HealthServer(phone) as health:
        assert await seen(health) == [(200, "live"), (503, "not ready")]
        alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
        assert await seen(health) == [(200, "live"), (200, "ready")]
        call, _ = await connect(alice, bob, address_of(bob))
        draining = asyncio.ensure_future(phone.drain(timeout=600))
        await asyncio.sleep(0)
        assert await seen(health) == [(200, "live"), (503, "draining")]
        call.hangup()
        await patiently(draining)


async def test_an_account_that_lost_its_server_is_not_ready(tmp_path):
    async with Phone() as phone, HealthServer(phone) as health:
        async with LabServer(tmp_path / "lab") as lab:
            await account_of(lab, phone, "alice")
            assert (await seen(health))[1] == (200, "ready")
        await eventually(lambda: phone.accounts[0].registration.value == "recovering")
        assert await seen(health) == [(200, "live"), (503, "not ready")]


@pytest.mark.parametrize("path", ["", "metrics", "live/", "ready/x", "draining"])
async def test_its_port_says_nothing_else(path):
    async with Phone() as phone, HealthServer(phone, "0.0.0.0") as health:
        answer = await ask(health.port, f"GET /{path} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404")
    assert answer.endswith(b"\r\n\r\n")
