"""RTCP sockets are open to all, and are read after media, a few datagrams at a time."""

from __future__ import annotations

import contextlib
import random
import socket

import pytest

from softphone.media import MediaConfig, PortRange, SocketSharing
from softphone.media.bank import StreamBank
from softphone.media.engine.sockets import INCOMING, SHARED_CONTROL_BURST, MediaSockets
from softphone.net.datagrams import CONTROL_BURST

HOST = "127.0.0.1"
ROWS = 32
FLOOD = 100


@contextlib.contextmanager
def flooded(sharing):
    """Sockets of many streams, each RTCP socket full, and one RTP packet for each stream."""
    config = MediaConfig(ports=PortRange(44000, 44999), capacity=ROWS, sharing=sharing)
    bank = StreamBank(ROWS, entropy=random.Random(3).randbytes)
    sockets = MediaSockets(config, bank, entropy=random.Random(5).randbytes)
    with (
        contextlib.closing(sockets),
        contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender,
    ):
        for _ in range(ROWS):
            rtp, rtcp = sockets.bind(bank.reserve_row().handle.row, HOST)
            for _ in range(FLOOD):
                sender.sendto(b"flood", rtcp)
            sender.sendto(b"media", rtp)
        yield sockets, bank


@pytest.mark.parametrize(
    ("sharing", "share"),
    [
        (SocketSharing.PER_CALL, ROWS * CONTROL_BURST),
        (SocketSharing.SHARED, SHARED_CONTROL_BURST),
    ],
)
def test_every_media_packet_is_read_first_and_the_flood_gets_a_small_share(sharing, share):
    with flooded(sharing) as (sockets, bank):
        used = sockets.receive_packets(0, now=1.0, wall=1e9)
        control = bank.demultiplexer.control[sockets.incoming.port[:used]]
        assert not control[:ROWS].any()
        assert {sockets.incoming.packet(at) for at in range(ROWS)} == {b"media"}
        assert control[ROWS:].all()
        assert 0 < used - ROWS <= share < INCOMING
