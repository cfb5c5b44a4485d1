"""Batched UDP over real loopback sockets, both ways of doing it."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from softphone.net.datagrams import (
    BURST,
    DatagramBatch,
    DatagramPort,
    DatagramPorts,
    PortPairs,
    decode_address,
    encode_address,
)
from softphone.net.datagrams import batched_udp as module
from softphone.net.datagrams.batched_udp import SLOT

HOST = "127.0.0.1"


@pytest.fixture(params=["batched", "plain"])
def way(request, monkeypatch):
    """Run a test with the batched calls, where they are, and with the plain ones."""
    if request.param == "plain":
        monkeypatch.setattr(module, "LIBRARY", None)
        monkeypatch.setattr(module, "BATCHED", False)
    elif not module.BATCHED:
        pytest.skip("no recvmmsg here")
    return request.param


@pytest.fixture
def ports(way):
    ports = DatagramPorts()
    yield ports
    ports.close()


def bind(ports, *, watch=True, **options):
    port = DatagramPort((HOST, 0), receive_buffer=1 << 18, **options)
    ports.add_port(port, watch=watch)
    return port


def load(batch, rows):
    """Put (port, to, data) rows into a batch."""
    for at, (port, to, data) in enumerate(rows):
        batch.data[at, : len(data)] = np.frombuffer(data, dtype=np.uint8)
        batch.length[at] = len(data)
        batch.port[at] = port.key
        batch.address[at] = np.frombuffer(encode_address(to), dtype=np.uint8)


def test_what_one_socket_sends_another_receives_with_its_source(ports):
    one, two = bind(ports), bind(ports)
    out, into = DatagramBatch(8), DatagramBatch(8)
    load(out, [(one, two.address, b"x" * 172), (two, one.address, b"y")])
    assert out.send_datagrams(ports, 0, 2) == 2
    assert {port.key for port in ports.readable()} >= {one.key, two.key}
    assert into.receive_datagrams([one, two], now=5.0, wall=1e9) == 2
    assert into.port[:2].tolist() == [one.key, two.key]
    assert into.length[:2].tolist() == [1, 172]
    assert into.data[1, :172].tobytes() == b"x" * 172
    assert decode_address(into.address[0].tobytes()) == two.address


def test_a_run_of_packets_of_one_socket_leaves_whole(ports):
    one, two = bind(ports), bind(ports, burst=64)
    out, into = DatagramBatch(32), DatagramBatch(64)
    load(out, [(one, two.address, bytes((at,)) * 20) for at in range(32)])
    assert out.send_datagrams(ports, 4, 32) == 28
    assert into.receive_datagrams([two], now=0.0, wall=0.0) == 28
    assert into.data[:28, 0].tolist() == list(range(4, 32))


def test_a_visit_takes_no_more_than_a_burst_and_no_more_than_there_is_room_for(ports):
    one = bind(ports)
    narrow, wide = bind(ports, burst=3), bind(ports, burst=100)
    for _ in range(10):
        one.socket.sendto(b"z", narrow.address)
        one.socket.sendto(b"z", wide.address)
    into = DatagramBatch(5)
    assert into.receive_datagrams([narrow, wide], now=0.0, wall=0.0) == 5
    assert into.port.tolist() == [narrow.key] * 3 + [wide.key] * 2
    assert into.receive_datagrams([narrow, wide], now=0.0, wall=0.0) == 5
    assert BURST == 64


def test_a_datagram_that_is_too_long_has_no_length(ports):
    one, two = bind(ports), bind(ports)
    one.socket.sendto(bytes(SLOT + 1), two.address)
    into = DatagramBatch(2)
    assert into.receive_datagrams([two], now=0.0, wall=0.0) == 1
    assert into.length[0] == 0


def test_rows_are_clean_when_they_are_used_again(ports):
    one, two = bind(ports), bind(ports)
    into = DatagramBatch(4)
    for size in (300, 20, 1):
        one.socket.sendto(b"q" * size, two.address)
        assert into.receive_datagrams([two], now=0.0, wall=0.0) == 1
        assert into.length[0] == size
        assert decode_address(into.address[0].tobytes()) == one.address
    assert into.receive_datagrams([two], now=0.0, wall=0.0) == 0


def test_what_the_system_refuses_is_lost_and_the_rest_leaves(ports):
    one, two = bind(ports), bind(ports)
    out, into = DatagramBatch(4), DatagramBatch(4)
    load(out, [(one, (HOST, 0), b"a"), (one, two.address, b"b"), (one, two.address, b"c")])
    assert out.send_datagrams(ports, 0, 3) == 2
    assert into.receive_datagrams([two], now=0.0, wall=0.0) == 2


def test_ipv6_works_beside_ipv4(ports):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        six = DatagramPort(("::1", 0), receive_buffer=1 << 16)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    ports.add_port(six, watch=True)
    four = bind(ports)
    out, into = DatagramBatch(4), DatagramBatch(4)
    load(out, [(six, six.address, b"6"), (four, four.address, b"4"), (six, six.address, b"6")])
    assert out.send_datagrams(ports, 0, 3) == 3
    assert into.receive_datagrams([six, four], now=0.0, wall=0.0) == 3
    sources = [decode_address(into.address[at].tobytes()) for at in range(3)]
    assert sources == [six.address, six.address, four.address]


def test_an_ipv4_name_keeps_nothing_of_the_ipv6_one_before_it(ports):
    four, into = bind(ports), DatagramBatch(1)
    into.address[0, 16:] = 6
    into._wide = True
    four.socket.sendto(b"4", four.address)
    assert into.receive_datagrams([four], now=0.0, wall=0.0) == 1
    assert into.address[0].tobytes() == encode_address(four.address)


def test_a_run_goes_on_behind_each_packet_that_is_refused(ports):
    one, two = bind(ports), bind(ports)
    out, into = DatagramBatch(8), DatagramBatch(8)
    nowhere = ("255.255.255.255", 9)
    to = [nowhere, two.address, two.address, nowhere, nowhere, two.address, nowhere]
    load(out, [(one, address, bytes([at])) for at, address in enumerate(to)])
    assert out.send_datagrams(ports, 0, len(to)) == 3
    assert into.receive_datagrams([two], now=0.0, wall=0.0) == 3
    assert into.data[:3, 0].tolist() == [1, 2, 5]


@pytest.mark.skipif(not module.BATCHED, reason="needs the system's arrival stamps")
def test_the_arrival_is_when_the_system_took_it_not_when_it_was_read():
    import time

    ports = DatagramPorts()
    one, two = bind(ports), bind(ports)
    one.socket.sendto(b"t", two.address)
    sent = time.time()
    into = DatagramBatch(2)
    # Read a quarter of a second later, by a clock that stands at 100.
    assert into.receive_datagrams([two], now=100.0, wall=sent + 0.25) == 1
    assert 99.7 < into.arrival[0] < 99.8
    ports.close()


@pytest.mark.skipif(not module.BATCHED, reason="needs SO_RXQ_OVFL")
def test_what_the_system_drops_is_counted():
    ports = DatagramPorts()
    one = bind(ports)
    two = DatagramPort((HOST, 0), receive_buffer=2304)
    ports.add_port(two, watch=True)
    for _ in range(100):
        one.socket.sendto(bytes(400), two.address)
    into = DatagramBatch(128)
    taken = into.receive_datagrams([two], now=0.0, wall=0.0)
    one.socket.sendto(b"last", two.address)
    used = into.receive_datagrams([two], now=0.0, wall=0.0)
    ports.note_overflows(into.overflows(used))
    assert 0 < taken < 100
    assert two.overflows == 100 - taken
    ports.close()


def test_a_port_that_is_not_watched_is_not_polled_and_a_removed_one_is_gone(ports, way):
    watched, ignored = bind(ports), bind(ports, watch=False)
    for port in (watched, ignored):
        port.socket.sendto(b"x", port.address)
    assert ports.readable() == [watched]
    assert watched.discard_received() == 1
    ports.remove_port(watched)
    assert ports.readable() == []
    assert len(ports) == 1
    assert ports[ignored.key] is ignored


def test_the_receive_buffer_is_read_back():
    port = DatagramPort((HOST, 0), receive_buffer=100_000)
    assert port.receive_buffer >= 100_000
    port.close()


def test_pairs_are_even_then_odd_and_busy_ones_are_passed_over():
    pairs = PortPairs(40001, 40009, entropy=bytes)
    blocker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    blocker.bind((HOST, 40005))
    found = []
    while (pair := pairs.bind_pair(HOST, receive_buffer=4096)) is not None:
        found.append(pair)
    numbers = sorted((rtp.address[1], rtcp.address[1]) for rtp, rtcp in found)
    assert numbers == [(40002, 40003), (40006, 40007), (40008, 40009)]
    for port in (port for pair in found for port in pair):
        port.close()
    blocker.close()
    again = pairs.bind_pair(HOST, receive_buffer=4096)
    assert again is not None
    for port in again:
        port.close()


def test_another_trouble_than_a_busy_port_is_told():
    with pytest.raises(OSError, match="assign"):
        PortPairs(40020, 40029, entropy=bytes).bind_pair("192.0.2.1", receive_buffer=4096)
