"""A pair of sockets in the loop: what comes, from where, on which port."""

from __future__ import annotations

import asyncio
import os

import pytest

from softphone.net.datagrams import DatagramPair, PortPairs
from softphone.sans_io import Address
from tests.support.waiting import PATIENCE


@pytest.fixture(params=["add_reader", "endpoint"], autouse=True)
def _loop_of_either_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows' own loop has no `add_reader`."""
    if request.param == "endpoint":

        def refuse(*_: object) -> None:
            raise NotImplementedError

        monkeypatch.setattr(asyncio.SelectorEventLoop, "add_reader", refuse)


async def test_datagrams_come_with_their_source_and_port() -> None:
    pairs = PortPairs(42000, 42999, entropy=os.urandom)
    came: list[tuple[bytes, Address, bool]] = []
    visited = asyncio.Event()

    def bound() -> DatagramPair:
        ports = pairs.bind_pair("127.0.0.1", receive_buffer=65536)
        assert ports is not None
        return DatagramPair(
            ports, lambda data, source, control: came.append((data, source, control)), visited.set
        )

    one, other = bound(), bound()
    rtp, rtcp = other.addresses
    one.send_datagram(b"media", rtp, control=False)
    one.send_datagram(b"report", rtcp, control=True)
    async with asyncio.timeout(PATIENCE):
        while len(came) < 2:
            visited.clear()
            await visited.wait()
    assert sorted(came) == sorted(
        [(b"media", one.addresses[0], False), (b"report", one.addresses[1], True)]
    )
    one.send_datagram(b"nowhere", ("127.0.0.1", 0), control=False)
    assert one.unsent == 1
    one.close()
    other.send_datagram(b"to nobody", one.addresses[0], control=False)
    other.close()


async def test_what_came_before_anybody_listens_is_thrown_away() -> None:
    pairs = PortPairs(43000, 43999, entropy=os.urandom)
    came: list[bytes] = []
    ports = pairs.bind_pair("127.0.0.1", receive_buffer=65536)
    assert ports is not None
    visited = asyncio.Event()
    pair = DatagramPair(ports, lambda data, source, control: came.append(data), visited.set)
    pair.send_datagram(b"early", pair.addresses[0], control=True)
    pair.discard_received()
    pair.send_datagram(b"late", pair.addresses[0], control=True)
    async with asyncio.timeout(PATIENCE):
        await visited.wait()
    assert came == [b"late"]
    pair.close()
