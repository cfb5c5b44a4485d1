"""Streams reserved ahead of need."""

from __future__ import annotations

import pytest

from softphone.errors import MediaError, NoPortFree
from softphone.media.worker.stream_reserve import StreamReserve
from softphone.media.worker.wire_format import MediaWorkerMessage


class Far:
    """A worker with so many streams; it answers when it is waited for."""

    def __init__(self, streams):
        self.left, self.asked, self.waits, self.silent = streams, [], 0, False

    def send_message(self, message, descriptors=()):
        assert message.kind == "reserve"
        self.asked.append(message.fields)

    def answer(self):
        asked = self.asked.pop(0)
        count = min(asked["count"], self.left)
        self.left -= count
        streams = [[row, 0, asked["host"], 4000, 4001, 9] for row in range(count)]
        error = None if count == asked["count"] else "every pair is in use"
        return MediaWorkerMessage(
            "reserved", {"host": asked["host"], "streams": streams, "error": error}
        )

    def wait_for_message(self, kind):
        self.waits += 1
        return None if self.silent else self.answer()


def test_only_the_first_stream_of_an_address_is_waited_for():
    far = Far(1000)
    reserve = StreamReserve(far, 256)
    for _ in range(200):
        assert reserve.take_stream("127.0.0.1").host == "127.0.0.1"
        if far.asked:
            reserve.add_reserved(far.answer().fields)
    assert far.waits == 1


def test_what_is_kept_ready_grows_with_what_is_taken_up_to_a_bound():
    far = Far(1000)
    reserve = StreamReserve(far, 8192)
    most = []
    for _ in range(300):
        reserve.take_stream("127.0.0.1")
        most.append(max([asked["count"] for asked in far.asked], default=0))
        if far.asked:
            reserve.add_reserved(far.answer().fields)
    assert max(most[:10]) <= 4
    assert 16 <= max(most) <= 32


def test_when_there_is_none_the_reason_is_the_workers():
    far = Far(3)
    reserve = StreamReserve(far, 64)
    for _ in range(3):
        reserve.take_stream("127.0.0.1")
    with pytest.raises(NoPortFree, match="in use"):
        reserve.take_stream("127.0.0.1")
    far.left = 1
    assert reserve.take_stream("127.0.0.1").rtp_port == 4000


def test_a_worker_that_does_not_answer_is_an_error():
    far = Far(3)
    far.silent = True
    with pytest.raises(MediaError, match="does not answer"):
        StreamReserve(far, 64).take_stream("127.0.0.1")
