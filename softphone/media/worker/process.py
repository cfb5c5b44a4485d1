"""The worker process of the media: `python -m softphone.media.worker.process DESCRIPTOR`.

Only `softphone.media.worker.process_link` starts it.  Commands and events use the socket of the
descriptor, audio uses shared rings, statistics use shared memory.  When the other end closes, the
process sends an RTCP BYE on each stream and ends.
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
    read_address,
    read_config,
    read_handle,
    read_spec,
)
from softphone.srtp import sessions_side_by_side

logger = logging.getLogger("softphone.media")

SELDOM: Final = 16
"""Ticks between two reads of the counters that are expensive to read."""


def check_mode() -> None:
    """Run the self-check of this process if FIPS mode is on.  Raises FipsUnavailable."""
    if openssl_provider.fips_in_force():
        # Imported here, since only FIPS mode needs it.
        from softphone.trust.fips.self_check import run_self_check

        run_self_check().require()


class MediaWorkerServer:
    """Runs an engine for the process at the other end of the socket `end`, until it closes."""

    def __init__(self, end: socket.socket) -> None:
        self._started: asyncio.Future[tuple[dict[str, Any], int]] = asyncio.Future()
        self._over: asyncio.Future[None] = asyncio.Future()
        self._channel = MediaWorkerSocket(
            end, on_message=self._handle_message, on_closed=self._closed
        )
        self._engine = MediaEngine()
        self._sources: dict[int, RingSource] = {}
        self._ticks = 0

    async def run(self) -> None:
        """Serve until the other end closes."""
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
        # The engine already has its own process; the default advice is to give it one.
        self._engine.late_advice = "give it a core of its own, or let it carry fewer streams"
        capacity = self._engine.bank.capacity
        os.ftruncate(descriptor, SharedStatistics.octets(capacity))
        self._board = SharedStatistics(map_memory(descriptor), capacity)
        os.close(descriptor)
        self._engine.lateness = LatenessHistogram(self._board.lateness)
        self._engine.on_tick = self._ticked
        gc.collect()
        gc.freeze()  # the objects so far live as long as the process
        async with self._engine:
            ready = {"capacity": capacity, "fips": openssl_provider.fips_in_force()}
            self._channel.send_message(MediaWorkerMessage("ready", ready))
            await self._over

    def _closed(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def send_log_line(self, level: int, text: str) -> None:
        """Send a log line to the other end."""
        self._channel.send_message(MediaWorkerMessage("log", {"level": level, "text": text[:4000]}))

    # Commands -----------------------------------------------------------------------------------

    def _handle_message(self, message: MediaWorkerMessage, descriptors: list[int]) -> None:
        try:
            match message.kind:
                case "start":
                    self._started.set_result((message.fields, descriptors.pop()))
                case "reserve":
                    self._reserve(message.fields["host"], message.fields["count"])
                case "rebind":
                    self._rebind(read_handle(message.fields["handle"]), message.fields["host"])
                case _:
                    handle = read_handle(message.fields["handle"])
                    self._run_command(handle, message, descriptors)
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

    def _run_command(
        self, handle: StreamHandle, message: MediaWorkerMessage, descriptors: list[int]
    ) -> None:
        """Run a command of `MediaBackend`."""
        engine, fields = self._engine, message.fields
        match message.kind:
            case "open":
                engine.open_stream(handle, read_spec(message))
            case "rekey":
                engine.rekey(
                    handle,
                    send_key=message.send_key,
                    receive_key=message.receive_key,
                    security_generation=fields["security_generation"],
                )
            case "set_remote":
                remote, remote_rtcp = read_address(fields["remote"]), fields["remote_rtcp"]
                rtcp = None if remote_rtcp is None else read_address(remote_rtcp)
                engine.set_remote(handle, remote, rtcp)
            case "direction":
                engine.set_direction(handle, Direction(fields["direction"]))
            case "expect":
                engine.expect_packets(handle, fields["patience"])
            case "play" | "record" | "monitor":
                self._connect(handle, message, descriptors)
            case "digits":
                engine.send_digits(handle, fields["digits"], duration_ms=fields["duration_ms"])
            case "mute" | "pause":
                silence = engine.mute if message.kind == "mute" else engine.pause
                silence(handle, fields["on"])
            case "close":
                engine.close_stream(handle)
                self._forget(fields["gone"])

    def _connect(
        self, handle: StreamHandle, message: MediaWorkerMessage, descriptors: list[int]
    ) -> None:
        """Play from a ring or record to one, which the message may bring as a descriptor."""
        engine, fields = self._engine, message.fields
        ring = SharedRing(descriptors[0]) if descriptors else None
        if message.kind == "play":
            number = fields["ring"]
            if ring is not None:
                self._sources[number] = RingSource(ring, fields["rate"])
            self._forget(fields["gone"])
            engine.play(handle, None if number is None else self._sources[number])
            return
        sink = None if ring is None else RingSink(ring, fields["rate"])
        if message.kind == "record":
            engine.record(handle, sink)
        else:
            engine.monitor(handle, sink)

    def _reserve(self, host: str, count: int) -> None:
        """Reserve `count` streams ahead of need, or fewer if ports run out."""
        streams, error = [], None
        for _ in range(count):
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

    def _rebind(self, handle: StreamHandle, host: str) -> None:
        """Move a stream to other ports, and answer which."""
        place, error = {}, ""
        try:
            local = self._engine.rebind_stream(handle, host)
            ports = {"rtp_port": local.rtp_port, "rtcp_port": local.rtcp_port}
            place = {"host": local.host, "ssrc": local.ssrc, **ports}
        except SoftphoneError as refusal:
            error = str(refusal)
        name = [handle.row, handle.generation]
        self._channel.send_message(
            MediaWorkerMessage("rebound", {"handle": name, "place": place, "error": error})
        )

    def _forget(self, gone: list[int]) -> None:
        """Drop the rings that no stream plays any more."""
        for number in gone:
            self._sources.pop(number, None)

    # Events and statistics ----------------------------------------------------------------------

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
        counters[EngineCounter.PACKETS_SKIPPED] = engine.packets_skipped
        counters[EngineCounter.FRAMES_LATE] = engine.frames_late
        counters[EngineCounter.UNCLAIMED] = engine.unclaimed
        counters[EngineCounter.LATEST_MICROSECONDS] = int(engine.lateness.maximum_ms * 1e3)
        self._ticks += 1
        if self._ticks % SELDOM == 0:
            counters[EngineCounter.OVERFLOWS] = engine.overflows
            counters[EngineCounter.PROCESSOR_MICROSECONDS] = int(time.process_time() * 1e6)


class LogForwarder(logging.Handler):
    """Forwards the log records of this process to the application's process."""

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
    """Run the worker process."""
    # SIGINT and SIGHUP go to the terminal's whole process group: the application handles them.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with sessions_side_by_side():
        asyncio.run(serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
