"""The capture on loopback sees each datagram once, with its payload and both ends."""

from __future__ import annotations

import socket

import pytest

pytestmark = pytest.mark.peer("capture")


def test_every_datagram_is_seen_once_and_in_order(capture):
    payloads = [f"datagram {number}".encode() for number in range(500)]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        for end in (sender, receiver):
            end.bind(("127.0.0.1", 0))
        source, destination = sender.getsockname(), receiver.getsockname()
        for payload in payloads:
            sender.sendto(payload, destination)
    capture.stop()
    seen = capture.sent_by(source[1])
    assert [one.payload for one in seen] == payloads
    assert {(one.source, one.destination) for one in seen} == {(source, destination)}
    assert capture.on_ports(destination[1]) == seen
