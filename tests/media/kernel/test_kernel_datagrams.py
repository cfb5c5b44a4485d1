"""The kernel's part for sockets, over real sockets on loopback."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np
import pytest

from softphone.media.bank import PacketBatch, StreamBank
from softphone.media.kernel import MOST_PACKETS, BankKernel
from softphone.net.datagrams import DatagramPort, decode_address, encode_address
from softphone.net.datagrams.batched_udp import SLOT

HOST = "127.0.0.1"
NOWHERE = ("255.255.255.255", 9)
"""A broadcast, which a socket without SO_BROADCAST is refused."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs recvmmsg")


@pytest.fixture
def kernel(compiled: ModuleType) -> BankKernel:
    return BankKernel(StreamBank(8, entropy=random.Random(1).randbytes), compiled)


@pytest.fixture
def bind() -> Iterator[Callable[..., DatagramPort]]:
    made = []

    def make(host: str = HOST, *, receive_buffer: int = 1 << 20) -> DatagramPort:
        made.append(DatagramPort((host, 0), receive_buffer=receive_buffer))
        return made[-1]

    yield make
    for port in made:
        port.close()


def receive(
    kernel: BankKernel,
    into: PacketBatch,
    *bursts: tuple[DatagramPort, int],
    now: float = 0.0,
    wall: float = 0.0,
) -> tuple[list[tuple[int, bytes]], dict[int, int]]:
    """What one visit to the ports reads, by descriptor, and the counts of drops."""
    descriptors, most = [port.fd for port, _ in bursts], [burst for _, burst in bursts]
    into.count, drops = kernel.receive_datagrams(into, descriptors, most, now=now, wall=wall)
    return [(int(into.port[at]), into.packet(at)) for at in range(into.count)], drops


def load(*rows: tuple[int, tuple[str, int], bytes]) -> PacketBatch:
    """A batch of (descriptor, destination, data)."""
    batch = PacketBatch.allocate(max(1, len(rows)))
    for descriptor, to, data in rows:
        raw = np.frombuffer(encode_address(to), dtype=np.uint8)
        assert batch.append_packet(-1, descriptor, raw, data)
    return batch


def test_datagrams_of_several_sockets_come_in_order_with_source_and_length(kernel, bind):
    one, two, three, far = bind(), bind(), bind(), bind()
    sent = [(port, bytes([at]) * (1 + 7 * at)) for at, port in enumerate([one, three, one, one])]
    for port, data in sent:
        far.socket.sendto(data, port.address)
    into = PacketBatch.allocate(16)
    found, _ = receive(kernel, into, (one, 64), (two, 64), (three, 64))
    assert found == [(port.fd, data) for port, data in sorted(sent, key=lambda it: it[0] is three)]
    for at in range(4):
        assert into.address[at].tobytes() == encode_address(far.address)
    assert receive(kernel, into, (one, 64), (two, 64), (three, 64)) == ([], {})


def test_a_visit_takes_each_burst_and_no_more_than_there_is_room_for(kernel, bind):
    one, two, far = bind(), bind(), bind()
    for number in range(200):
        far.socket.sendto(number.to_bytes(2, "big"), one.address)
        far.socket.sendto(number.to_bytes(2, "big"), two.address)
    into = PacketBatch.allocate(160)
    for visit, (bursts, share) in enumerate([((3, 130), (3, 130)), ((90, 200), (90, 70))]):
        found, _ = receive(kernel, into, (one, bursts[0]), (two, bursts[1]))
        ports = [each for each, _ in found]
        assert (ports.count(one.fd), ports.count(two.fd)) == share, visit
        first = 0 if visit == 0 else 3
        mine = [int.from_bytes(data, "big") for each, data in found if each == one.fd]
        assert mine == list(range(first, first + share[0]))
    assert receive(kernel, into, (one, 0))[0] == []


def test_a_datagram_that_is_too_long_has_no_length(kernel, bind):
    one, far, into = bind(), bind(), PacketBatch.allocate(4)
    for size in (SLOT, SLOT + 1, 0, 5):
        far.socket.sendto(bytes(size), one.address)
    receive(kernel, into, (one, 64))
    assert into.length.tolist() == [SLOT, 0, 0, 5]


def test_an_ipv4_source_keeps_nothing_of_an_ipv6_one(kernel, bind):
    try:
        six = bind("::1")
    except OSError:
        pytest.skip("no IPv6 loopback here")
    four, into = bind(), PacketBatch.allocate(1)
    for port in (six, four):
        port.socket.sendto(b"x", port.address)
        assert receive(kernel, into, (port, 1))[0] == [(port.fd, b"x")]
        assert into.address[0].tobytes() == encode_address(port.address)


def test_the_arrival_is_the_systems_stamp_on_the_callers_clock(kernel, bind):
    one, far, into = bind(), bind(), PacketBatch.allocate(1)
    for age, at_least, at_most in ((0.25, 99.7, 99.8), (-3.0, 100.0, 100.0), (7.0, 99.0, 99.0)):
        before = time.time()
        far.socket.sendto(b"t", one.address)
        took = time.time() - before
        receive(kernel, into, (one, 1), now=100.0, wall=before + age)
        assert at_least <= into.arrival[0] <= at_most + took


def test_what_the_system_drops_is_counted(kernel, bind):
    narrow, far, into = bind(receive_buffer=2304), bind(), PacketBatch.allocate(128)
    for _ in range(100):
        far.socket.sendto(bytes(400), narrow.address)
    taken, _ = receive(kernel, into, (narrow, 128))
    far.socket.sendto(b"last", narrow.address)
    _, drops = receive(kernel, into, (narrow, 128))
    assert 0 < len(taken) < 100
    assert drops == {narrow.fd: 100 - len(taken)}


def test_a_port_that_nobody_has_does_not_hide_what_waits_behind_its_error(kernel, bind):
    one, gone, into = bind(), bind(), PacketBatch.allocate(4)
    one.socket.connect(gone.address)
    gone.close()
    one.socket.send(b"to nobody")  # its answer is an ICMP error, which the next call reports
    assert receive(kernel, into, (one, 64))[0] == []
    one.socket.connect(one.address)
    one.socket.send(b"mine")
    assert receive(kernel, into, (one, 64))[0] == [(one.fd, b"mine")]


def test_runs_and_single_packets_leave_on_their_sockets(kernel, bind):
    one, two, far = bind(), bind(), bind()
    order = [one] * 70 + [two] + [one] + [two] * 3
    batch = load(*((port.fd, far.address, bytes([at])) for at, port in enumerate(order)))
    assert kernel.send_datagrams(batch, 2, 75) == 73
    into = PacketBatch.allocate(80)
    assert [data[0] for _, data in receive(kernel, into, (far, 80))[0]] == list(range(2, 75))
    sources = [decode_address(raw.tobytes()) for raw in into.address[:73]]
    assert sources == [port.address for port in order[2:]]


def test_what_the_system_refuses_is_lost_and_the_rest_of_the_run_leaves(kernel, bind):
    one, far = bind(), bind()
    to = [NOWHERE, far.address, far.address, NOWHERE, NOWHERE, far.address, NOWHERE]
    batch = load(*((one.fd, each, bytes([at])) for at, each in enumerate(to)))
    assert kernel.send_datagrams(batch, 0, 7) == 3
    found, _ = receive(kernel, PacketBatch.allocate(8), (far, 8))
    assert [data for _, data in found] == [b"\1", b"\2", b"\5"]
    assert kernel.send_datagrams(batch, 0, 1) == 0


def test_a_closed_socket_ends_its_run_only(kernel, bind):
    one, far, closed = bind(), bind(), bind()
    descriptor = closed.fd
    batch = load(*((each, far.address, b"x") for each in [descriptor] * 3 + [one.fd] * 2))
    closed.close()
    assert kernel.send_datagrams(batch, 0, 5) == 2


def test_rows_that_the_batch_has_not_are_not_sent(kernel, bind):
    one, far = bind(), bind()
    batch = load(*[(one.fd, far.address, b"x")] * 3)
    assert [kernel.send_datagrams(batch, *span) for span in ((-1, 2), (0, 4), (2, 1))] == [0, 0, 0]


def test_a_batch_that_is_larger_than_the_kernels_arrays_is_refused(kernel, bind):
    with pytest.raises(ValueError, match=f"takes {MOST_PACKETS} at most"):
        receive(kernel, PacketBatch.allocate(MOST_PACKETS + 1, 32), (bind(), 64))
