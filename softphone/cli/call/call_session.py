"""The common part of `call` and `answer`: the call from its answer to its summary.

However it ends, an interruption included, the files are completed and the summary is printed last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

from softphone.account import Account
from softphone.call import Call, IncomingCall, OutgoingCall
from softphone.cli.call.call_options import PreparedCall
from softphone.cli.call.event_text import print_call_event
from softphone.cli.call.monitoring import serve_monitoring
from softphone.cli.call.ready import register_within, show_ready
from softphone.cli.call.summary import (
    CallOutcome,
    audio_fields,
    security_fields,
    summary_text,
    video_fields,
)
from softphone.cli.console.certificate_prompt import certificate_prompt, open_trust_store
from softphone.cli.console.output import CommandOutput, security_line
from softphone.cli.console.runner import on_termination
from softphone.cli.console.trunk_text import print_trunk_changes
from softphone.cli.diagnose.explain import show_findings
from softphone.diagnostics import Ladder, combine_taps
from softphone.diagnostics.refusal_analysis import analyze_refusals
from softphone.errors import LocalProtocolError, MediaError, SoftphoneError
from softphone.events import CallEnded, CallEvent, StreamStatistics, TransferRequested
from softphone.media import (
    VideoStream,
)
from softphone.media.audio import SilenceSource
from softphone.media.video import VideoFileSource
from softphone.phone import Phone
from softphone.security import SecurityState

CallParty: TypeAlias = OutgoingCall | IncomingCall | Call

DIGIT_SECONDS, PAUSE_SECONDS, LAST_DIGIT_SECONDS = 0.18, 0.52, 0.2
"""Seconds of a digit of 100 ms with its gap, rounded up to packets; of a pause; and of the
repetitions of the last end packet (RFC 4733).
"""
TRANSFER_PATIENCE = 60.0


class CallSession:
    """One run of `call` or `answer`."""

    def __init__(self, output: CommandOutput, prepared: PreparedCall) -> None:
        self._output = output
        self._prepared = prepared
        # The ladder's messages explain a refusal.
        self._record = output.ladder or Ladder(limit=200)
        self._party: CallParty | None = None
        self._tellers: set[asyncio.Task[None]] = set()
        self._successor: asyncio.Task[Call | None] | None = None
        self._draining: asyncio.Task[bool] | None = None
        self._both_attached = self._video_recording_attached = False
        self._video: VideoStream | None = None

    async def run(self, connect: Callable[[Account], Awaitable[CallEnded]]) -> int:
        """Register, run `connect` with its call, print the summary, and return the exit code."""
        try:
            try:
                ending = await self._run(connect)
            except SoftphoneError as error:
                ending = CallOutcome.of_error(error)
        except asyncio.CancelledError:
            self._sum_up(CallOutcome.of_interruption(up=isinstance(self._party, Call)))
            raise
        return self._sum_up(ending)

    async def _run(self, connect: Callable[[Account], Awaitable[CallEnded]]) -> CallOutcome:
        output = self._output
        asked = self._prepared.trust
        ask, trust = certificate_prompt(output, asked), open_trust_store(asked.store)
        tap = combine_taps(self._record, self._prepared.capture, self._prepared.monitoring.hep)
        async with (
            Phone(tap=tap, trust=trust, unknown_certificate=ask) as phone,
            serve_monitoring(output, phone, self._prepared.monitoring),
        ):
            server = self._prepared.config.server_uri
            with output.waiting("opening the listener" if server is None else f"reaching {server}"):
                config, seconds = self._prepared.config, self._prepared.timeout
                line = await register_within(output, phone, config, seconds)
            if self._prepared.directories:
                phone.open_directories(self._prepared.directories)
            show_ready(output, line)
            watching = asyncio.ensure_future(print_trunk_changes(self._output, line))
            try:
                with on_termination(lambda: self._drain(phone)):
                    ended = await connect(line)
                await self._finish_printing()
            except SoftphoneError:
                await self._finish_printing()
                raise
            finally:
                watching.cancel()
                for task in self._tellers:
                    task.cancel()
                if self._successor is not None:
                    self._successor.cancel()
                if self._draining is not None:
                    self._draining.cancel()
            call = self._party
            if not isinstance(call, Call):
                raise LocalProtocolError("there was no call")
            return CallOutcome.of_call(ended, call.refused, call.explanation)

    def _drain(self, phone: Phone) -> bool:
        """Begin to drain: let a call that is up end by itself, within the account's time limit;
        False without a call.
        """
        if not any(account.calls for account in phone.accounts):
            return False
        seconds = self._prepared.config.drain.timeout
        sentence = f"told to leave: no more calls, and this one has {seconds:g} s to end"
        self._output.event("draining", sentence, timeout=seconds)
        self._draining = asyncio.ensure_future(phone.drain())
        return True

    async def _finish_printing(self) -> None:
        """Wait until the last events of the ended call are printed."""
        if self._tellers:
            await asyncio.wait(self._tellers, timeout=1.0)

    # Watching

    def print_events_of(self, party: CallParty, line: Account) -> None:
        """Print all events of a call, and follow its transfers."""
        self._party = party
        task = asyncio.ensure_future(self._watch(party.events(), line))
        self._tellers.add(task)

    async def _watch(self, events: AsyncIterator[CallEvent], line: Account) -> None:
        async for event in events:
            print_call_event(self._output, event)
            if isinstance(event, TransferRequested):
                self._follow_transfer(line)

    def _follow_transfer(self, line: Account) -> None:
        for call in line.calls:
            if call.transfer_requested and self._successor is None:
                self._successor = asyncio.ensure_future(self._transferred(line, call))
            elif call.transfer_requested:
                call.reject_transfer(491)

    async def _transferred(self, line: Account, call: Call) -> Call | None:
        try:
            outgoing = line.accept_transfer(call)
            await outgoing.start()
            self.print_events_of(outgoing, line)
            return await outgoing.answered(timeout=TRANSFER_PATIENCE)
        except SoftphoneError as error:
            self._party = call
            self._output.event(
                "transfer_failed", f"the transfer failed: {error}", reason=str(error)
            )
            return None

    def answer_replacing_call(self, incoming: IncomingCall, line: Account) -> None:
        """Answer a call that replaces ours (RFC 3891)."""

        async def answer() -> Call | None:
            self.print_events_of(incoming, line)
            return await incoming.answer()

        self._successor = asyncio.ensure_future(answer())

    async def handle_incoming_calls(
        self, line: Account, take: Callable[[IncomingCall], bool]
    ) -> None:
        """Handle incoming calls meanwhile; those that `take` does not accept get 486."""
        async for incoming in line.incoming():
            try:
                if take(incoming):
                    continue
                if incoming.replaces is not None:
                    self.answer_replacing_call(incoming, line)
                else:
                    incoming.reject(486)
                    self._output.event(
                        "busy",
                        f"{incoming.peer.uri} was told that we are busy",
                        peer=str(incoming.peer.uri),
                    )
            except LocalProtocolError:
                # The caller gave up before its turn.
                continue

    # Talking

    async def run_until_over(self, call: Call) -> CallEnded:
        """Play, record and send digits until the call is over or its time is up; hang up."""
        current: Call | None = call
        started = asyncio.get_running_loop().time()
        with self._output.waiting("in the call") as show:
            over = asyncio.ensure_future(self._time_is_up(call, started))
            try:
                while current is not None:
                    call = current
                    self._party = call
                    self._attach(call)
                    current = await self._wait_for_end(call, over, show)
            finally:
                over.cancel()
                await asyncio.gather(over, return_exceptions=True)
        call.hangup()
        return await call.ended()

    def _attach(self, call: Call) -> None:
        try:
            prepared = self._prepared
            call.audio.play(prepared.sound or prepared.device or SilenceSource())
            if prepared.device is not None:
                call.audio.sound.add_listener(prepared.device)
            if prepared.sink is not None or prepared.both is not None:
                call.audio.check_recording()
            call.audio.record(prepared.sink)
            if prepared.both is not None and not self._both_attached:
                self._both_attached = True
                call.audio.record_both(prepared.both)
            self._attach_video(call)
        except LocalProtocolError:
            # The call is over already; its end is reported elsewhere.
            return

    def _attach_video(self, call: Call) -> None:
        prepared = self._prepared
        if prepared.video is None:
            return
        self._video = call.video
        if call.video is None:
            self._output.event("no_video", "the far end takes no video")
            return
        call.video.play(prepared.video)
        if prepared.video_recording is not None and not self._video_recording_attached:
            self._video_recording_attached = True
            call.record_video(prepared.video_recording)

    async def _wait_for_end(
        self, call: Call, over: asyncio.Future[None], show: Callable[[str], None]
    ) -> Call | None:
        """Wait for the end of a call; return the call that replaces it, if there is one."""
        ended = asyncio.ensure_future(call.ended())
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            while True:
                waiting: set[asyncio.Future[Any]] = {ended, over}
                if self._successor is not None:
                    waiting.add(self._successor)
                done, _ = await asyncio.wait(
                    waiting, timeout=1.0, return_when=asyncio.FIRST_COMPLETED
                )
                if over in done:
                    over.result()
                    return None
                if self._successor is not None and (done or self._successor.done()):
                    successor, self._successor = await self._successor, None
                    if successor is not None:
                        call.hangup()
                    if successor is not None or ended.done():
                        return successor
                elif done:
                    return None
                show(_progress(loop.time() - started, call.audio.statistics))
        finally:
            ended.cancel()

    async def _time_is_up(self, call: Call, started: float) -> None:
        """Return when it is time to hang up: digits sent, and the duration or the file over."""
        prepared = self._prepared
        played = asyncio.ensure_future(call.audio.played())
        try:
            if prepared.digits:
                await self._send_digits(call)
            if prepared.duration is not None:
                spent = asyncio.get_running_loop().time() - started
                await asyncio.sleep(max(0.0, prepared.duration - spent))
            elif prepared.source is not None or prepared.video_sound is not None:
                await played
            elif isinstance(prepared.video, VideoFileSource) and call.video is not None:
                await call.video.played()
            else:
                await asyncio.Event().wait()
        finally:
            played.cancel()

    async def _send_digits(self, call: Call) -> None:
        """Send the digits, and wait until the last one has been sent."""
        digits = self._prepared.digits
        began = asyncio.get_running_loop().time()
        try:
            await call.send_digits(digits)
        except LocalProtocolError:
            # The call ended first; its end is reported elsewhere.
            return
        pauses = digits.count(",")
        takes = pauses * PAUSE_SECONDS + (len(digits) - pauses) * DIGIT_SECONDS + LAST_DIGIT_SECONDS
        spent = asyncio.get_running_loop().time() - began
        await asyncio.sleep(max(0.0, takes - spent))
        self._output.event("digits_sent", f"sent the digits {digits}", digits=digits)

    # The end

    def _explain(self) -> None:
        """Print which m-line and which crypto line caused a refusal, if any did."""
        findings = analyze_refusals(self._record.transcript())
        show_findings(self._output, [one for one in findings if one.media])

    def _sum_up(self, ending: CallOutcome) -> int:
        """Complete the files, print the summary, and return the exit code."""
        state = self._state()
        party = self._party
        if not ending.completed:
            self._explain()
        try:
            self._close_files(up=isinstance(party, Call))
        except SoftphoneError as error:
            if ending.completed:
                ending = CallOutcome.of_error(error)
        if isinstance(party, Call):
            audio = audio_fields(party.audio.codec, state, party.audio.statistics)
        else:
            statistics = StreamStatistics() if party is None else party.statistics
            audio = audio_fields(None, state, statistics)
        video = None if self._video is None else video_fields(self._video, state)
        line = ""
        if state is not None and state.media:
            line = security_line(state)
        self._output.summary(
            summary_text(ending, line, audio, video),
            result=ending.result,
            status=ending.status,
            reason=ending.reason,
            security=security_fields(state, ending.refused),
            audio=audio,
            video=video,
        )
        return ending.code

    def _state(self) -> SecurityState | None:
        party = self._party
        return None if party is None or not party.id else party.security

    def _close_files(self, *, up: bool) -> None:
        if self._prepared.capture is not None:
            self._prepared.capture.close()
        if self._prepared.source is not None:
            self._prepared.source.close()
        self._prepared.close_video()
        if self._prepared.device is not None:
            self._prepared.device.close()
        files = [
            each
            for each in (self._prepared.sink, self._prepared.both, self._prepared.video_recording)
            if each is not None
        ]
        for file in files:
            if up:
                file.close()
            else:
                file.discard()
        both = self._prepared.both
        if both is not None and both.problem:
            raise MediaError(f"the recording in {both.path} is cut short: {both.problem}")
        film = self._prepared.video_recording
        if up and film is not None and not film.pictures:
            raise MediaError(f"no picture came: {film.path} was not written")


def _progress(elapsed: float, statistics: StreamStatistics) -> str:
    return (
        f"in the call for {elapsed:.0f} s: {statistics.packets_sent} packets sent, "
        f"{statistics.packets_received} received"
    )
