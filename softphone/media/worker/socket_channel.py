"""One end of the socket pair between the application's process and a media worker.

Messages keep their boundaries (SOCK_SEQPACKET) and their order, and may carry file descriptors.
Sending never blocks: messages that the socket does not take are queued.  Frames are wiped once
they are sent or read, since they may hold keys.  Use it in the event loop that creates it.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import logging
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from softphone.media.worker.wire_format import (
    LONGEST,
    MediaWorkerMessage,
    decode_message,
    encode_message,
)

logger = logging.getLogger("softphone.media")

MOST_WAITING: Final = 100_000
"""The most messages queued for sending; with more, the other end counts as dead."""

AT_ONCE: Final = 64
"""The most messages read in one turn of the event loop."""

DESCRIPTORS: Final = 4
"""The most file descriptors of one message."""

MessageCallback = Callable[[MediaWorkerMessage, list[int]], None]


class MediaWorkerSocket:
    """One end of the socket pair.

    `on_message` gets each message and its descriptors, which it then owns.  `on_closed` is called
    once, when the other end has closed, has sent an invalid message, or reads so slowly that
    MOST_WAITING messages are queued; this end is closed then.  It is not called after `close`.
    """

    def __init__(
        self, end: socket.socket, *, on_message: MessageCallback, on_closed: Callable[[], None]
    ) -> None:
        end.setblocking(False)
        self._socket = end
        self._on_message = on_message
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[bytearray, list[int]]] = deque()
        self._early: deque[tuple[MediaWorkerMessage, list[int]]] = deque()
        self._buffer = bytearray(LONGEST)
        self._open = True
        self._loop.add_reader(end.fileno(), self._readable)

    # Out ----------------------------------------------------------------------------------------

    def send_message(self, message: MediaWorkerMessage, descriptors: Sequence[int] = ()) -> None:
        """Send a message or queue it; `descriptors` are duplicated first.

        Does nothing once this end is closed.
        """
        if not self._open:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._lost()
            return
        watched = bool(self._waiting)
        self._waiting.append((encode_message(message), [os.dup(each) for each in descriptors]))
        if not watched:
            self._flush()
            if self._waiting and self._open:
                self._loop.add_writer(self._socket.fileno(), self._writable)

    def _flush(self) -> None:
        while self._waiting and self._open:
            frame, descriptors = self._waiting[0]
            try:
                self._send_frame(frame, descriptors)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._lost()
                return
            self._waiting.popleft()
            _wipe_frame(frame, descriptors)

    def _send_frame(self, frame: bytearray, descriptors: list[int]) -> None:
        rights = array.array("i", descriptors)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
        self._socket.sendmsg([frame], ancillary)

    def _writable(self) -> None:
        self._flush()
        if not self._waiting and self._open:
            self._loop.remove_writer(self._socket.fileno())

    # In -----------------------------------------------------------------------------------------

    def _readable(self) -> None:
        for _ in range(AT_ONCE):
            if not self._open:
                return
            self._deliver_early()
            found = self._receive_message()
            if found is None:
                return
            self._on_message(*found)

    def _deliver_early(self) -> None:
        while self._early and self._open:
            self._on_message(*self._early.popleft())

    def _receive_message(self) -> tuple[MediaWorkerMessage, list[int]] | None:
        """Return the next message without waiting; None if there is none or this end has closed."""
        space = socket.CMSG_LEN(DESCRIPTORS * array.array("i").itemsize)
        try:
            size, ancillary, _, _ = self._socket.recvmsg_into(
                [self._buffer], space, socket.MSG_CMSG_CLOEXEC
            )
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            size, ancillary = 0, []
        descriptors: list[int] = []
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                rights = array.array("i")
                rights.frombytes(data[: len(data) - len(data) % rights.itemsize])
                descriptors += rights.tolist()
        if not size:
            self._lost()
            return None
        with memoryview(self._buffer)[:size] as frame:
            try:
                return decode_message(frame), descriptors
            except (ValueError, TypeError, KeyError):
                logger.exception("the media worker and this process do not understand each other")
                self._lost()
                return None
            finally:
                frame[:] = bytes(size)

    def wait_for_message(self, kind: str, *, seconds: float) -> MediaWorkerMessage | None:
        """Block the event loop until a message of `kind` arrives.

        Returns None after `seconds`, or once the socket is closed.  Other messages that arrive
        meanwhile are delivered to `on_message` afterwards, in order.
        """
        if not self._open:
            return None
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while self._open:
            if self._waiting:
                self._flush()
            found = self._receive_message()
            if found is not None and found[0].kind == kind:
                return found[0]
            if found is not None:
                self._early.append(found)
                self._loop.call_soon(self._deliver_early)
                continue
            left = until - time.monotonic()
            if left <= 0:
                break
            poll.modify(self._socket, select.POLLIN | (select.POLLOUT if self._waiting else 0))
            poll.poll(max(1, round(left * 1000)))
        return None

    # The end ------------------------------------------------------------------------------------

    def _lost(self) -> None:
        if self._open:
            self.close()
            self._on_closed()

    def close(self) -> None:
        """Close this end, wipe queued frames and close their descriptors; no callback follows."""
        if not self._open:
            return
        self._open = False
        with contextlib.suppress(RuntimeError):  # the loop was closed before us
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        for frame, descriptors in self._waiting:
            _wipe_frame(frame, descriptors)
        self._waiting.clear()
        for _, descriptors in self._early:
            _wipe_frame(bytearray(), descriptors)
        self._early.clear()


def _wipe_frame(frame: bytearray, descriptors: list[int]) -> None:
    frame[:] = bytes(len(frame))
    for each in descriptors:
        os.close(each)
