"""STUN Binding (RFC 8489): test vectors, hostile answers, and servers on loopback."""

from __future__ import annotations

import asyncio
import random
import socket
import struct

import pytest

from softphone.errors import TransportError, TransportTimeout
from softphone.net.stun import (
    BindingResponse,
    Mapping,
    binding_request,
    find_mapping,
    parse_binding_response,
)
from tests.support.stun import attribute, mapped, other, response

ID = bytes.fromhex("b7e7a701bc34d686fa87dfae")
RFC_5769_IPV4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
"""RFC 5769 section 2.2: the response is 192.0.2.1 port 32853."""
RFC_5769_IPV6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004c8fb0b4c"
)
"""RFC 5769 section 2.3: the response is 2001:db8:1234:5678:11:2233:4455:6677 port 32853."""


def without_integrity(data: bytes) -> bytes:
    """Cut MESSAGE-INTEGRITY and FINGERPRINT off: nobody has agreed on a password."""
    body = data[20:-32]
    return data[:2] + struct.pack("!H", len(body)) + data[4:20] + body


@pytest.mark.parametrize(
    ("data", "address"),
    [
        (RFC_5769_IPV4, ("192.0.2.1", 32853)),
        (RFC_5769_IPV6, ("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
    ],
)
def test_the_vectors_of_rfc_5769(data, address):
    assert parse_binding_response(without_integrity(data), ID) == BindingResponse(address)


def test_a_request_is_a_header_alone():
    assert binding_request(ID) == bytes.fromhex("000100002112a442") + ID


def test_only_the_response_to_our_request_counts():
    good = response(ID, mapped("192.0.2.1", 4000))
    assert parse_binding_response(good, ID) is not None
    for bit in range(96):
        changed = (int.from_bytes(ID, "big") ^ 1 << bit).to_bytes(12, "big")
        assert parse_binding_response(good, changed) is None
    assert parse_binding_response(binding_request(ID), ID) is None
    assert parse_binding_response(good[:4] + bytes(4) + good[8:], ID) is None


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (response(ID), "no address"),
        (response(ID, mapped("192.0.2.1", 0)), "no address"),
        (response(ID, attribute(0x0020, bytes(7))), "no address"),
        (response(ID, attribute(0x7F00, b""), mapped("192.0.2.1", 4)), "not understood"),
        (response(ID, attribute(9, b"\0\0\4\x14Unknown\x07"), kind=0x0111), "420 Unknown"),
        (response(ID, kind=0x0111), "it refused"),
    ],
)
def test_a_refusal_is_told(data, error):
    found = parse_binding_response(data, ID)
    assert found.mapped is None
    assert error in found.error


def test_no_octets_raise():
    chance = random.Random(8489)
    good = response(ID, other("192.0.2.9", 1), mapped("192.0.2.1", 4000))
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            data[chance.choice([2, 3, *range(20, len(data))])] = chance.randrange(256)
        parse_binding_response(bytes(data[: chance.randrange(len(data) + 1)]), ID)


class Server(asyncio.DatagramProtocol):
    """A STUN server; `answers(request, source)` are the datagrams that it sends for a request."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.asked += 1
        for each in self.answers(data, addr):
            self.transport.sendto(each, addr)


@pytest.fixture
async def serve():
    transports = []

    async def start(answers):
        transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Server(answers), local_addr=("127.0.0.1", 0)
        )
        transports.append(transport)
        return server, transport.get_extra_info("sockname")

    yield start
    for transport in transports:
        transport.close()


@pytest.fixture
def asking():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        yield sock


async def test_a_server_tells_the_address_of_the_very_socket(serve, asking, entropy):
    def answers(request, source):
        strange = response(bytes(12), mapped("192.0.2.66", 66))
        return [b"noise", strange, response(request[8:20], mapped(*source))]

    _, address = await serve(answers)
    assert await find_mapping(asking, address, entropy=entropy) == Mapping(asking.getsockname())


@pytest.mark.parametrize(("shift", "symmetric"), [(0, False), (1, True)])
async def test_a_nat_that_maps_each_destination_anew_is_told(
    serve, asking, entropy, shift, symmetric
):
    _, second = await serve(
        lambda request, source: [response(request[8:20], mapped(source[0], source[1] + shift))]
    )
    _, first = await serve(
        lambda request, source: [response(request[8:20], mapped(*source), other(*second))]
    )
    found = await find_mapping(asking, first, entropy=entropy)
    assert found == Mapping(asking.getsockname(), symmetric)


async def test_another_host_is_not_asked_on_the_word_of_the_server(serve, asking, entropy):
    _, first = await serve(
        lambda request, source: [response(request[8:20], mapped(*source), other("127.0.0.9", 9))]
    )
    assert (await find_mapping(asking, first, entropy=entropy)).symmetric is None


async def test_a_second_port_that_is_silent_says_nothing_of_the_nat(serve, asking, entropy):
    _, second = await serve(lambda request, source: [])
    _, first = await serve(
        lambda request, source: [response(request[8:20], mapped(*source), other(*second))]
    )
    found = await find_mapping(asking, first, entropy=entropy, waits=(0.05,))
    assert found.symmetric is None


async def test_a_lost_request_is_sent_again_and_a_silent_server_given_up(serve, asking, entropy):
    lost = []

    def answers(request, source):
        lost.append(request)
        return [response(request[8:20], mapped(*source))] if len(lost) > 1 else []

    _, address = await serve(answers)
    found = await find_mapping(asking, address, entropy=entropy, waits=(0.01, 20.0))
    assert found.address == asking.getsockname()
    assert lost[0] == lost[1]
    server, silent = await serve(lambda request, source: [])
    with pytest.raises(TransportTimeout, match="did not answer"):
        await find_mapping(asking, silent, entropy=entropy, waits=(0.01, 0.01))
    assert server.asked >= 1


async def test_a_flood_of_others_ends_the_question(serve, asking, entropy):
    _, address = await serve(lambda request, source: [b"x"] * 100)
    with pytest.raises(TransportTimeout):
        await find_mapping(asking, address, entropy=entropy, waits=(3600.0,))


async def test_a_server_that_refuses_is_an_error(serve, asking, entropy):
    _, address = await serve(
        lambda request, source: [
            response(request[8:20], attribute(9, b"\0\0\5\0Server Error"), kind=0x0111)
        ]
    )
    with pytest.raises(TransportError, match="500 Server Error"):
        await find_mapping(asking, address, entropy=entropy)


async def test_a_server_out_of_reach_is_an_error(asking, entropy):
    with pytest.raises(TransportError, match="cannot be asked"):
        await find_mapping(asking, ("255.255.255.255", 1), entropy=entropy)
