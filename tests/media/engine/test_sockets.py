"""Sockets by row."""

from __future__ import annotations

import contextlib
import random
import socket

import pytest

from softphone.errors import ConfigurationError, NoPortFree
from softphone.media import (
    MediaConfig,
    PortRange,
    SocketSharing,
)
from softphone.media.bank import StreamBank
from softphone.media.engine.sockets import SHARING, VISITS, MediaSockets
from softphone.media.tick import RemoteAddresses
from softphone.net.datagrams import encode_address

HOST = "127.0.0.1"


@contextlib.contextmanager
def transport(*, sharing=SocketSharing.PER_CALL, capacity=8):
    config = MediaConfig(ports=PortRange(43000, 43999), capacity=capacity, sharing=sharing)
    bank = StreamBank(capacity, entropy=random.Random(3).randbytes)
    made = MediaSockets(config, bank, entropy=random.Random(4).randbytes)
    try:
        yield made, bank
    finally:
        made.close()


def far(port):
    return RemoteAddresses(encode_address((HOST, port)), encode_address((HOST, port + 1)))


def send(data, to):
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.sendto(data, to)


def test_a_stream_has_its_own_pair_which_is_read_with_its_phase():
    with transport() as (sockets, bank):
        row = bank.reserve_row().handle.row
        rtp, rtcp = sockets.bind(row, HOST)
        assert rtcp == (HOST, rtp[1] + 1)
        send(b"media", rtp)
        send(b"control", rtcp)
        assert sockets.receive_packets(bank.phase_of(row), now=1.0, wall=1e9) == 2
        bank.receiver.active[row] = True
        bank.demultiplexer.assign(sockets.incoming)
        assert sockets.incoming.row[:2].tolist() == [row, row]
        control = bank.demultiplexer.control[sockets.incoming.port[:2]]
        found = {sockets.incoming.packet(at): bool(control[at]) for at in range(2)}
        assert found == {b"media": False, b"control": True}
        assert {sockets.local(int(key)) for key in sockets.incoming.port[:2]} == {rtp, rtcp}


def test_a_phase_between_two_visits_is_served_by_the_visit_before_it():
    with transport(capacity=8192) as (sockets, bank):
        assert bank.phases > VISITS
        row = VISITS * bank.phase_rows
        rtp, _ = sockets.bind(row, HOST)
        send(b"one", rtp)
        assert sockets.receive_packets(0, now=1.0, wall=1e9) == 1
        send(b"two", rtp)
        assert sockets.receive_packets(VISITS, now=1.004, wall=1e9) == 0
        assert sockets.incoming.count == 0
        assert sockets.receive_packets(0, now=1.02, wall=1e9) == 1


def test_a_phase_whose_visit_does_not_come_looks_for_itself():
    with transport(capacity=8192) as (sockets, bank):
        rtp, _ = sockets.bind(VISITS * bank.phase_rows, HOST)
        send(b"one", rtp)
        assert sockets.receive_packets(VISITS, now=1.0, wall=1e9) == 1
        assert sockets.receive_packets(0, now=1.0, wall=1e9) == 0
        send(b"two", rtp)
        assert sockets.receive_packets(VISITS, now=1.02, wall=1e9) == 1


@pytest.mark.parametrize("phase", [0, VISITS])
def test_a_row_that_comes_or_goes_is_read_at_the_next_visit_to_its_phase(phase):
    with transport(capacity=8192) as (sockets, bank):
        other = sockets.bind(1 * bank.phase_rows, HOST)[0]
        assert sockets.receive_packets(0, now=1.0, wall=1e9) == 0
        row = phase * bank.phase_rows
        for turn in range(1, 3):
            rtp, _ = sockets.bind(row, HOST)
            send(b"media", rtp)
            assert sockets.receive_packets(0, now=1.0 + turn, wall=1e9) == 1
            sockets.unbind(row)
            assert sockets.receive_packets(0, now=1.5 + turn, wall=1e9) == 0
        send(b"media", other)
        assert sockets.receive_packets(1, now=4.0, wall=1e9) == 1


def test_what_waits_before_the_stream_opens_is_thrown_away():
    with transport() as (sockets, bank):
        row = bank.reserve_row().handle.row
        rtp, rtcp = sockets.bind(row, HOST)
        send(b"early", rtp)
        send(b"early", rtcp)
        sockets.drain(row)
        assert sockets.receive_packets(0, now=0.0, wall=0.0) == 0


def test_a_pair_is_free_again_when_its_last_user_leaves():
    with transport(sharing=SocketSharing.SHARED) as (sockets, bank):
        rows = [bank.reserve_row().handle.row for _ in range(2)]
        pairs = [sockets.bind(row, HOST) for row in rows]
        assert pairs[0] == pairs[1]
        sockets.unbind(rows[0])
        with (
            pytest.raises(OSError, match="in use"),
            contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe,
        ):
            probe.bind(pairs[0][0])
        sockets.unbind(rows[1])
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
            probe.bind(pairs[0][0])


def test_a_shared_socket_serves_a_bounded_number_of_streams():
    with transport(sharing=SocketSharing.SHARED, capacity=SHARING + 1) as (sockets, bank):
        pairs = [sockets.bind(bank.reserve_row().handle.row, HOST) for _ in range(SHARING + 1)]
        assert len(set(pairs)) == 2
        assert pairs[0] == pairs[SHARING - 1] != pairs[SHARING]


def test_shared_sockets_are_for_ipv4():
    with transport(sharing=SocketSharing.SHARED) as (sockets, bank):
        row = bank.reserve_row().handle.row
        with pytest.raises(ConfigurationError, match="IPv4"):
            sockets.bind(row, "::1")


def test_an_address_that_is_not_ours_has_no_port():
    with transport() as (sockets, bank), pytest.raises(NoPortFree, match=r"192\.0\.2\.1"):
        sockets.bind(bank.reserve_row().handle.row, "192.0.2.1")


@pytest.mark.parametrize("mux", [False, True])
def test_rtcp_leaves_by_its_own_socket_or_by_that_of_rtp(mux):
    with (
        transport() as (sockets, bank),
        contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as peer,
    ):
        peer.bind((HOST, 0))
        peer.settimeout(2)
        row = bank.reserve_row().handle.row
        rtp, rtcp = sockets.bind(row, HOST)
        sockets.set_remote(row, far(4000), mux=mux)
        raw = encode_address(peer.getsockname())
        bank.addresses.remote_rtcp[row] = list(raw)
        sockets.send_rtcp(row, b"bye")
        assert peer.recvfrom(100) == (b"bye", rtp if mux else rtcp)
