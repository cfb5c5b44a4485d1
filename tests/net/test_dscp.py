"""Marks on sockets, and systems that refuse them."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from softphone import operating_system
from softphone.net import dscp
from softphone.net.datagrams import DatagramPair, PortPairs
from softphone.net.dscp import mark_socket


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch):
    monkeypatch.setattr(dscp, "_refusals", set())


class Refusing:
    """A socket whose system allows no marks."""

    family = socket.AF_INET

    def setsockopt(self, level: int, option: int, value: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize(
    ("family", "level", "option"),
    [
        (socket.AF_INET, socket.IPPROTO_IP, socket.IP_TOS),
        (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
    ],
)
def test_the_code_point_is_in_the_upper_six_bits(family, level, option):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        mark_socket(sock, 46)
        assert sock.getsockopt(level, option) == 0xB8
        mark_socket(sock, 0)
        assert sock.getsockopt(level, option) == 0


def test_a_refusal_is_told_once_and_stops_nothing(caplog):
    for _ in range(3):
        mark_socket(Refusing(), 46)
    assert [record.getMessage() for record in caplog.records] == [
        "packets leave without their DSCP mark: Operation not permitted"
    ]


def test_a_system_that_marks_by_policy_is_told_of_and_not_asked(caplog, monkeypatch):
    monkeypatch.setattr(operating_system, "msvcrt", object())
    for _ in range(2):
        mark_socket(Refusing(), 46)
    (told,) = caplog.records
    assert "policy" in told.getMessage()


async def test_both_sockets_of_a_pair_are_marked():
    ports = PortPairs(42000, 42999, entropy=os.urandom).bind_pair("127.0.0.1", receive_buffer=65536)
    pair = DatagramPair(ports, lambda *_: None, lambda: None)
    try:
        for mark in (34, 34, 0):
            pair.mark(mark)
            got = {p.socket.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) for p in ports}
            assert got == {mark << 2}
    finally:
        pair.close()
