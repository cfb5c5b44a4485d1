"""Fuzz targets of TFTP: whatever comes, nothing is raised and nothing grows."""

from __future__ import annotations

from softphone.provisioning.tftp.client import DownloadState
from softphone.provisioning.tftp.packet import (
    AckPacket,
    DataPacket,
    ErrorPacket,
    MalformedTftpPacket,
    OackPacket,
    RequestPacket,
    parse_tftp_packet,
)
from softphone.provisioning.tftp.server import TftpServer
from tests.support.tftp import CLIENT, PEER, STRANGER, started

CORPUS = [
    RequestPacket("CSFALICE.cnf.xml.sgn", "octet", {"blksize": "1428", "tsize": "0"}).encode(),
    OackPacket({"blksize": "512", "tsize": "700"}).encode(),
    DataPacket(1, b"x" * 512).encode(),
    DataPacket(2, b"end").encode(),
    AckPacket(1).encode(),
    ErrorPacket(8, "options").encode(),
]


def check_tftp_packet(data: bytes) -> None:
    """A packet, or a refusal; what is read is written as it reads."""
    try:
        packet = parse_tftp_packet(data)
    except MalformedTftpPacket:
        return
    assert parse_tftp_packet(packet.encode()) == packet


def check_download(data: bytes) -> None:
    """One datagram at three moments of a download: at most one answer each."""
    for before in ((), CORPUS[1:2], CORPUS[1:3]):
        machine = started(limit=1000)
        for each in before:
            machine.receive(each, flow=PEER, now=0.0)
        machine.transmits()
        machine.receive(data, flow=PEER, now=1.0)
        assert len(machine.transmits()) <= 1
        state = machine.state
        machine.receive(data, flow=STRANGER, now=1.0)
        assert machine.state is state
        if state is DownloadState.TRANSFERRING:
            assert machine.next_timer() is not None


def check_server(data: bytes) -> None:
    """One datagram before and within a transfer: at most one answer each."""
    server = TftpServer(lambda name: b"x" * 700)
    for each in (data, CORPUS[0], data):
        server.receive(each, flow=CLIENT, now=0.0)
        assert len(server.transmits()) <= 1
    assert len(server) <= 1
