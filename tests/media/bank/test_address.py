"""Padded socket addresses, read without a socket."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.media.bank import print_address, same_host, same_source
from softphone.media.bank.address import AddressBank
from softphone.net.datagrams import encode_address

ADDRESSES = [
    ("192.0.2.1", 4000),
    ("192.0.2.1", 4001),
    ("192.0.2.2", 4000),
    ("2001:db8::1", 4000),
    ("2001:db8::1", 5000),
    ("2001:db8::2", 4000),
    ("200::", 4000),
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_it_prints_what_the_net_floor_wrote(address):
    assert print_address(encode_address(address)) == address


def test_hosts_and_sources_are_compared_pair_by_pair():
    rows = np.array([list(encode_address(address)) for address in ADDRESSES], dtype=np.uint8)
    for at, (host, port) in enumerate(ADDRESSES):
        other = np.repeat(rows[at : at + 1], len(rows), axis=0)
        assert same_host(rows, other).tolist() == [one == host for one, _ in ADDRESSES]
        assert same_source(rows, other).tolist() == [one == (host, port) for one in ADDRESSES]


def test_rtcp_leaves_by_the_socket_that_was_set_for_its_row():
    addresses = AddressBank(4)
    addresses.signal_remote(2, encode_address(ADDRESSES[0]), encode_address(ADDRESSES[1]))
    addresses.set_ports(2, 7, 8)
    assert addresses.rtp_port.tolist() == [-1, -1, 7, -1]
    port, far_end = addresses.rtcp_place(2)
    assert (port, far_end.tobytes()) == (8, encode_address(ADDRESSES[1]))
