"""One session with a service: its WebSocket, its dialect, and one task that reads.

What the service says is given to a function at once, in order; what the dialect wants to say is
sent in the order in which it was made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from softphone.agents.realtime.dialect import Dialect, ServiceError, ServiceEvent, SessionReady
from softphone.agents.realtime.realtime_config import RealtimeConfig
from softphone.errors import TransportError, TransportTimeout

if TYPE_CHECKING:
    from softphone.agents.bot_socket import BotSocket

KEEP_ALIVE = 5.0
"""Seconds between the messages that keep a session open until the call is answered."""

logger = logging.getLogger("softphone.agents")


class RealtimeSession:
    """A session on an open socket, which it reads to its end.

    `ended` is done, with a TransportError, when the service is of no use any more.
    """

    def __init__(self, config: RealtimeConfig, socket: BotSocket, dialect: Dialect) -> None:
        self._config = config
        self._socket = socket
        self.dialect = dialect
        self._handle: Callable[[ServiceEvent], None] = lambda _: None
        self._order = asyncio.Lock()
        self._warned: set[str] = set()
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    async def open(self) -> None:
        """Take the settings to the service.  Raises TransportError, and closes the socket then."""
        self._reading = asyncio.ensure_future(self._read_to_end())
        self._waiting = asyncio.ensure_future(self._keep_alive())
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise

    async def close(self, code: int = 1000) -> None:
        """End the session, and close the socket."""
        self._reading.cancel()
        self._waiting.cancel()
        await asyncio.gather(self._reading, self._waiting, return_exceptions=True)
        if self.ended.done():
            self.ended.exception()
        else:
            self.ended.cancel()
        self._ready.cancel()
        await self._socket.close(code)

    async def _open(self) -> None:
        seconds = self._config.patience
        self.dialect.open_session()
        await self.flush()
        ends: set[asyncio.Future[None]] = {self._ready, self.ended}
        done, _ = await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise TransportTimeout(
                f"{self._config.place} has not taken the settings within {seconds:g} s"
            )
        if not self._ready.done():
            self.ended.result()

    def listen(self, handle: Callable[[ServiceEvent], None]) -> None:
        """Have each event from now on handled; what `handle` raises as TransportError ends us.

        Sound is sent from now on, which keeps the session open.
        """
        self._handle = handle
        self._waiting.cancel()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE)
            self.dialect.keep_alive()
            await self.flush()

    async def flush(self) -> None:
        """Send what the dialect has queued.  A socket that fails ends the session."""
        async with self._order:
            for message in self.dialect.transmits():
                if self.ended.done():
                    return
                try:
                    await self._socket.send(message)
                except TransportError as error:
                    self._end(error)

    async def _read_to_end(self) -> None:
        try:
            while (message := await self._socket.receive_any()) is not None:
                self._take(message)
                await self.flush()
            socket = self._socket
            code = socket.close_code
            below = self._config.shown(socket.close_reason) or socket.failure
            reason = f": {below}" if below else ""
            self._end(TransportError(f"the service has closed the connection ({code}){reason}"))
        except TransportError as error:
            self._end(error)
        except Exception as error:  # a fault of ours: it ends this session, and is told
            if not self.ended.done():
                self.ended.set_exception(error)

    def _take(self, message: str | bytes) -> None:
        try:
            events = list(self.dialect.receive(message))
        except ValueError as error:
            self._warn("a message of the service is left aside", str(error))
            return
        for event in events:
            if isinstance(event, SessionReady):
                if not self._ready.done():
                    self._ready.set_result(None)
            elif isinstance(event, ServiceError):
                said = self._config.shown(event.text)
                if event.fatal:
                    raise TransportError(f"the service refuses the session: {said}")
                self._warn("the service reports an error", said)
            else:
                self._handle(event)

    def _warn(self, what: str, detail: str) -> None:
        """Log the first of each kind: a service may repeat it for as long as it likes."""
        if what not in self._warned:
            self._warned.add(what)
            logger.warning("%s: %s", what, detail)

    def _end(self, error: TransportError) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)
