"""Datagrams from more addresses than we remember push out one another, never the registrar."""

from __future__ import annotations

from softphone.net.driver.udp import DatagramSocket
from softphone.sans_io import Flow, Transport

LIMIT = 8


class Owner:
    """Takes every stranger in, and notes whom the socket has forgotten."""

    def __init__(self):
        self.count = 0
        self.forgotten = []

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


async def flooded(kept):
    owner = Owner()
    link = DatagramSocket(owner, limit=LIMIT, write_buffer=1000)
    link.connection_made(Wire())
    registrar = link.flow_to(("127.0.0.1", 5070))
    if kept:
        link.pin_flow(registrar)
    for number in range(1000):
        link.datagram_received(b"x", (f"127.0.{number // 250}.{number % 250}", 40000))
    return owner, link, registrar


async def test_a_kept_flow_outlives_the_flood():
    owner, link, registrar = await flooded(kept=True)
    assert registrar not in owner.forgotten
    assert link.flow_to(registrar.remote) == registrar
    assert len(owner.forgotten) == 1001 - LIMIT


async def test_any_other_flow_does_not():
    owner, _, registrar = await flooded(kept=False)
    assert owner.forgotten[0] == registrar


async def test_a_kept_flow_that_was_forgotten_is_kept_no_more():
    owner, link, registrar = await flooded(kept=True)
    link.forget_flow(registrar)
    again = link.flow_to(registrar.remote)
    assert again != registrar
    for number in range(LIMIT + 1):
        link.datagram_received(b"x", ("127.1.0.1", 40000 + number))
    assert again in owner.forgotten
