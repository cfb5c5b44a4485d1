"""Starts one worker process and holds its socket and statistics, in the application's process.

The worker gets its secrets over the socket only: none is in its environment, on its command line
or in a file.  It ends when its socket closes, so it cannot outlive the application.  Linux only.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from typing import Final, Protocol

from softphone import openssl_provider
from softphone.errors import MediaError
from softphone.media.audio import map_memory, shared_memory
from softphone.media.interface import (
    MediaConfig,
)
from softphone.media.worker.shared_statistics import SharedStatistics
from softphone.media.worker.socket_channel import MediaWorkerSocket
from softphone.media.worker.wire_format import MediaWorkerMessage, config_fields

logger = logging.getLogger("softphone.media")

START_TIMEOUT: Final = 30.0
"""Seconds in which a worker must be ready, with a margin for a busy machine."""

ANSWER_TIMEOUT: Final = 2.0
"""Seconds to wait for the answer to a command that has one."""

CLOSE_TIMEOUT: Final = 3.0
"""Seconds in which a worker must end once its socket is closed; then it is killed."""

INHERITED: Final = (
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    openssl_provider.FIPS_FOLDER_VARIABLE,
)
"""The environment variables that a worker inherits: locale, libraries and FIPS mode, no secrets."""


class MediaWorkerOwner(Protocol):
    """Receives the messages and the end of a worker."""

    def message_received(self, link: MediaWorkerProcess, message: MediaWorkerMessage) -> None:
        """Handle a message of the worker."""

    def worker_ended(self, link: MediaWorkerProcess, reason: str) -> None:
        """Handle the end of a started worker that `close` has not ended."""


class MediaWorkerProcess:
    """A worker process; `index` is its number among the workers of an engine.

    `capacity` is its number of streams (0 before it is ready).  `statistics` is the memory that it
    shares; it stays readable after the worker's end.
    """

    def __init__(self, owner: MediaWorkerOwner, config: MediaConfig, index: int) -> None:
        self.index = index
        self.capacity = 0
        self.alive = False
        self.statistics: SharedStatistics | None = None
        self.process: Process | None = None
        self._owner = owner
        self.config = config
        self._channel: MediaWorkerSocket | None = None
        self._ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Start the process and wait until it is ready.

        Raises MediaError if it cannot start, refuses its configuration, has another FIPS mode or is
        not ready within START_TIMEOUT; the process is killed then.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptor = -1
        try:
            with theirs:
                descriptor = shared_memory(SharedStatistics.octets(1))
                self.process = await self._spawn(theirs.fileno())
            self._channel = MediaWorkerSocket(
                ours, on_message=self._handle_message, on_closed=self._closed
            )
            self.send_message(MediaWorkerMessage("start", config_fields(self.config)), [descriptor])
            async with asyncio.timeout(START_TIMEOUT):
                self.capacity = await self._ready
            self.statistics = SharedStatistics(map_memory(descriptor), self.capacity)
            self.alive = True
        except (OSError, TimeoutError) as error:
            await self._give_up(ours)
            reason = str(error) or f"it was not ready within {START_TIMEOUT:g} seconds"
            raise MediaError(f"no media worker can be started: {reason}") from error
        except BaseException:
            await self._give_up(ours)
            raise
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    async def _give_up(self, ours: socket.socket) -> None:
        ours.close() if self._channel is None else self._channel.close()
        if self.process is not None:
            await self._reap(self.process, 0.0)

    async def _spawn(self, descriptor: int) -> Process:
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "softphone.media.worker.process",
            str(descriptor),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            env=environment,
            pass_fds=(descriptor,),
        )

    # Messages -----------------------------------------------------------------------------------

    def send_message(self, message: MediaWorkerMessage, descriptors: Sequence[int] = ()) -> None:
        """Send a command with file descriptors; do nothing before `start`."""
        if self._channel is not None:
            self._channel.send_message(message, descriptors)

    def wait_for_message(self, kind: str) -> MediaWorkerMessage | None:
        """Block the event loop until a message of `kind` arrives; None after ANSWER_TIMEOUT."""
        if self._channel is None:
            return None
        return self._channel.wait_for_message(kind, seconds=ANSWER_TIMEOUT)

    def _handle_message(self, message: MediaWorkerMessage, descriptors: list[int]) -> None:
        for each in descriptors:  # workers send no descriptors
            os.close(each)
        if message.kind == "ready" and not self._ready.done():
            self._take_ready(message)
        elif message.kind == "refused" and not self._ready.done():
            self._ready.set_exception(MediaError(f"media worker: {message.fields['why']}"))
        elif message.kind == "log":
            text = message.fields["text"]
            logger.log(message.fields["level"], "media worker %d: %s", self.index, text)
        else:
            self._owner.message_received(self, message)

    def _take_ready(self, message: MediaWorkerMessage) -> None:
        """Complete the start, or fail it if the worker's FIPS mode is not ours: it gets no keys."""
        if bool(message.fields.get("fips")) != openssl_provider.fips_in_force():
            wrong = "not in FIPS mode" if openssl_provider.fips_in_force() else "in FIPS mode"
            self._ready.set_exception(
                MediaError(f"media worker {self.index} has started {wrong}, unlike its application")
            )
            return
        self._ready.set_result(int(message.fields["capacity"]))

    # The end ------------------------------------------------------------------------------------

    def _closed(self) -> None:
        pid = 0 if self.process is None else self.process.pid
        reason = f"the media worker (process {pid}) has ended"
        if not self._ready.done():
            self._ready.set_exception(MediaError(f"{reason} before it was ready"))
            return
        if self.alive:
            self.alive = False
            self._owner.worker_ended(self, reason)

    async def close(self) -> None:
        """Close the socket and wait for the process to end; kill it after CLOSE_TIMEOUT."""
        self.alive = False
        if self._channel is not None:
            self._channel.close()
        if self.process is not None:
            await self._reap(self.process, CLOSE_TIMEOUT)

    @staticmethod
    async def _reap(process: Process, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            if process.returncode is None:
                process.kill()
            await process.wait()
