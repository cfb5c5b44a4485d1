"""A worker served by hand: its commands, what it tells, and what it keeps of keys."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys

import pytest

from softphone.media import MediaConfig, PortRange, StreamSpec
from softphone.media.audio import shared_memory
from softphone.media.tick import LatenessHistogram
from softphone.media.worker.process import LogForwarder, MediaWorkerServer
from softphone.media.worker.shared_statistics import EngineCounter, SharedStatistics
from softphone.media.worker.socket_channel import MediaWorkerSocket
from softphone.media.worker.wire_format import MediaWorkerMessage, config_fields, spec_fields
from softphone.security import CryptoSuite
from tests.support.waiting import PATIENCE, patiently, until
from tests.support.wire import srtp_key

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")

CONFIG = MediaConfig(ports=PortRange(46000, 46999), capacity=64)


class Served:
    """A worker in this loop, and the application's end of its socket."""

    def __init__(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.said = []
        self.channel = MediaWorkerSocket(
            ours, on_message=lambda message, _: self.said.append(message), on_closed=lambda: None
        )
        self.worker = MediaWorkerServer(theirs)
        self.task = asyncio.ensure_future(self.worker.run())

    async def told(self, kind):
        async with asyncio.timeout(PATIENCE):
            while True:
                for message in self.said:
                    if message.kind == kind:
                        self.said.remove(message)
                        return message.fields
                await asyncio.sleep(0.005)

    async def start(self):
        descriptor = shared_memory(SharedStatistics.octets(1))
        self.channel.send_message(MediaWorkerMessage("start", config_fields(CONFIG)), [descriptor])
        os.close(descriptor)
        return await self.told("ready")

    async def reserve(self, count=1, host="127.0.0.1"):
        self.channel.send_message(MediaWorkerMessage("reserve", {"host": host, "count": count}))
        return await self.told("reserved")


@pytest.fixture
async def served():
    made = Served()
    yield made
    made.channel.close()
    await patiently(made.task)


async def test_it_is_ready_reserves_and_says_why_it_cannot(served):
    assert (await served.start())["capacity"] >= 64
    answer = await served.reserve(3)
    assert len(answer["streams"]) == 3
    assert answer["error"] is None
    refused = await served.reserve(1, "192.0.2.1")
    assert refused["streams"] == []
    assert "192.0.2.1" in refused["error"]


async def test_a_stream_is_opened_and_the_keys_that_came_are_wiped(served):
    await served.start()
    (stream,) = (await served.reserve())["streams"]
    key = srtp_key(CryptoSuite.AEAD_AES_128_GCM, 1)
    spec = StreamSpec(("127.0.0.1", 9), send_key=key, receive_key=key)
    fields = {"handle": stream[:2], "spec": spec_fields(spec)}
    served.channel.send_message(MediaWorkerMessage("open", fields, key, key))
    engine = served.worker._engine
    await until(lambda: engine.bank.sender.packets_sent[stream[0]])
    with pytest.raises(ValueError, match="wiped"):
        engine.bank.streams[stream[0]].spec.send_key.key.reveal()


async def test_what_it_skips_is_counted_where_the_application_reads_it(served):
    await served.start()
    (stream,) = (await served.reserve())["streams"]
    fields = {"handle": stream[:2], "spec": spec_fields(StreamSpec(("127.0.0.1", 9)))}
    served.channel.send_message(MediaWorkerMessage("open", fields))
    engine, board = served.worker._engine, served.worker._board
    await until(lambda: engine.bank.sender.packets_sent[stream[0]])
    before = engine.packets_skipped
    engine._epoch -= 2.0  # the process stood still for 100 frames
    await until(lambda: board.counters[EngineCounter.PACKETS_SKIPPED] >= before + 100)
    assert board.counters[EngineCounter.PACKETS_SKIPPED] == engine.packets_skipped
    assert LatenessHistogram(board.lateness).share_above(1000.0) > 0.0


async def test_a_command_that_cannot_be_done_ends_its_stream_and_no_other(served):
    await served.start()
    one, two = (await served.reserve(2))["streams"]
    good = {"handle": two[:2], "spec": spec_fields(StreamSpec(("127.0.0.1", 9)))}
    served.channel.send_message(MediaWorkerMessage("open", good))
    served.channel.send_message(
        MediaWorkerMessage("digits", {"handle": one[:2], "digits": "1", "duration_ms": 100})
    )
    event = await served.told("event")
    assert event["event"] == "MediaFailed"
    assert event["handle"] == one[:2]
    assert "opened" in event["reason"]
    served.channel.send_message(MediaWorkerMessage("close", {"handle": one[:2], "gone": []}))
    served.channel.send_message(MediaWorkerMessage("mute", {"handle": one[:2], "on": True}))
    await served.reserve()
    await until(lambda: served.worker._engine.bank.sender.packets_sent[two[0]])
    assert not [message for message in served.said if message.kind == "event"]


async def test_what_it_logs_is_logged_at_the_other_end(served):
    await served.start()
    record = logging.LogRecord("x", logging.WARNING, "", 0, "late by %d ms", (7,), None)
    LogForwarder(served.worker).handle(record)
    assert await served.told("log") == {"level": logging.WARNING, "text": "late by 7 ms"}


async def test_it_ends_with_the_other_end_even_before_it_was_started():
    served = Served()
    served.channel.close()
    await patiently(served.task)
