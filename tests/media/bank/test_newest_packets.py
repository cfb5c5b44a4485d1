"""Which packets of a batch are the newest of their source, against one packet at a time."""

from __future__ import annotations

import random

import numpy as np

from softphone.media.bank.newest_packets import NewestPackets
from softphone.security import CryptoSuite
from softphone.srtp import ReceiveContext
from tests.support.wire import srtp_key

ROWS = 6


def context() -> ReceiveContext:
    key = srtp_key(CryptoSuite.AEAD_AES_128_GCM, 1)
    return ReceiveContext(key.suite, key.key)


def note(bank: NewestPackets, packets: list[tuple[int, int, int]], secure: bool = True):
    rows, ssrc, sequence = zip(*packets, strict=True)
    return bank.note_packets(
        np.array(rows, dtype=np.intp),
        np.array(ssrc, dtype=np.uint32),
        np.array(sequence, dtype=np.uint16),
        np.full(len(rows), secure),
    ).tolist()


def test_a_batch_gives_what_each_packet_alone_would():
    chance = random.Random(3711)
    contexts, alone = {}, {}
    for row in range(ROWS):
        contexts[row], alone[row] = context(), context()
    bank = NewestPackets(ROWS, contexts)
    seen: set[tuple[int, int, int]] = set()
    at = {(row, ssrc): 0xFFE0 for row in range(ROWS) for ssrc in (1, 2)}
    for _ in range(300):
        packets = []
        for row in sorted(chance.choices(range(ROWS), k=chance.randrange(1, 10))):
            ssrc = 1 if chance.random() < 0.9 else 2
            step = chance.choices((1, 2, -1, -3), weights=(20, 2, 1, 1))[0]
            index = at[row, ssrc] + step
            if (row, ssrc, index) in seen:
                continue
            seen.add((row, ssrc, index))
            at[row, ssrc] = max(index, at[row, ssrc])
            packets.append((row, ssrc, index & 0xFFFF))
        if packets:
            expected = [alone[row].note_rtp(ssrc, number) for row, ssrc, number in packets]
            assert note(bank, packets) == expected
    for row in range(ROWS):
        bank.save_row(row)
        assert contexts[row].newest == alone[row].newest


def test_nothing_is_known_of_packets_in_clear():
    bank = NewestPackets(ROWS, {})
    assert note(bank, [(0, 7, 1), (0, 7, 2), (1, 7, 3)], secure=False) == [False] * 3
    assert note(bank, [(0, 7, 3)], secure=False) == [False]


def test_what_is_known_belongs_to_the_context():
    first, second = context(), context()
    contexts = {0: first}
    bank = NewestPackets(ROWS, contexts)
    assert note(bank, [(0, 7, 1), (0, 7, 2)]) == [False, True]
    bank.save_row(0)
    contexts[0] = second
    assert note(bank, [(0, 7, 3), (0, 7, 4)]) == [False, True]
    bank.save_row(0)
    contexts[0] = first
    assert note(bank, [(0, 7, 2), (0, 7, 3)]) == [False, True]
