"""Live secure calls beside 10,000 malformed messages and a flood at their media: all go on.

Real sockets, the server in a loop of its own with the phone.  `bench/call/bench_hostile_load.py` is
the same at a million datagrams a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from softphone.config import load_account
from softphone.events import CallState
from softphone.lab import LabConfig, LabServer
from softphone.media import RemoteLatched
from softphone.phone import Phone
from softphone.sans_io import Transport
from tests.support.hostile import Eavesdropper, malformed, variations
from tests.support.recorder import until
from tests.support.waiting import PATIENCE

CALLS = 4
MESSAGES = 10_000
ROUNDS = 100
"""Each throws all variations at both ports of every call: 100 are 19,200 datagrams."""


async def throw_messages(where):
    """Malformed messages over UDP, a few at a time, so that they are read and not just dropped."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as attacker:
        for number, data in enumerate(malformed(MESSAGES)):
            attacker.sendto(data[:60_000], where)
            if number % 50 == 49:
                await asyncio.sleep(0)


async def throw_packets(heard):
    """All variations at every place where media goes; gives how many."""
    count = 0
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as attacker:
        attacker.bind(("127.0.0.1", 0))
        for turn in range(ROUNDS):
            for (host, port), packet in tuple(heard.packets.items()):
                for data in variations(packet, seed=turn):
                    attacker.sendto(data, (host, port))
                    attacker.sendto(data, (host, port ^ 1))
                    count += 2
            await asyncio.sleep(0.005)
    return count


def told(call):
    """What must be the same afterwards."""
    return call.state, call.security


async def test_no_call_is_lost_and_no_latch_moves(tmp_path):
    heard = Eavesdropper()
    async with LabServer(tmp_path, LabConfig()) as lab, Phone(tap=heard) as phone:
        account = await phone.register(load_account(lab.accounts["alice"]).config)
        calls = [await account.dial("601").answered(timeout=PATIENCE) for _ in range(CALLS)]
        await until(lambda: all(call.audio.statistics.packets_received > 10 for call in calls))
        moves = []
        for call in calls:
            call._leg.media_listeners.append(
                lambda event: moves.append(event) if isinstance(event, RemoteLatched) else None
            )
        before = [told(call) for call in calls]
        heard_before = [call.audio.statistics.packets_received for call in calls]
        await throw_messages(lab.addresses[Transport.UDP])
        thrown = await throw_packets(heard)
        assert thrown > ROUNDS * CALLS * 12
        await until(
            lambda: all(
                call.audio.statistics.packets_received > count + 25
                for call, count in zip(calls, heard_before, strict=True)
            )
        )
        assert [told(call) for call in calls] == before
        assert all(call.state is CallState.CONFIRMED for call in calls)
        assert lab.calls == CALLS
        statistics = [call.audio.statistics for call in calls]
        assert all(each.authentication_failures + each.replayed for each in statistics)
        assert moves == []
        events = []
        for call in calls:
            call.hangup()
            events += [type(event).__name__ async for event in call.events()]
        assert events.count("CallEnded") == CALLS
