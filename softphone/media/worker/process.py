"""The media engine in a process of its own: `python -m softphone.media.worker.process DESCRIPTOR`.

Started by `softphone.media.worker.process_link`, and of no use otherwise.  Commands come over the
socket of that descriptor and events go back; sound goes through shared rings, statistics into
shared memory.  The process ends, with an RTCP BYE on each stream, as soon as the other end is gone.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from softphone import openssl_provider
from softphone.errors import FipsUnavailable, SoftphoneError
from softphone.events import Direction
from softphone.media.audio import RingSink, RingSource, SharedRing, map_memory
from softphone.media.engine import MediaEngine
from softphone.media.interface import MediaEvent, MediaFailed, StaleHandle, StreamHandle
from softphone.media.quality import fill_numbers, fill_reports
from softphone.media.tick import LatenessHistogram
from softphone.media.worker.shared_statistics import (
    EngineCounter,
    SharedStatistics,
    write_statistics,
)
from softphone.media.worker.socket_channel import MediaWorkerSocket
from softphone.media.worker.wire_format import (
    MediaWorkerMessage,
    event_fields,
    read_config,
    read_handle,
    read_spec,
)

__all__ = ["MediaWorkerServer", "main"]

logger = logging.getLogger("softphone.media")

SELDOM: Final = 16
"""Ticks between two looks at the counters that cost more to read."""

Handler = Callable[[MediaWorkerMessage, list[int]], None]


def check_mode() -> None:
    """In FIPS mode, the self-check of this very process.  Raises FipsUnavailable."""
    if openssl_provider.fips_in_force():
        # Imported here: nobody else pays for it.
        from softphone.trust.fips.self_check import run_self_check

        run_self_check().require()


class MediaWorkerServer:
    """Runs an engine for the process at the other end of `end`, until that is gone."""

    def __init__(self, end: socket.socket) -> None:
        self._started: asyncio.Future[tuple[dict[str, Any], int]] = asyncio.Future()
        self._over: asyncio.Future[None] = asyncio.Future()
        self._channel = MediaWorkerSocket(
            end, on_message=self._handle_message, on_closed=self._closed
        )
        self._engine = MediaEngine()
        self._sources: dict[int, RingSource] = {}
        self._ticks = 0
        self._handlers: dict[str, Handler] = {
            "reserve": self._reserve,
            "open": self._open,
            "rekey": self._rekey,
            "set_remote": self._set_remote,
            "direction": self._direction,
            "play": self._play,
            "record": self._record,
            "monitor": self._monitor,
            "digits": self._digits,
            "mute": self._mute,
            "close": self._close,
        }

    async def run(self) -> None:
        """Serve until the other end is gone."""
        ends: set[asyncio.Future[Any]] = {self._started, self._over}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not self._started.done():
            return
        fields, descriptor = self._started.result()
        try:
            check_mode()
        except FipsUnavailable as error:
            os.close(descriptor)
            self._channel.send_message(MediaWorkerMessage("refused", {"why": str(error)[:4000]}))
            await self._over
            return
        self._engine = MediaEngine(read_config(fields))
        # It has this process for itself: nobody is told to give it one.
        self._engine.late_advice = (
            "other processes had its core; give it one, or let it carry fewer streams"
        )
        capacity = self._engine.bank.capacity
        os.ftruncate(descriptor, SharedStatistics.octets(capacity))
        self._board = SharedStatistics(map_memory(descriptor), capacity)
        os.close(descriptor)
        self._engine.lateness = LatenessHistogram(self._board.lateness)
        self._engine.on_tick = self._ticked
        gc.collect()
        gc.freeze()  # what is there now stays for ever
        async with self._engine:
            ready = {"capacity": capacity, "fips": openssl_provider.fips_in_force()}
            self._channel.send_message(MediaWorkerMessage("ready", ready))
            await self._over

    def _closed(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def send_log_line(self, level: int, text: str) -> None:
        """Have a line logged at the other end."""
        self._channel.send_message(MediaWorkerMessage("log", {"level": level, "text": text[:4000]}))

    # Commands -----------------------------------------------------------------------------------

    def _handle_message(self, message: MediaWorkerMessage, descriptors: list[int]) -> None:
        if message.kind == "start":
            self._started.set_result((message.fields, descriptors.pop()))
        try:
            handler = self._handlers.get(message.kind)
            if handler is not None:
                handler(message, descriptors)
        except StaleHandle as error:
            logger.debug("a command came too late: %s", error)
        except (SoftphoneError, OSError) as error:
            self._event(MediaFailed(read_handle(message.fields["handle"]), str(error)))
        finally:
            for each in descriptors:
                os.close(each)
            for key in (message.send_key, message.receive_key):
                if key is not None:
                    key.key.close()

    def _reserve(self, message: MediaWorkerMessage, __: list[int]) -> None:
        """Reserve streams ahead of need, as many as there are ports for."""
        host, streams, error = message.fields["host"], [], None
        for _ in range(message.fields["count"]):
            try:
                local = self._engine.allocate_stream(host=host, on_event=self._event)
            except SoftphoneError as refusal:
                error = str(refusal)
                break
            row = local.handle.row
            self._show_row(row)
            ports = local.rtp_port, local.rtcp_port
            streams.append([row, local.handle.generation, local.host, *ports, local.ssrc])
        self._channel.send_message(
            MediaWorkerMessage("reserved", {"host": host, "streams": streams, "error": error})
        )

    def _open(self, message: MediaWorkerMessage, _: list[int]) -> None:
        self._engine.open_stream(self._handle(message), read_spec(message))

    def _rekey(self, message: MediaWorkerMessage, _: list[int]) -> None:
        self._engine.rekey(
            self._handle(message),
            send_key=message.send_key,
            receive_key=message.receive_key,
            security_generation=message.fields["security_generation"],
        )

    def _set_remote(self, message: MediaWorkerMessage, _: list[int]) -> None:
        remote, remote_rtcp = message.fields["remote"], message.fields["remote_rtcp"]
        self._engine.set_remote(
            self._handle(message),
            (remote[0], remote[1]),
            None if remote_rtcp is None else (remote_rtcp[0], remote_rtcp[1]),
        )

    def _direction(self, message: MediaWorkerMessage, _: list[int]) -> None:
        direction = Direction(message.fields["direction"])
        self._engine.set_direction(self._handle(message), direction)

    def _play(self, message: MediaWorkerMessage, descriptors: list[int]) -> None:
        number = message.fields["ring"]
        if descriptors:
            ring = SharedRing(descriptors[0])
            self._sources[number] = RingSource(ring, message.fields["rate"])
        self._forget(message)
        source = None if number is None else self._sources[number]
        self._engine.play(self._handle(message), source)

    def _record(self, message: MediaWorkerMessage, descriptors: list[int]) -> None:
        self._engine.record(self._handle(message), _ring_sink(message, descriptors))

    def _monitor(self, message: MediaWorkerMessage, descriptors: list[int]) -> None:
        self._engine.monitor(self._handle(message), _ring_sink(message, descriptors))

    def _digits(self, message: MediaWorkerMessage, _: list[int]) -> None:
        digits, duration_ms = message.fields["digits"], message.fields["duration_ms"]
        self._engine.send_digits(self._handle(message), digits, duration_ms=duration_ms)

    def _mute(self, message: MediaWorkerMessage, _: list[int]) -> None:
        self._engine.mute(self._handle(message), message.fields["muted"])

    def _close(self, message: MediaWorkerMessage, _: list[int]) -> None:
        self._engine.close_stream(self._handle(message))
        self._forget(message)

    def _forget(self, message: MediaWorkerMessage) -> None:
        """Drop the rings that nobody plays any more."""
        for number in message.fields["gone"]:
            self._sources.pop(number, None)

    @staticmethod
    def _handle(message: MediaWorkerMessage) -> StreamHandle:
        return read_handle(message.fields["handle"])

    # What is told and shown ---------------------------------------------------------------------

    def _event(self, event: MediaEvent) -> None:
        self._channel.send_message(MediaWorkerMessage("event", event_fields(event)))

    def _show_row(self, row: int) -> None:
        bank = self._engine.bank
        stream = bank.streams[row]
        fill_numbers(bank, slice(row, row + 1), self._board.rows[row : row + 1])
        if stream is not None:
            fill_reports(bank, stream, self._board.rows[row])

    def _ticked(self, phase: int, frame: int) -> None:
        engine, counters = self._engine, self._board.counters
        write_statistics(self._board, engine.bank, phase, frame)
        counters[EngineCounter.JUMPS] = engine.jumps
        counters[EngineCounter.FRAMES_LATE] = engine.frames_late
        counters[EngineCounter.UNCLAIMED] = engine.unclaimed
        counters[EngineCounter.LATEST_MICROSECONDS] = int(engine.lateness.maximum_ms * 1e3)
        self._ticks += 1
        if self._ticks % SELDOM == 0:
            counters[EngineCounter.OVERFLOWS] = engine.overflows
            counters[EngineCounter.PROCESSOR_MICROSECONDS] = int(time.process_time() * 1e6)


def _ring_sink(message: MediaWorkerMessage, descriptors: list[int]) -> RingSink | None:
    """The ring that came with a message, if one did."""
    if not descriptors:
        return None
    return RingSink(SharedRing(descriptors[0]), message.fields["rate"])


class LogForwarder(logging.Handler):
    """Has what is logged here logged in the application's process."""

    def __init__(self, worker: MediaWorkerServer) -> None:
        super().__init__(logging.WARNING)
        self._worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line."""
        self._worker.send_log_line(record.levelno, self.format(record))


async def serve(descriptor: int) -> None:
    """Run a worker on the socket of a descriptor."""
    worker = MediaWorkerServer(socket.socket(fileno=descriptor))
    forwarder = LogForwarder(worker)
    logger.addHandler(forwarder)
    try:
        await worker.run()
    finally:
        logger.removeHandler(forwarder)


def main() -> None:
    """What the process does."""
    # Control-C, and the end of a terminal, go to the terminal's whole group: the application
    # decides what they mean.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    asyncio.run(serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
