"""Datagrams from more addresses than we remember push out one another, never what is held."""

from __future__ import annotations

from softphone.net.driver.udp import DatagramSocket
from softphone.sans_io import Flow, Transport

LIMIT = 8


class Owner:
    """Takes every stranger in, and notes whom the socket has forgotten."""

    def __init__(self):
        self.count = 0
        self.forgotten = []
        self.held = set()

    def holds_flow(self, flow):
        return flow in self.held

    def admit_address(self):
        return True

    def make_datagram_flow(self, local, remote):
        self.count += 1
        return Flow(self.count, Transport.UDP, local, remote)

    def datagram_accepted(self, flow, link):
        """Not looked at."""

    def bytes_received(self, flow, data):
        """Not looked at."""

    def flow_ended(self, flow, error):
        self.forgotten.append(flow)


class Wire:
    """A transport that is bound."""

    def get_extra_info(self, name):
        return ("127.0.0.1", 5060)


async def flooded(held):
    owner = Owner()
    link = DatagramSocket(owner, limit=LIMIT, write_buffer=1000)
    link.connection_made(Wire())
    registrar = link.flow_to(("127.0.0.1", 5070))
    if held:
        owner.held.add(registrar)
    for number in range(1000):
        link.datagram_received(b"x", (f"127.0.{number // 250}.{number % 250}", 40000))
    return owner, link, registrar


async def test_a_held_flow_outlives_the_flood():
    owner, link, registrar = await flooded(held=True)
    assert registrar not in owner.forgotten
    assert link.flow_to(registrar.remote) == registrar
    assert len(owner.forgotten) == 1001 - LIMIT


async def test_any_other_flow_does_not():
    owner, _, registrar = await flooded(held=False)
    assert owner.forgotten[0] == registrar


async def test_where_all_flows_are_held_a_stranger_has_none():
    owner = Owner()
    link = DatagramSocket(owner, limit=LIMIT, write_buffer=1000)
    link.connection_made(Wire())
    owner.held |= {link.flow_to(("127.0.0.1", port)) for port in range(1, LIMIT + 1)}
    link.datagram_received(b"x", ("127.1.0.1", 40000))
    assert owner.forgotten == []
    assert link.dropped == 1
    assert (
        link.flow_to(("127.0.0.1", LIMIT + 1)) not in owner.forgotten
    )  # ours is made all the same


async def test_a_datagram_looks_at_a_bounded_number_of_held_flows():
    asked = []

    class Counting(Owner):
        def holds_flow(self, flow):
            asked.append(flow)
            return True

    link = DatagramSocket(Counting(), limit=2000, write_buffer=1000)
    link.connection_made(Wire())
    for port in range(1, 2001):
        link.flow_to(("127.0.0.1", port))
    for number in range(10):
        link.datagram_received(b"x", ("127.1.0.1", 40000 + number))
    assert len(asked) <= 10 * 64
    assert len(set(asked)) == len(asked)  # the next ones are looked at next time
