"""From sockets and far ends to rows."""

from __future__ import annotations

import random

import numpy as np

from softphone.media.bank import PacketBatch
from softphone.media.bank.demultiplexer import Demultiplexer
from tests.support.wire import raw_address


def raw(host, port):
    return np.frombuffer(raw_address(host, port), dtype=np.uint8)


def assign(demultiplexer, *packets):
    batch = PacketBatch.allocate(8, width=64)
    for key, host, port in packets:
        batch.append_packet(-7, key, raw(host, port), b"x")
    demultiplexer.assign(batch)
    return batch.row[: batch.count].tolist()


def test_a_socket_of_one_stream_names_its_row_whoever_sends():
    found = Demultiplexer()
    found.bind(5, 17, control=False)
    found.bind(5000, 18, control=True)
    packets = (5, "10.0.0.1", 1), (5000, "10.0.0.2", 2), (6, "10.0.0.1", 1)
    assert assign(found, *packets) == [17, 18, -1]
    assert found.control[5000]
    assert not found.control[5]
    found.unbind(5)
    assert assign(found, (5, "10.0.0.1", 1)) == [-1]


def test_on_a_shared_socket_the_source_address_names_the_row():
    found = Demultiplexer()
    found.bind(5, None, control=False)
    found.bind(6, None, control=False)
    assert assign(found, (5, "10.0.0.1", 1)) == [-1]
    assert found.add_remote(5, raw("10.0.0.1", 4000), 1)
    assert found.add_remote(5, raw("10.0.0.1", 4002), 2)
    assert found.add_remote(6, raw("10.0.0.1", 4000), 3)
    packets = [(5, "10.0.0.1", 4002), (6, "10.0.0.1", 4000), (5, "10.0.0.1", 4000)]
    assert assign(found, *packets) == [2, 3, 1]
    strangers = [(5, "10.0.0.1", 4001), (5, "10.0.0.2", 4000), (6, "10.0.0.1", 4002)]
    assert assign(found, *strangers) == [-1, -1, -1]


def test_one_far_end_of_a_shared_socket_is_one_streams():
    found = Demultiplexer()
    found.bind(5, None, control=False)
    assert found.add_remote(5, raw("10.0.0.1", 4000), 1)
    assert found.add_remote(5, raw("10.0.0.1", 4000), 1)
    assert not found.add_remote(5, raw("10.0.0.1", 4000), 2)
    found.remove_row(1)
    found.remove_row(1)
    assert found.add_remote(5, raw("10.0.0.1", 4000), 2)
    assert assign(found, (5, "10.0.0.1", 4000)) == [2]


def test_far_ends_come_and_go_and_the_others_stay_known():
    found = Demultiplexer()
    found.bind(5, None, control=False)
    found.bind(5 + 0x10000, None, control=False)
    ports = [4000 + 2 * (7 * at % 11) for at in range(11)]
    for row, port in enumerate(ports):
        assert found.add_remote(5, raw("10.0.0.1", port), row)
    # The same far end on a socket whose key has the same lower bits goes without taking it along.
    assert found.add_remote(5 + 0x10000, raw("10.0.0.1", ports[3]), 30)
    found.remove_row(30)
    for row in (10, 0, 4):
        found.remove_row(row)
    asked = [(5, "10.0.0.1", port) for port in ports]
    batches = asked[:8], asked[8:]
    rows = [row for batch in batches for row in assign(found, *batch)]
    assert rows == [-1, 1, 2, 3, -1, 5, 6, 7, 8, 9, -1]


def test_hundreds_of_far_ends_come_and_go_by_chance():
    chance, found, known = random.Random(11), Demultiplexer(), {}
    found.bind(5, None, control=False)
    for _ in range(1500):
        row, port = chance.randrange(300), 2 * chance.randrange(2000, 2400)
        if chance.random() < 0.4:
            found.remove_row(row)
            known = {place: owner for place, owner in known.items() if owner != row}
        else:
            free = known.get(port, row) == row
            assert found.add_remote(5, raw("10.0.0.1", port), row) is free
            known.setdefault(port, row)
    assert found.names == len(known) > 64
    asked = [(5, "10.0.0.1", 4000 + 2 * at) for at in range(400)]
    rows = [row for at in range(0, 400, 8) for row in assign(found, *asked[at : at + 8])]
    assert rows == [known.get(port, -1) for _, _, port in asked]
