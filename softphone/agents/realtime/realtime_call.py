"""One answered call that a realtime service talks in: sound, digits and functions, to its end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from softphone.agents.realtime.dialect import (
    CallerSpeaks,
    ReplySound,
    ServiceEvent,
    ToolRequest,
    ToolWithdrawn,
    Transcript,
)
from softphone.agents.realtime.playback import ReplyPlayback
from softphone.agents.realtime.reports import RealtimeEvent, Said, ToolUsed
from softphone.agents.realtime.session import RealtimeSession
from softphone.agents.realtime.tools import AFTER_WORDS, Tool, ToolOutcome, carry_out
from softphone.agents.sound_coding import encode_sound
from softphone.call import Call
from softphone.errors import LocalProtocolError, SoftphoneError
from softphone.events import DigitReceived, TransferRequested
from softphone.media.audio import ReceivedAudio

DIGIT_PAUSE = 1.5
"""Seconds without a further digit after which received digits are sent to the service."""
MOST_DIGITS = 32
"""The most digits that are sent to the service in one message."""
MOST_REQUESTS = 8
"""The most functions that wait to be carried out."""
END_PATIENCE = 1.0
"""Seconds for the call's end to be told, when playing has ended."""


class RealtimeCall:
    """Joins an answered call with a session; `report` is told of functions and of what was said."""

    def __init__(
        self,
        call: Call,
        session: RealtimeSession,
        *,
        tools: tuple[Tool, ...],
        report: Callable[[RealtimeEvent], None],
    ) -> None:
        self._call = call
        self._session = session
        self._tools = tools
        self._report = report
        dialect = session.dialect
        call.audio.use_rates(read_hz=dialect.heard_hz, write_hz=dialect.spoken_hz)
        self._playback = ReplyPlayback(call.audio, dialect.coding, dialect.spoken_hz)
        self._requests: deque[ToolRequest] = deque()
        self._requested = asyncio.Event()
        self._interrupted = False
        self._digits: asyncio.Queue[str] = asyncio.Queue(MOST_DIGITS)
        self._leaving = False

    async def run(self) -> str:
        """Let the service talk until the call ends or the service fails; return how, or "".

        The call is still up where the service has failed.
        """
        session = self._session
        session.listen(self._handle)
        session.dialect.begin()
        hearing = asyncio.ensure_future(self._hear())
        working = (self._playback.play(), self._tell_digits(), self._carry_out_requests())
        work: set[asyncio.Future[Any]] = {asyncio.ensure_future(each) for each in working}
        try:
            await session.flush()
            ends: set[asyncio.Future[Any]] = {hearing, session.ended, *work}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                # The service may leave before the call that it ends; playing ends with the call.
                seconds = None if self._leaving else END_PATIENCE * (not session.ended.done())
                await asyncio.wait({hearing}, timeout=seconds)
            if hearing.done():
                hearing.result()
                return ""
            return str(_expected(session.ended)) if session.ended.done() else "playing has failed"
        finally:
            session.listen(lambda _: None)
            for task in (hearing, *work):
                task.cancel()
            outcomes = await asyncio.gather(hearing, *work, return_exceptions=True)
            with suppress(LocalProtocolError):
                self._playback.interrupt()
            for outcome in outcomes:
                if isinstance(outcome, Exception) and not isinstance(outcome, SoftphoneError):
                    raise outcome

    # The caller

    async def _hear(self) -> None:
        """Send the caller's sound to the service until the call ends."""
        call, session = self._call, self._session
        async for item in call.stream():
            if isinstance(item, ReceivedAudio):
                session.dialect.send_sound(encode_sound(item.pcm, session.dialect.coding))
                await session.flush()
            elif isinstance(item, DigitReceived):
                with suppress(asyncio.QueueFull):
                    self._digits.put_nowait(item.digit)
            elif isinstance(item, TransferRequested):
                with suppress(LocalProtocolError):
                    call.reject_transfer()

    async def _tell_digits(self) -> None:
        """Tell the service the digits that the caller presses, those of one number together."""
        while True:
            digits = await next_digits(self._digits)
            self._session.dialect.send_text(f"The caller has pressed {digits} on the telephone.")
            await self._session.flush()

    # The service

    def _handle(self, event: ServiceEvent) -> None:
        """Carry out an event.  Raises TransportError where a service sends too much."""
        if isinstance(event, ReplySound):
            self._playback.add_sound(event.item, event.octets)
        elif isinstance(event, CallerSpeaks):
            cut = self._playback.interrupt()
            self._interrupted = bool(cut)
            for item, heard_ms in cut:
                self._session.dialect.report_heard(item, heard_ms)
        elif isinstance(event, Transcript):
            self._report(Said(self._call.id, event.speaker.value, event.text))
        elif isinstance(event, ToolWithdrawn):
            self._requests = deque(each for each in self._requests if each.id != event.id)
        elif isinstance(event, ToolRequest):
            if len(self._requests) < MOST_REQUESTS:
                self._requests.append(event)
                self._requested.set()
            else:
                self._answer(event, ToolOutcome(False, "too many at once", "too many functions"))

    async def _carry_out_requests(self) -> None:
        while True:
            while not self._requests:
                self._requested.clear()
                await self._requested.wait()
            request = self._requests[0]
            outcome = await self._after_words(request) if request.name in AFTER_WORDS else None
            if request not in self._requests:
                # The service has withdrawn it meanwhile.
                self._leaving = False
                continue
            self._requests.popleft()
            outcome = outcome or await carry_out(self._call, request, self._tools)
            self._answer(request, outcome)
            await self._session.flush()

    async def _after_words(self, request: ToolRequest) -> ToolOutcome | None:
        """Wait until what was said is heard; the outcome if the caller has interrupted it."""
        self._interrupted = False
        self._leaving = request.name == Tool.HANG_UP.value
        await self._playback.drain()
        if not self._interrupted:
            return None
        self._leaving = False
        return ToolOutcome(False, "not done: the caller has interrupted you", request.name)

    def _answer(self, request: ToolRequest, outcome: ToolOutcome) -> None:
        self._report(ToolUsed(self._call.id, outcome.shown, outcome.done, outcome.sentence))
        self._session.dialect.answer_tool(request, outcome.as_json())


def _expected(ended: asyncio.Future[None]) -> SoftphoneError:
    """Return why a session has ended.  Raises an exception that a bug of ours caused."""
    error = ended.exception()
    if isinstance(error, SoftphoneError):
        return error
    raise error or RuntimeError("a session has ended without a reason")


async def next_digits(pressed: asyncio.Queue[str]) -> str:
    """Wait for digits: up to "#", a pause or MOST_DIGITS."""
    digits = await pressed.get()
    with suppress(TimeoutError):
        while not digits.endswith("#") and len(digits) < MOST_DIGITS:
            async with asyncio.timeout(DIGIT_PAUSE):
                digits += await pressed.get()
    return digits
