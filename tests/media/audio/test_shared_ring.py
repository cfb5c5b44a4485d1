"""A ring between two processes."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from softphone.media.audio import SharedRing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memfd_create is Linux's")


def octets(data):
    return np.frombuffer(bytes(data), dtype=np.uint8)


@pytest.fixture
def ends():
    writer, descriptor = SharedRing.create(100)
    reader = SharedRing(descriptor)
    os.close(descriptor)
    return writer, reader


def test_what_is_put_in_comes_out_in_order_whatever_the_pieces(ends):
    writer, reader = ends
    generator, sent, got = random.Random(2), b"", b""
    for _ in range(3000):
        piece = generator.randbytes(generator.randrange(60))
        if writer.write_octets(octets(piece[:7]), octets(piece[7:])):
            sent += piece
        got += reader.read_octets(generator.randrange(50)).tobytes()
    got += reader.read_octets(100).tobytes()
    assert got == sent
    assert len(sent) > 10_000


def test_what_does_not_fit_is_refused_whole_and_can_be_counted(ends):
    writer, reader = ends
    assert writer.write_octets(octets(bytes(90)))
    assert not writer.write_octets(octets(bytes(11)))
    writer.count_dropped(11)
    assert (reader.available, reader.free_octets, reader.dropped) == (90, 10, 11)
    assert reader.read_octets(1000).size == 90


def test_the_end_is_told(ends):
    writer, reader = ends
    assert not reader.ended
    writer.mark_ended()
    assert reader.ended


def test_another_process_sees_it(ends):
    writer, descriptor = SharedRing.create(4096)
    try:
        code = (
            "import sys\nfrom softphone.media.audio.shared_ring import SharedRing\n"
            "ring = SharedRing(int(sys.argv[1]))\nimport numpy as np\n"
            "ring.write_octets(np.frombuffer(b'from afar', dtype=np.uint8)); ring.mark_ended()"
        )
        subprocess.run(
            [sys.executable, "-c", code, str(descriptor)], pass_fds=(descriptor,), check=True
        )
    finally:
        os.close(descriptor)
    assert writer.ended
    assert writer.read_octets(100).tobytes() == b"from afar"
