"""Messages between two processes, here two ends in one loop."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

import pytest

from softphone.media.worker.socket_channel import MediaWorkerSocket
from softphone.media.worker.wire_format import MediaWorkerMessage
from softphone.security import CryptoSuite
from tests.support.waiting import until
from tests.support.wire import srtp_key

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="SOCK_SEQPACKET is Linux's")


class End:
    """A channel and what it was given; descriptors are closed at once."""

    def __init__(self, end):
        self.messages, self.descriptors, self.closed = [], 0, 0
        self.channel = MediaWorkerSocket(end, on_message=self.take, on_closed=self.lost)

    def take(self, message, descriptors):
        self.messages.append(message)
        self.descriptors += len(descriptors)
        for each in descriptors:
            os.close(each)

    def lost(self):
        self.closed += 1


@pytest.fixture
async def ends():
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made = [End(each) for each in pair]
    yield made
    for end in made:
        end.channel.close()


async def test_messages_arrive_in_order_also_when_the_socket_takes_no_more(ends):
    here, there = ends
    text = "x" * 5000
    for number in range(500):
        here.channel.send_message(MediaWorkerMessage("n", {"n": number, "text": text}))
    await until(lambda: len(there.messages) == 500)
    assert [message.fields["n"] for message in there.messages] == list(range(500))


async def test_descriptors_come_along_and_stay_the_senders(ends):
    here, there = ends
    read, write = os.pipe()
    here.channel.send_message(MediaWorkerMessage("pipe", {}), [read, write])
    await until(lambda: there.messages)
    assert there.descriptors == 2
    os.close(read)
    os.close(write)


async def test_frames_are_wiped_once_they_are_sent_and_read(ends, monkeypatch):
    here, there = ends
    key = srtp_key(CryptoSuite.AEAD_AES_256_GCM, 1)
    frames = []
    push = MediaWorkerSocket._send_frame

    def watch(self, frame, descriptors):
        frames.append(frame)
        assert key.key.reveal() in frame
        push(self, frame, descriptors)

    monkeypatch.setattr(MediaWorkerSocket, "_send_frame", watch)
    here.channel.send_message(MediaWorkerMessage("rekey", {}, key, key))
    await until(lambda: there.messages)
    assert there.messages[0].send_key.key.reveal() == key.key.reveal()
    assert frames
    assert not any(any(frame) for frame in frames)
    assert not any(there.channel._buffer)


async def test_one_may_wait_for_a_kind_and_loses_nothing_that_comes_before_it(ends):
    here, there = ends
    for kind in ("a", "b", "answer", "c"):
        there.channel.send_message(MediaWorkerMessage(kind, {}))
    found = here.channel.wait_for_message("answer", seconds=1.0)
    assert found.kind == "answer"
    assert here.messages == []
    await until(lambda: len(here.messages) == 3)
    assert [message.kind for message in here.messages] == ["a", "b", "c"]
    assert here.channel.wait_for_message("answer", seconds=0.01) is None


async def test_the_end_of_the_other_is_told_once_and_sending_goes_nowhere(ends):
    here, there = ends
    there.channel.close()
    await until(lambda: here.closed)
    here.channel.send_message(MediaWorkerMessage("late", {}))
    assert here.channel.wait_for_message("answer", seconds=1.0) is None
    await asyncio.sleep(0.01)
    assert (here.closed, there.closed) == (1, 0)


async def test_an_end_that_reads_nothing_is_taken_for_dead(ends, monkeypatch):
    monkeypatch.setattr("softphone.media.worker.socket_channel.MOST_WAITING", 10)
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with left:
        end = End(right)
        for _ in range(2000):
            end.channel.send_message(MediaWorkerMessage("n", {"text": "x" * 5000}))
        assert end.closed == 1


async def test_what_is_no_message_ends_the_channel(caplog):
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with left:
        end = End(right)
        left.send(b"\x00" * 40)
        await until(lambda: end.closed)
    assert "do not understand" in caplog.text
