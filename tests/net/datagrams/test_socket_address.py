"""Socket addresses as octets, and those that are kept decoded."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.net.datagrams import decode_address, encode_address
from softphone.net.datagrams import socket_address as module
from softphone.net.datagrams.socket_address import SOCKADDR, AddressCache


@pytest.mark.parametrize("address", [("127.0.0.1", 5000), ("2001:db8::7", 65535), ("0.0.0.0", 0)])
def test_addresses_go_to_octets_and_back(address):
    raw = encode_address(address)
    assert len(raw) == SOCKADDR
    assert decode_address(raw) == address


@pytest.mark.parametrize(
    "address", [("example.test", 1), ("1.2.3", 1), ("1.2.3.4", 65536), ("", 1)]
)
def test_what_is_no_numeric_address_is_refused(address):
    with pytest.raises(ValueError, match=r"numeric|range"):
        encode_address(address)


def test_octets_of_no_family_have_no_address():
    assert decode_address(bytes(SOCKADDR)) == ("", 0)


def rows_of(addresses):
    return np.array([list(encode_address(each)) for each in addresses], dtype=np.uint8)


def test_an_address_is_decoded_once_for_its_name(monkeypatch):
    decoded = []

    def decode(raw):
        decoded.append(raw)
        return decode_address(raw)

    monkeypatch.setattr(module, "decode_address", decode)
    known = AddressCache()
    addresses = [("127.0.0.1", 5000), ("2001:db8::7", 5002)]
    for _ in range(3):
        assert known.decoded(["one", "other", "one"], rows_of([*addresses, addresses[0]])) == [
            *addresses,
            addresses[0],
        ]
    assert len(decoded) == 2


def test_far_ends_that_have_gone_are_forgotten_and_those_that_stay_are_not(monkeypatch):
    monkeypatch.setattr(module, "TURNOVER", 100)
    known = AddressCache()
    for port in range(1024, 6024):
        addresses = [("127.0.0.1", 9), ("127.0.0.1", port)]
        assert known.decoded(["stays", port], rows_of(addresses)) == addresses
        assert len(known) <= 2 * 52


def test_a_turnover_within_many_addresses_loses_none_of_them(monkeypatch):
    monkeypatch.setattr(module, "TURNOVER", 3)
    known = AddressCache()
    addresses = [("127.0.0.1", port) for port in range(1000, 1050)]
    for _ in range(3):
        assert known.decoded(range(50), rows_of(addresses)) == addresses
