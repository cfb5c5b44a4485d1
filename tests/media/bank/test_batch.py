"""Packets laid over arrays."""

from __future__ import annotations

import numpy as np

from softphone.media.bank import PacketBatch
from softphone.media.bank.batch import SOCKADDR_OCTETS
from softphone.security import CryptoSuite
from softphone.srtp import ReceiveContext, SendContext
from tests.support.srtp import key, rtp

NOWHERE = np.zeros(SOCKADDR_OCTETS, dtype=np.uint8)


def test_packets_are_put_in_until_there_is_no_room():
    batch = PacketBatch.allocate(2, width=64)
    assert batch.append_packet(3, 40, NOWHERE, b"one")
    assert not batch.append_packet(3, 40, NOWHERE, bytes(65))
    assert batch.append_packet(4, 41, NOWHERE, b"another")
    assert not batch.append_packet(5, 42, NOWHERE, b"third")
    assert [batch.packet(at) for at in range(batch.count)] == [b"one", b"another"]
    assert batch.row[:2].tolist() == [3, 4]
    assert batch.port[:2].tolist() == [40, 41]


def test_empty_packets_are_closed_up_over_and_the_media_count_follows():
    batch = PacketBatch.allocate(5, width=64)
    for data in (b"a", b"b", b"c", b"d", b"e"):
        batch.append_packet(ord(data), 1, NOWHERE, data)
    batch.media = 4
    batch.length[[0, 2]] = 0
    batch.drop_empty()
    assert [batch.packet(at) for at in range(batch.count)] == [b"b", b"d", b"e"]
    assert batch.row[:3].tolist() == [ord("b"), ord("d"), ord("e")]
    assert batch.media == 2


def test_nothing_moves_when_no_packet_is_empty():
    batch = PacketBatch.allocate(2, width=64)
    batch.append_packet(1, 1, NOWHERE, b"a")
    batch.media = 1
    batch.drop_empty()
    assert (batch.count, batch.media) == (1, 1)


def test_srtp_is_done_in_place_on_the_batch():
    suite = CryptoSuite.AEAD_AES_128_GCM
    sending, receiving = SendContext(suite, key(suite)), ReceiveContext(suite, key(suite))
    batch = PacketBatch.allocate(2, width=256)
    plain = [rtp(1), rtp(2)]
    for data in plain:
        batch.append_packet(0, 1, NOWHERE, data)
    assert batch.cipher is batch.cipher
    assert not any(batch.cipher.protect(range(2), [sending] * 2, batch.length))
    assert batch.length.tolist() == [188, 188]
    assert not any(batch.cipher.unprotect(range(2), [receiving] * 2, batch.length))
    assert [batch.packet(at) for at in range(2)] == plain
