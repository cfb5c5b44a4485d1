"""Happy eyeballs (RFC 8305): which address is tried when, who wins, and what is left behind."""

from __future__ import annotations

import asyncio
import socket

import pytest

from softphone.errors import TransportError
from softphone.net.stream.address_race import connect_first, interleave_families
from tests.support.waiting import PATIENCE

SIX_1, SIX_2, FOUR_1, FOUR_2, FOUR_3 = (
    (host, 5061) for host in ("2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.3")
)


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ([], []),
        ([FOUR_1], [FOUR_1]),
        ([FOUR_1, FOUR_2, SIX_1], [FOUR_1, SIX_1, FOUR_2]),
        ([SIX_1, SIX_2, FOUR_1, FOUR_2, FOUR_3], [SIX_1, FOUR_1, SIX_2, FOUR_2, FOUR_3]),
    ],
)
def test_families_take_turns_and_each_keeps_its_order(given, order):
    assert interleave_families(given) == order


class Network:
    """What becomes of each address: connected, refused, or silence until the test says more."""

    def __init__(self) -> None:
        self.tried: list[tuple[str, int]] = []
        self.canceled: list[tuple[str, int]] = []
        self.outcomes: dict[tuple[str, int], asyncio.Future[None]] = {}
        self.sockets: dict[tuple[str, int], socket.socket] = {}
        self.both_tried = asyncio.Event()

    def outcome(self, address):
        if address not in self.outcomes:
            self.outcomes[address] = asyncio.get_running_loop().create_future()
        return self.outcomes[address]

    def refuse(self, *addresses):
        for address in addresses:
            self.outcome(address).set_exception(TransportError(f"{address[0]} refuses"))

    def accept(self, *addresses):
        for address in addresses:
            self.outcome(address).set_result(None)

    async def connect(self, address):
        self.tried.append(address)
        if len(self.tried) == 2:
            self.both_tried.set()
        try:
            await asyncio.shield(self.outcome(address))
        except asyncio.CancelledError:
            self.canceled.append(address)
            raise
        self.sockets[address] = made = socket.socket()
        return made


async def test_a_silent_address_does_not_hold_up_the_next_and_is_given_up():
    network = Network()
    network.accept(FOUR_1)
    won = await connect_first([SIX_1, FOUR_1, SIX_2], network.connect, delay=0.0)
    with won:
        assert won is network.sockets[FOUR_1]
        assert SIX_1 in network.tried
        assert FOUR_1 not in network.canceled
        assert SIX_1 in network.canceled


async def test_the_next_address_follows_a_refusal_at_once():
    network = Network()
    network.refuse(SIX_1, FOUR_1)
    network.accept(SIX_2)
    async with asyncio.timeout(PATIENCE):
        won = await connect_first([SIX_1, FOUR_1, SIX_2], network.connect, delay=3600.0)
    with won:
        assert network.tried == [SIX_1, FOUR_1, SIX_2]
        assert network.canceled == []


async def test_an_address_that_answers_in_time_is_the_only_one_tried():
    network = Network()
    network.accept(SIX_1)
    with await connect_first([SIX_1, FOUR_1], network.connect, delay=3600.0):
        assert network.tried == [SIX_1]


async def test_of_two_that_connect_together_the_first_is_taken_and_the_other_closed():
    network = Network()
    racing = asyncio.ensure_future(connect_first([SIX_1, FOUR_1], network.connect, delay=0.0))
    await network.both_tried.wait()
    network.accept(FOUR_1, SIX_1)
    with await racing as won:
        assert won is network.sockets[SIX_1]
        assert network.sockets[FOUR_1].fileno() == -1


async def test_the_first_address_tells_why_none_connects():
    network = Network()
    racing = asyncio.ensure_future(connect_first([SIX_1, FOUR_1], network.connect, delay=0.0))
    await network.both_tried.wait()
    network.refuse(FOUR_1)
    await asyncio.sleep(0)
    network.refuse(SIX_1)
    with pytest.raises(TransportError, match="2001:db8::1 refuses"):
        await racing


async def test_who_gives_up_waiting_leaves_no_attempt():
    network = Network()
    racing = asyncio.ensure_future(connect_first([SIX_1, FOUR_1], network.connect, delay=0.0))
    await network.both_tried.wait()
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    assert sorted(network.canceled) == sorted([SIX_1, FOUR_1])


async def test_a_bug_is_not_taken_for_a_refusal():
    async def connect(address):
        raise LookupError(address[0])

    with pytest.raises(LookupError):
        await connect_first([SIX_1, FOUR_1], connect, delay=0.0)
