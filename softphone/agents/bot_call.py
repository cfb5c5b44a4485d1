"""One call that is joined with bots, over one WebSocket after the other.

The call's sound and events are read by one task from its answer to its end; the connection to the
bot may change meanwhile, or be absent.  Whatever happens here ends this call at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar

import numpy as np

from softphone.agents.bot_config import BotConfig
from softphone.agents.bot_playback import BotPlayback, QueueFull
from softphone.agents.dialects import StreamIds, StreamMessages, StreamSound
from softphone.agents.dialects.stream_dialect import (
    BotMessage,
    ClearMessage,
    EndMessage,
    ForgetMarksMessage,
    MarkMessage,
    MediaMessage,
    Message,
    PauseMessage,
    StatusRequest,
)
from softphone.agents.sound_coding import encode_sound
from softphone.call import Call
from softphone.errors import LocalProtocolError, SoftphoneError, TransportError
from softphone.events import DigitReceived, TransferRequested
from softphone.media.audio import ReceivedAudio, WavSource

if TYPE_CHECKING:
    from softphone.agents.bot_socket import BotSocket

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("softphone.agents")

NORMAL_CODES = (1000, 1005)
"""The close codes by which a bot says that it has finished; 1005 stands for none."""
OVERFLOW_CODE = 1009
"""The close code for more than we take (RFC 6455 section 7.4.1)."""
LOST_PATIENCE = 1.0
"""Seconds to read what a bot has sent, once sending to it has failed."""
STOP_PATIENCE = 2.0
"""Seconds in which the bot has to take `stop`."""


class FrameCutter:
    """Cuts a stream's sound into frames of 20 ms, with their time since its first sample."""

    def __init__(self, sound: StreamSound) -> None:
        self._sound = sound
        self._samples = sound.rate_hz // 50
        self._rest = np.empty(0, dtype=np.int16)
        self._at = self._first = -1

    def cut(self, heard: ReceivedAudio) -> Iterator[tuple[bytes, int]]:
        """Yield octets and milliseconds; what fills no frame waits for the next sound."""
        samples = self._samples
        if self._first < 0:
            self._first = heard.timestamp
        if not self._rest.size or abs(self._at + self._rest.size - heard.timestamp) > samples:
            # After a gap the time goes on with the sound behind it.
            self._rest, self._at = self._rest[:0], heard.timestamp
        pcm = np.concatenate((self._rest, heard.pcm)) if self._rest.size else heard.pcm
        whole = pcm.size - pcm.size % samples
        at, self._at = self._at, self._at + whole
        self._rest = pcm[whole:]
        for begin in range(0, whole, samples):
            ms = (at + begin - self._first) * 1000 // self._sound.rate_hz
            yield encode_sound(pcm[begin : begin + samples], self._sound.coding), ms


class BotLine:
    """A stream on a socket: messages leave in the order of their numbers."""

    def __init__(self, socket: BotSocket, messages: StreamMessages) -> None:
        self.socket = socket
        self.messages = messages
        self.cutter = FrameCutter(messages.sound)
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._order = asyncio.Lock()

    async def send(
        self, make: Callable[P, Message | None], *given: P.args, **named: P.kwargs
    ) -> None:
        """Send what `make` makes when it is its turn; nothing once the line is lost."""
        async with self._order:
            if self.lost.done() or (message := make(*given, **named)) is None:
                return
            try:
                await self.socket.send(message)
            except TransportError as error:
                self.lose(str(error))

    async def answer(self, message: Message | None) -> None:
        """Send a message that has no number, if there is one."""
        if message is not None:
            await self.send(lambda: message)

    def lose(self, reason: str) -> None:
        """Send nothing more."""
        if not self.lost.done():
            self.lost.set_result(reason)


class BotCall:
    """An async context for an answered call: joins it with bots, and hangs it up at the end.

    The call's sound has `rate_hz` both ways, as that of each bot.  `describe` makes the messages of
    another stream with a bot that is told parameters, and `joined` is called with its names, and
    whether it takes the place of one that was lost.  `wall` is the time of digits.
    """

    def __init__(
        self,
        call: Call,
        *,
        rate_hz: int,
        describe: Callable[[BotConfig, Mapping[str, str]], StreamMessages],
        joined: Callable[[StreamIds, bool], None],
        wall: Callable[[], datetime],
    ) -> None:
        self.call = call
        self._rate_hz = rate_hz
        self._describe = describe
        self._joined = joined
        self._wall = wall
        self._line: BotLine | None = None
        self._redirection: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        self.call.audio.use_rates(read_hz=self._rate_hz, write_hz=self._rate_hz)
        self._hearing = asyncio.ensure_future(self._hear())
        self._redirection = asyncio.get_running_loop().create_future()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.call.hangup()
        self._hearing.cancel()
        await asyncio.gather(self._hearing, return_exceptions=True)

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self._hearing.done()

    @property
    def redirected(self) -> bool:
        """Whether `redirect` was called, and `follow_redirection` not yet."""
        return self._redirection is not None and self._redirection.done()

    def redirect(self) -> None:
        """End the bot's stream, with a `stop` message; the call goes on with another program."""
        if self._redirection is not None and not self._redirection.done():
            self._redirection.set_result(None)

    def follow_redirection(self) -> None:
        """Clear `redirected`, before the other program begins."""
        self._redirection = asyncio.get_running_loop().create_future()

    async def until_halted(self, work: Awaitable[T]) -> T | None:
        """Return what `work` gives; None, and it is canceled, once the call ends or is redirected.

        Raises what `work` raises.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, *self.halts}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def connect(
        self,
        socket: BotSocket,
        config: BotConfig,
        parameters: Mapping[str, str],
        open_socket: Callable[[], Awaitable[BotSocket]],
    ) -> str:
        """Join with a bot until it is done, the call ends or is redirected; close the socket.

        `open_socket` opens another connection to the bot.  Returns how the bot failed, or "";
        the caller has then heard the announcement.
        """
        failure = await self._serve(socket, config, parameters, open_socket)
        if self.over:
            self._hearing.result()
        elif failure:
            logger.warning("the bot has failed: %s", failure, extra=self.call.log_fields)
            await announce(self.call, config.announcement)
        return failure

    @property
    def halts(self) -> set[asyncio.Future[Any]]:
        """The futures that end a stream although its bot has not: the call's end, a redirection."""
        found: set[asyncio.Future[Any]] = {self._hearing}
        return found if self._redirection is None else found | {self._redirection}

    @property
    def halted(self) -> bool:
        """Whether the call has ended or is redirected."""
        return any(each.done() for each in self.halts)

    async def _hear(self) -> None:
        """Send the caller's sound and digits to the bot, if there is one, until the call ends."""
        call = self.call
        async for item in call.stream():
            line = self._line
            if isinstance(item, TransferRequested):
                with suppress(LocalProtocolError):
                    call.reject_transfer()
            elif line is None:
                continue
            elif isinstance(item, ReceivedAudio):
                for octets, ms in line.cutter.cut(item):
                    await line.send(line.messages.media, octets, ms)
            elif isinstance(item, DigitReceived):
                await line.send(line.messages.dtmf, item.digit, self._wall())

    async def _serve(
        self,
        socket: BotSocket,
        config: BotConfig,
        parameters: Mapping[str, str],
        open_socket: Callable[[], Awaitable[BotSocket]],
    ) -> str:
        """Use one socket after the other; return how the bot failed, or ""."""
        left = config.reconnects
        while True:
            again = left < config.reconnects
            messages = self._describe(config, parameters)
            failure, lost = await self._converse(socket, messages, again)
            if not lost or not left or self.halted:
                return failure
            left -= 1
            logger.warning(
                "the bot was lost, and is joined anew: %s", failure, extra=self.call.log_fields
            )
            try:
                opened = await open_unless(open_socket(), self.halts)
            except SoftphoneError as error:
                return str(error)
            if opened is None:
                return ""
            socket = opened

    async def _converse(
        self, socket: BotSocket, messages: StreamMessages, again: bool
    ) -> tuple[str, bool]:
        """Use a socket to its end; return what failed, and whether another one may help."""
        line = BotLine(socket, messages)
        playback = BotPlayback(
            self.call,
            messages.sound,
            lambda name, cleared: line.send(messages.mark, name, cleared),
            lambda waiting: line.answer(messages.pace(waiting)),
        )
        await line.send(messages.start)
        self._joined(messages.ids, again)
        self._line = line
        reading = asyncio.ensure_future(self._read(line, playback))
        playing = asyncio.ensure_future(playback.play())
        returning = asyncio.ensure_future(playback.return_marks())
        work: set[asyncio.Future[Any]] = {reading, playing, returning}
        ends: set[asyncio.Future[Any]] = {line.lost, *self.halts, *work}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return await self._conclude(line, reading, playback)
        finally:
            self._line = None
            for task in work:
                task.cancel()
            outcomes = await asyncio.gather(*work, return_exceptions=True)
            with suppress(LocalProtocolError):
                playback.clear()
                self.call.audio.resume()
            await socket.close()
            for outcome in outcomes:
                # A SoftphoneError is the end of call or bot: `hearing` and the result report it.
                if isinstance(outcome, Exception) and not isinstance(outcome, SoftphoneError):
                    raise outcome

    async def _conclude(
        self, line: BotLine, reading: asyncio.Task[bool], playback: BotPlayback
    ) -> tuple[str, bool]:
        socket = line.socket
        if line.lost.done() and not self.halted:
            # What the bot has said before tells more: it may have finished.
            await asyncio.wait({reading}, timeout=LOST_PATIENCE)
            if not reading.done():
                return line.lost.result(), True
        if reading.done() and not self.halted:
            error = reading.exception()
            if error is None:
                line.lose("the bot has closed the connection")
                if reading.result():
                    return "", False
                return await self._after_close(socket, playback)
            line.lose(str(error))
            if isinstance(error, QueueFull):
                await socket.close(OVERFLOW_CODE)
            return str(error), False
        # The call is over, about to be, or goes on without the bot.
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_PATIENCE):
                await asyncio.wait(self.halts, return_when=asyncio.FIRST_COMPLETED)
                await line.send(line.messages.stop)
        return "", False

    async def _after_close(self, socket: BotSocket, playback: BotPlayback) -> tuple[str, bool]:
        code = socket.close_code
        if code in NORMAL_CODES:
            # What the bot has said is heard to its end.
            with suppress(LocalProtocolError):
                self.call.audio.resume()
            await self.until_halted(playback.drain())
            return "", False
        if code == OVERFLOW_CODE:
            return "a message of the bot is too large, or it takes none of ours (1009)", False
        reason = f": {socket.failure}" if socket.failure else ""
        return f"the connection to the bot was lost ({code}){reason}", True

    async def _read(self, line: BotLine, playback: BotPlayback) -> bool:
        """Carry out the bot's messages until it or its socket ends; return whether it says so.

        Raises QueueFull.
        """
        warned = False
        while (received := await line.socket.receive_any()) is not None:
            try:
                message = line.messages.parse(received)
            except ValueError as error:
                if not warned:
                    warned = True
                    logger.warning(
                        "a message of the bot is left aside: %s", error, extra=self.call.log_fields
                    )
                continue
            if isinstance(message, EndMessage):
                return True
            await self._carry_out(line, playback, message)
        return False

    async def _carry_out(self, line: BotLine, playback: BotPlayback, message: BotMessage) -> None:
        """Carry out one message of the bot.  Raises QueueFull."""
        messages = line.messages
        if isinstance(message, MediaMessage):
            playback.add_sound(message.octets)
            await line.answer(messages.pace(playback.waiting_seconds))
        elif isinstance(message, MarkMessage):
            playback.add_mark(message.name, when_idle=message.when_idle)
        elif isinstance(message, ClearMessage):
            playback.clear()
            self.call.audio.resume()
            await line.answer(messages.cleared())
            await line.answer(messages.pace(0.0))
        elif isinstance(message, ForgetMarksMessage):
            playback.forget_marks()
        elif isinstance(message, PauseMessage):
            (self.call.audio.pause if message.paused else self.call.audio.resume)()
        elif isinstance(message, StatusRequest):
            await line.answer(messages.status(playback.waiting_seconds))


async def announce(call: Call, announcement: Path | None) -> None:
    """Play the announcement about a failed bot to its end, if one is configured."""
    if announcement is None:
        return
    try:
        sound = WavSource(announcement)
    except SoftphoneError as error:
        logger.error("the announcement cannot be played: %s", error)
        return
    try:
        with suppress(LocalProtocolError):
            call.audio.play(sound)
            await call.audio.played()
    finally:
        sound.close()


class Closable(Protocol):
    """A socket or session that can be closed."""

    async def close(self) -> None:
        """Close it."""


C = TypeVar("C", bound=Closable)


async def open_unless(opening: Awaitable[C], halts: Iterable[asyncio.Future[Any]]) -> C | None:
    """Wait for a socket or session; None, and nothing is left open, once one of `halts` is done.

    Raises what `opening` raises.
    """
    task = asyncio.ensure_future(opening)
    opened: C | None = None
    try:
        await asyncio.wait({task, *halts}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            opened = task.result()
        return opened
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled() and task.exception() is None and task.result() is not opened:
            await task.result().close()
