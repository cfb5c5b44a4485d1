from __future__ import annotations

import asyncio

import pytest

from softphone.errors import TransportError
from softphone.net.driver.udp import DatagramSocket, bind_datagrams, has_address, local_address_for
from softphone.sans_io import Flow, Transport

ALICE, BOB, CAROL = (("192.0.2.1", 5060), ("192.0.2.2", 5060), ("192.0.2.3", 5060))


class Owner:
    def __init__(self):
        self.admitting = True
        self.count = 0
        self.log = []

    def admit_address(self):
        return self.admitting

    def holds_flow(self, flow):
        return False

    def make_datagram_flow(self, local, remote):
        self.count += 1
        return Flow(self.count, Transport.UDP, local, remote)

    def datagram_accepted(self, flow, link):
        self.log.append(("accepted", flow.remote))

    def bytes_received(self, flow, data):
        self.log.append((data, flow.remote))

    def flow_ended(self, flow, error):
        self.log.append(("ended", flow.remote, error and str(error)))


class Wire(asyncio.DatagramTransport):
    def __init__(self, local=("127.0.0.1", 5060)):
        super().__init__({"sockname": local})
        self.sent = []
        self.waiting = 0
        self.closed = self.aborted = False

    def is_closing(self):
        return self.closed

    def get_write_buffer_size(self):
        return self.waiting

    def sendto(self, data, addr=None):
        self.sent.append((data, addr))

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True


def bound(**more):
    owner, wire = Owner(), Wire(**more)
    link = DatagramSocket(owner, limit=2, write_buffer=100)
    link.connection_made(wire)
    return owner, wire, link


async def test_every_address_has_a_flow_of_its_own():
    owner, _, link = bound()
    for data, sender in ((b"1", ALICE), (b"2", BOB), (b"3", ALICE)):
        link.datagram_received(data, sender)
    assert owner.log == [
        ("accepted", ALICE),
        (b"1", ALICE),
        ("accepted", BOB),
        (b"2", BOB),
        (b"3", ALICE),
    ]


async def test_the_least_recently_used_address_is_forgotten():
    owner, _, link = bound()
    link.datagram_received(b"1", ALICE)
    link.datagram_received(b"2", BOB)
    link.send_datagram(b"answer", ALICE)  # sending is use, too
    link.datagram_received(b"3", CAROL)
    assert ("ended", BOB, "forgotten: too many UDP addresses") in owner.log
    first = link.flow_to(ALICE)
    assert link.flow_to(ALICE) == first


async def test_addresses_beyond_our_rate_are_dropped_and_counted():
    owner, _, link = bound()
    link.datagram_received(b"1", ALICE)
    owner.admitting = False
    link.datagram_received(b"2", BOB)
    link.datagram_received(b"3", ALICE)
    assert link.dropped == 1
    assert [entry[0] for entry in owner.log] == ["accepted", b"1", b"3"]


async def test_what_the_socket_does_not_take_is_dropped_and_counted():
    _, wire, link = bound()
    link.send_datagram(b"x" * 100, ALICE)
    wire.waiting = 50
    link.send_datagram(b"y" * 51, ALICE)
    assert wire.sent == [(b"x" * 100, ALICE)]
    assert link.dropped == 1


async def test_an_icmp_error_changes_nothing():
    owner, _, link = bound()
    link.error_received(ConnectionRefusedError())
    assert owner.log == []
    assert link.dropped == 1


async def test_a_forgotten_flow_is_new_with_the_next_datagram():
    owner, _, link = bound()
    old = link.flow_to(ALICE)
    link.forget_flow(old)
    assert link.flow_to(ALICE) != old
    link.forget_flow(old)  # its successor stays
    assert owner.count == 2
    assert link.flow_to(ALICE).id == 2


@pytest.mark.parametrize(
    ("exc", "words"), [(None, None), (OSError("gone"), "the UDP socket was lost: gone")]
)
async def test_the_end_of_the_socket_is_the_end_of_its_flows(exc, words):
    owner, wire, link = bound()
    link.flow_to(ALICE)
    link.close()
    link.datagram_received(b"too late", BOB)
    link.send_datagram(b"too late", BOB)
    link.connection_lost(exc)
    assert owner.log == [("ended", ALICE, words)]
    assert wire.closed
    assert wire.sent == []
    assert link.finished.done()


async def test_a_socket_on_all_addresses_has_flows_with_the_right_one():
    _, _, link = bound(local=("0.0.0.0", 5060))
    assert link.flow_to(("127.0.0.1", 9)).local == ("127.0.0.1", 5060)


async def test_a_socket_that_is_not_bound_says_so():
    link = DatagramSocket(Owner(), limit=1, write_buffer=1)
    assert not link.made
    with pytest.raises(TransportError, match="not bound"):
        _ = link.local
    link.send_datagram(b"x", ALICE)
    link.close()
    link.abort()


def test_an_address_that_leads_nowhere_is_an_error():
    assert local_address_for(("127.0.0.1", 9)) == "127.0.0.1"
    with pytest.raises(TransportError, match="no way to"):
        local_address_for(("255.255.255.255", 9))


async def test_a_datagram_goes_through_real_sockets_and_back():
    one, two = Owner(), Owner()
    bind = {"limit": 4, "write_buffer": 1000}
    first = await bind_datagrams(one, ("127.0.0.1", 0), **bind)
    second = await bind_datagrams(two, ("127.0.0.1", 0), **bind)
    first.send_datagram(b"hello", second.local)
    async with asyncio.timeout(2):
        while not two.log:  # noqa: ASYNC110 - the owner is a plain recorder
            await asyncio.sleep(0.001)
    assert two.log == [("accepted", first.local), (b"hello", first.local)]
    first.close()
    second.abort()
    await asyncio.gather(first.finished, second.finished)


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("0.0.0.0", True), ("192.0.2.1", False), ("2001:db8::1", False)],
)
def test_an_address_of_this_host_is_told_from_others(host, own):
    assert has_address(host) is own
