"""Payloads that the kernel is given encoded, of a codec for which it has no table."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from softphone.media import StreamSpec
from softphone.media.audio import ToneSource
from softphone.media.bank import FRAME, PacketBatch
from softphone.media.kernel import BankKernel
from softphone.media.tick import stream_commands
from softphone.media.tick.send import make_send_groups
from softphone.media.tick.tick import TickTime, tick
from tests.support.wire import WALL, Station


def l16_station() -> Station:
    """Two streams of L16 at 16,000 Hz that play one tone each."""
    made = Station("10.0.0.1", seed=5)
    handles = [made.handle, made.add(5002)]
    for at, handle in enumerate(handles):
        made.handle = handle
        made.open(StreamSpec(("10.0.0.2", 6000 + 2 * at), codec="L16/16000", payload_type=97))
        source = ToneSource(300.0 + at, 16000)
        stream_commands.set_source(made.bank, handle, source)
    return made


def test_encoded_payloads_are_sent_as_by_numpy(compiled: ModuleType) -> None:
    sent = []
    for kernel in (None, compiled):
        made, out = l16_station(), PacketBatch.allocate(64)
        bound = None if kernel is None else BankKernel(made.bank, kernel)
        packets = []
        for frame in range(12):
            moment = TickTime(frame, frame * FRAME, WALL + frame * FRAME)
            tick(made.bank, 0, made.incoming, out, moment, bound)
            packets += [(out.packet(at), int(out.port[at])) for at in range(out.count)]
        sent.append(packets)
    assert len(sent[0]) == 24
    assert sent[0] == sent[1]


def test_payloads_that_are_neither_one_nor_one_each_are_left(compiled: ModuleType) -> None:
    made, out = l16_station(), PacketBatch.allocate(64)
    (group,) = make_send_groups(made.bank, 0)
    kernel = BankKernel(made.bank, compiled)
    assert not kernel.send(out, np.zeros((3, 640), dtype=np.uint8), group.places, 0)
    assert kernel.send(out, np.zeros((1, 640), dtype=np.uint8), group.places, 0)
    assert out.count == 2
