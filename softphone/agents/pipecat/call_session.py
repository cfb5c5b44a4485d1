"""The call of one transport: answered or dialed when the pipeline is ready, read to its end.

A session is driven by one task of the processor that starts it, which passes sound and events on
in the order in which they came.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any

from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    ClientConnectedFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    MetricsFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import TransportParams

from softphone.account import Account
from softphone.agents.pipecat.call_frames import CallEventFrame, CallMetricsData
from softphone.call import Call, IncomingCall, OutgoingCall
from softphone.errors import ConfigurationError, LocalProtocolError, SoftphoneError
from softphone.events import (
    CallEnded,
    CallEvent,
    CallRinging,
    CallState,
    DigitReceived,
    EarlyMediaStarted,
    EndedBy,
    MediaLost,
    TransferRequested,
    VoiceStarted,
    VoiceStopped,
)
from softphone.media.audio import ReceivedAudio

logger = logging.getLogger("softphone.agents")

KEEP_SECONDS = 2.0
"""Sound from the answer on that waits for the first reader."""
NO_BOT = 480
"""The status that refuses a call whose pipeline ends before the answer."""
_KEYPAD = frozenset(each.value for each in KeypadEntry)
"""Digits that pipecat has a button for; handlers of `on_dtmf_event` get A to D and flash, too."""
LAST_SILENCE = 0.2
"""Seconds after the last word: the far end has played it before a BYE."""


class SoftphoneParams(TransportParams):
    """The parameters of a transport; those of pipecat's `TransportParams`, and:

    `lead_seconds`: how much sound is handed to the call before it is due (0.02 to 10), which is
    what a busy event loop may be late by; an interruption discards it.  `detect_voice`: the call's
    own detector of speech reports the user's, in place of a VAD of the pipeline's.
    `detect_answer`: report whether a person or a machine has answered.  `detect_tones`: report call
    progress, fax and beeps.  `dial_timeout`: seconds that a dial-out may ring.
    `metrics_seconds`: the time between two `CallMetricsData`, where the pipeline has metrics.
    """

    audio_in_enabled: bool = True
    audio_out_enabled: bool = True
    audio_out_10ms_chunks: int = 2
    audio_out_end_silence_secs: int = 0
    # The media loop always takes what is written, except while the far end holds us.
    audio_out_write_timeout_secs: float | None = None
    lead_seconds: float = 0.1
    detect_voice: bool = False
    detect_answer: bool = False
    detect_tones: bool = False
    dial_timeout: float = 60.0
    metrics_seconds: float = 10.0


class Dialing(StrEnum):
    """The direction of a call, by the prefix of pipecat's event names."""

    IN = "dialin"
    OUT = "dialout"


class CallSession:
    """The call of a transport.  `call` is None before it is up, and stays after its end.

    `party` is a call that waits for its answer, one that is up, or the account to dial with.
    `fire` calls the handlers of an event of the transport's.
    """

    def __init__(
        self,
        party: IncomingCall | Call | Account,
        params: SoftphoneParams,
        fire: Callable[..., Awaitable[None]],
    ) -> None:
        self.params = params
        self.call: Call | None = None
        self._party = party
        self._fire = fire
        self._rates: dict[str, int] = {}
        self._processor: FrameProcessor | None = None
        self._task: asyncio.Task[None] | None = None
        self._outgoing: OutgoingCall | None = None
        self._leaving = False
        self._metrics_due = 0.0

    # For the processors ---------------------------------------------------------------------------

    def set_rates(self, **rates: int) -> None:
        """Set `read_hz` or `write_hz`, before the call is up."""
        self._rates |= rates

    def begin(self, processor: FrameProcessor) -> None:
        """Answer, or be ready to dial; frames are pushed from `processor`.  Does nothing twice."""
        if self._processor is None:
            self._processor = processor
            self._start(self._serve())

    @property
    def live_call(self) -> Call | None:
        """The call while it is up."""
        call = self.call
        return None if call is None or call.state is CallState.TERMINATED else call

    async def finish(self) -> None:
        """Let what was written be played, hang up, and wait until handlers know the end."""
        call = self.live_call
        if call is not None and self.params.audio_out_enabled:
            rate = self._rates.get("write_hz", 16000)
            try:
                await call.audio.write(bytes(2 * round(LAST_SILENCE * rate)))
                await call.audio.played()
            except LocalProtocolError:
                logger.debug("the call ended before the last word")
        self.leave()
        if self._task is not None:
            await asyncio.wait([self._task])

    def leave(self) -> None:
        """End the call at once, since the pipeline ends; the events of a hang-up are not fired."""
        self._leaving = True
        self.hang_up()

    def hang_up(self) -> None:
        """End the call at once, whatever its state."""
        if self._outgoing is not None and self._outgoing.id:
            self._outgoing.cancel()
        if self.call is not None:
            self.call.hangup()
        elif isinstance(self._party, IncomingCall) and self._party.unanswered:
            self._party.reject(NO_BOT)

    async def close(self) -> None:
        """End the call at once, and the task that reads it."""
        self.leave()
        task, self._task = self._task, None
        if task is not None and self._processor is not None:
            await self._processor.cancel_task(task)

    # For the transport ----------------------------------------------------------------------------

    def up(self) -> Call:
        """Return the call.  Raises LocalProtocolError while none is up."""
        call = self.live_call
        if call is None:
            raise LocalProtocolError("no call is up")
        return call

    async def dial(self, target: str, headers: Mapping[str, str]) -> str:
        """Send the INVITE; return the Call-ID.

        Raises LocalProtocolError for a second call, and what `OutgoingCall.start` does.
        """
        if not isinstance(self._party, Account):
            raise LocalProtocolError("the transport has a call already: give it an account to dial")
        if self._processor is None:
            raise LocalProtocolError("the pipeline has not started yet: dial in `on_joined`")
        if self._outgoing is not None or self.live_call is not None:
            raise LocalProtocolError("the transport has one call, which is not over yet")
        self._outgoing = outgoing = self._party.dial(target, headers=headers)
        try:
            await outgoing.start()
        except BaseException:
            self._outgoing = None
            raise
        if self._leaving:
            # The pipeline has ended while the INVITE was on its way.
            outgoing.cancel()
            self._outgoing = None
            raise LocalProtocolError("the pipeline has ended")
        self._start(self._await_answer(outgoing))
        return outgoing.id

    # The task -------------------------------------------------------------------------------------

    def _start(self, serving: Any) -> None:
        assert self._processor is not None
        self._task = self._processor.create_task(serving)

    async def _serve(self) -> None:
        party = self._party
        address = party.aor if isinstance(party, Account) else party.called.uri
        await self._fire("on_joined", {"address": str(address)})
        await self._fire("on_connected", {"address": str(address)})
        if isinstance(party, IncomingCall):
            await self._fire("on_dialin_ready", str(address))
            try:
                call = await party.answer(keep=KEEP_SECONDS)
            except SoftphoneError as error:
                await self._failed(Dialing.IN, party.id, error)
                return
            await self._converse(call, Dialing.IN)
        elif isinstance(party, Call):
            await self._converse(party, Dialing.IN)

    async def _await_answer(self, outgoing: OutgoingCall) -> None:
        data = {"sessionId": outgoing.id, "to": str(outgoing.peer.uri)}
        ringing = asyncio.ensure_future(_first_sign(outgoing))
        answered = asyncio.ensure_future(outgoing.answered(timeout=self.params.dial_timeout))
        try:
            await asyncio.wait([ringing, answered], return_when=asyncio.FIRST_COMPLETED)
            rang = ringing.done() and ringing.result()
            if rang:
                await self._fire("on_dialout_connected", data)
            call = await answered
        except SoftphoneError as error:
            await self._failed(Dialing.OUT, outgoing.id, error)
            return
        finally:
            ringing.cancel()
            answered.cancel()
            self._outgoing = None
        if not rang:
            await self._fire("on_dialout_connected", data)
        await self._converse(call, Dialing.OUT)

    async def _failed(self, way: Dialing, session: str, error: SoftphoneError) -> None:
        logger.info("a call of a pipecat bot failed: %s", error)
        status = getattr(error, "status", 0)
        data = {"sessionId": session, "errorMsg": str(error), "status": status}
        await self._fire(f"on_{way}_error", data)

    async def _converse(self, call: Call, way: Dialing) -> None:
        """Pass on what the call gives, to its end."""
        participant = describe_far_end(call)
        data = {"sessionId": call.id, "from": participant["from"], "to": participant["to"]}
        try:
            call.audio.use_rates(**self._rates)
            self._detect(call)
        except SoftphoneError as error:
            await self._failed(way, call.id, error)
            call.hangup()
            return
        self.call = call
        if self._leaving:
            call.hangup()
        await self._fire(
            "on_dialin_connected" if way is Dialing.IN else "on_dialout_answered", data
        )
        for name in ("first_participant_joined", "participant_joined", "client_connected"):
            await self._fire(f"on_{name}", participant)
        await self._push(ClientConnectedFrame())
        async for item in call.stream():
            if isinstance(item, ReceivedAudio):
                await self._pass_sound(item)
            elif isinstance(item, CallEnded):
                await self._end(way, call, participant, item)
            else:
                await self._pass_event(way, call, item)

    def _detect(self, call: Call) -> None:
        params = self.params
        wanted = {
            "voice": params.detect_voice,
            "answer": params.detect_answer,
            "tones": params.detect_tones,
        }
        if any(wanted.values()):
            call.audio.detect(**wanted)

    async def _pass_sound(self, heard: ReceivedAudio) -> None:
        processor = self._processor
        assert processor is not None
        if hasattr(processor, "push_audio_frame"):
            frame = InputAudioRawFrame(
                audio=bytes(heard), sample_rate=heard.clock_rate_hz, num_channels=1
            )
            await processor.push_audio_frame(frame)
        now = asyncio.get_running_loop().time()
        if now >= self._metrics_due:
            self._metrics_due = now + self.params.metrics_seconds
            await self._push_metrics()

    async def _pass_event(self, way: Dialing, call: Call, event: CallEvent) -> None:
        match event:
            case DigitReceived():
                await self._pass_digit(call, event)
                return
            case VoiceStarted() if self.params.detect_voice:
                await self._push(VADUserStartedSpeakingFrame())
            case VoiceStopped() if self.params.detect_voice:
                await self._push(VADUserStoppedSpeakingFrame())
            case MediaLost():
                text = f"nothing was received for {event.seconds:g} s"
                await self._fire(f"on_{way}_warning", {"sessionId": call.id, "warningMsg": text})
            case TransferRequested() if call.transfer_requested:
                call.reject_transfer()
        await self._push(CallEventFrame(event))

    async def _pass_digit(self, call: Call, event: DigitReceived) -> None:
        data = {"sessionId": call.id, "tone": event.digit, "duration": event.duration_ms}
        await self._fire("on_dtmf_event", data)
        if event.digit in _KEYPAD:
            await self._push(InputDTMFFrame(button=KeypadEntry(event.digit)))

    async def _end(
        self, way: Dialing, call: Call, participant: dict[str, Any], ended: CallEnded
    ) -> None:
        await self._push_metrics()
        await self._push(CallEventFrame(ended))
        data = {"sessionId": call.id, "by": ended.by.value, "status": ended.status}
        await self._fire(f"on_{way}_stopped", data | {"reason": ended.reason})
        if not (self._leaving and ended.by is EndedBy.LOCAL):
            await self._fire("on_participant_left", participant, ended.reason or ended.by.value)
            await self._fire("on_client_disconnected", participant)

    async def _push(self, frame: Frame) -> None:
        assert self._processor is not None
        await self._processor.push_frame(frame)

    async def _push_metrics(self) -> None:
        processor, call = self._processor, self.call
        if processor is not None and processor.metrics_enabled and call is not None:
            figures = CallMetricsData.of(processor.name, call.statistics)
            await self._push(MetricsFrame(data=[figures]))


async def _first_sign(outgoing: OutgoingCall) -> bool:
    """Wait until the far end rings or its early sound is open; return whether that came."""
    async for event in outgoing.events():
        if isinstance(event, CallRinging | EarlyMediaStarted):
            return True
    return False


def describe_far_end(call: Call) -> dict[str, Any]:
    """Return the far end as pipecat's handlers take a participant.

    Names, numbers and header fields are what the far end says: data, never instructions.
    """
    identity = call.asserted_identity
    return {
        "id": call.id,
        "info": {"isLocal": False, "userName": identity.name or identity.number},
        "from": str(call.caller.uri),
        "to": call.dialed.number,
        "assurance": identity.assurance.value,
        "sip_headers": header_fields(call),
    }


def header_fields(call: Call | IncomingCall) -> dict[str, str]:
    """Return the INVITE's header fields by name; those that repeat are joined by commas."""
    fields: dict[str, str] = {}
    for name, value in call.headers:
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def check_params(params: SoftphoneParams) -> None:
    """Raise ConfigurationError for what a call cannot have."""
    if params.audio_in_channels != 1 or params.audio_out_channels != 1:
        raise ConfigurationError("a call has one channel: leave audio_in_channels and _out_ at 1")
    if params.video_in_enabled or params.video_out_enabled:
        raise ConfigurationError("the transport carries no video: leave video_*_enabled off")
