"""AudioStream: the application's handle on a call's audio, one row of the media engine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from softphone.call.leg import CallLeg, ReadWriteBuffers
from softphone.errors import ConfigurationError, LocalProtocolError, MediaError
from softphone.events import (
    AnswerClassified,
    CallEnded,
    Direction,
    PacketCounts,
    RecordingFailed,
    StreamStatistics,
    ToneDetected,
    VoiceStarted,
    VoiceStopped,
)
from softphone.extras import install_command
from softphone.media import (
    AllocatedStream,
    MediaEvent,
    PlaybackEnded,
    Sink,
    Source,
    VideoStream,
)
from softphone.media.audio import (
    AudioRouter,
    PcmInput,
    PcmOutput,
    PlaybackMark,
    ReceivedAudio,
    check_rate,
)
from softphone.media.audio.pcm_output import LEAST_LEAD
from softphone.media.bank import find_codec
from softphone.media.detection import AnswerClassification, DetectedSound, DetectorKind
from softphone.media.engine import LiveDetector, start_detection
from softphone.media.processing import VoiceProcessing
from softphone.media.recording import Recording, VideoRecording
from softphone.media.tracks import MediaTrack, is_path, open_sink, open_source
from softphone.security import MediaSecurity, SecurityShortfall

if TYPE_CHECKING:
    from aiortc.mediastreams import MediaStreamTrack

PcmLike: TypeAlias = npt.NDArray[np.int16] | bytes | bytearray | memoryview


def _is_playing(owner: CallLeg) -> bool:
    """Whether we are playing a source or have written samples waiting to be sent."""
    said = None if owner.audio_buffers is None else owner.audio_buffers.pcm_output
    waiting = said is not None and said.waiting_samples > 0
    return not owner.paused and (owner.playing or waiting)


class Detection:
    """Detectors on one stream, running until `stop` or the end of the call."""

    def __init__(self, owner: CallLeg, wanted: DetectorKind) -> None:
        """`AudioStream.detect` starts a detection.

        :meta private:
        """
        self._owner = owner
        # Noise suppression takes tones for noise, which stand still: they are found as received.
        heard = wanted & (DetectorKind.VOICE | DetectorKind.ANSWER)
        parts = [heard, wanted & ~heard] if owner.sound.processes else [wanted]
        self._listeners: list[LiveDetector] = []
        try:
            for part in parts:
                if part:
                    self._listeners.append(self._listen(part))
        except LocalProtocolError:
            self.stop()
            raise
        owner.sound.call_at_end(self.stop)

    def _listen(self, wanted: DetectorKind) -> LiveDetector:
        owner = self._owner
        listener = start_detection(
            owner.media_backend, wanted, self._emit_detection, owner.setup.speech_model
        )
        try:
            speech = wanted & (DetectorKind.VOICE | DetectorKind.ANSWER)
            owner.sound.add_listener(listener, raw=not speech)
        except LocalProtocolError:
            listener.close()
            raise
        return listener

    def stop(self) -> None:
        """Stop detecting; a second call does nothing."""
        self._owner.sound.cancel_at_end(self.stop)
        for listener in self._listeners:
            self._owner.sound.remove_listener(listener)
            listener.close()

    def _emit_detection(self, found: DetectedSound | AnswerClassification, now: float) -> None:
        owner = self._owner
        if isinstance(found, AnswerClassification):
            owner.emit_event(AnswerClassified(found.kind, found.confidence, found.reasons, now))
        elif found.kind == "digit":
            owner.emit_digit(found.what, found.seconds * 1000.0, "inband")
        elif found.kind == "voice":
            owner.emit_event(VoiceStarted(found.at, _is_playing(owner)))
        elif found.kind == "silence":
            owner.emit_event(VoiceStopped(found.at, found.seconds))
        else:
            owner.emit_event(ToneDetected(found.what, found.at, found.seconds))


def attach_recording(owner: CallLeg, recording: Recording) -> Recording:
    """Feed both sides of a call to a recording until it is closed or the call ends."""

    def detach() -> None:
        owner.sound.cancel_at_end(finish)
        owner.sound.remove_listener(recording.far)
        owner.sound.remove_monitor(recording.near)

    finish = _closing(recording)
    recording.watch(
        failed=lambda reason: owner.emit_event(RecordingFailed(str(recording.path), reason)),
        forbidden=_forbidding(owner),
        detach=detach,
    )
    owner.sound.add_listener(recording.far, raw=True)
    owner.sound.add_monitor(recording.near)
    owner.sound.call_at_end(finish)
    return recording


def attach_video_recording(
    owner: CallLeg, video: VideoStream, film: VideoRecording
) -> VideoRecording:
    """Feed the far end's video and audio to a recording until it is closed or the call ends."""

    def detach() -> None:
        owner.sound.cancel_at_end(finish)
        owner.sound.remove_listener(film.audio_sink)
        video.remove_listener(film)

    loop, finish = asyncio.get_running_loop(), _closing(film)

    def tell(reason: str) -> None:
        # Called on the recording's thread.
        event = RecordingFailed(str(film.path), reason)
        loop.call_soon_threadsafe(owner.emit_event, event)

    film.failed, film.forbidden, film.detach = tell, _forbidding(owner), detach
    owner.sound.add_listener(film.audio_sink, raw=True)
    video.add_listener(film)
    owner.sound.call_at_end(finish)
    return film


def _forbidding(owner: CallLeg) -> Callable[[], str]:
    """Make a function that says why a call may not be recorded now; "" if it may."""
    return lambda: "; ".join(str(each) for each in owner.policy.judge_recording(owner.security))


def _closing(recording: Recording | VideoRecording) -> Callable[[], None]:
    """Make a function that closes a recording at the end of its call."""

    def finish() -> None:
        with suppress(MediaError):  # RecordingFailed has reported it
            recording.close()

    return finish


class AudioStream:
    """One audio stream of a call.

    Methods that change it raise LocalProtocolError once the call is over.
    """

    def __init__(self, owner: CallLeg) -> None:
        """A call has its stream as `Call.audio`.

        :meta private:
        """
        self._owner = owner
        self._track: MediaStreamTrack | None = None

    @classmethod
    def for_owner(cls, owner: CallLeg) -> AudioStream | None:
        """Return the owner's stream; None while it has none.

        :meta private:
        """
        return None if owner.stream_spec is None else cls(owner)

    @property
    def _local_media(self) -> AllocatedStream:
        row = self._owner.stream
        if row is None:
            raise LocalProtocolError("the stream is closed: the call is over")
        return row

    @property
    def sound(self) -> AudioRouter:
        """The stream's listeners and source, for conferences.

        :meta private:
        """
        return self._owner.sound

    @property
    def codec(self) -> str:
        """The name ("PCMU", "L16/16000") of the codec that we send with; "" before negotiation."""
        spec = self._owner.stream_spec
        return "" if spec is None else spec.codec

    @property
    def direction(self) -> Direction:
        """The direction from our point of view (RFC 3264); INACTIVE before negotiation."""
        spec = self._owner.stream_spec
        return Direction.INACTIVE if spec is None else spec.direction

    @property
    def ssrc(self) -> int:
        """The SSRC that we send with now; it changes with each new key of ours."""
        return self.statistics.ssrc or self._local_media.ssrc

    @property
    def security(self) -> MediaSecurity | None:
        """Profile, suite and key exchange; None while no audio is negotiated."""
        return self._owner.stream_security

    @property
    def statistics(self) -> StreamStatistics:
        """A snapshot of the statistics; after the call, the last one."""
        return self._owner.statistics

    @property
    def packet_counts(self) -> PacketCounts:
        """The packets counted in `statistics`, at a small part of their cost: to be asked often."""
        return self._owner.packet_counts

    def play(self, source: Source | MediaTrack | str | os.PathLike[str] | None) -> None:
        """Send `source` from the next frame on; None sends silence.

        `source` may also be an aiortc track or the path of a WAV file.  Discards what was written
        and not yet sent.  Raises ConfigurationError for a track that is not audio, or a file that
        cannot be played.
        """
        _ = self._local_media
        sound = open_source(source, find_codec(self.codec).sample_rate)
        talk = self._owner.audio_buffers
        if talk is not None and talk.pcm_output is not None:
            talk.pcm_output.flush()
            talk.output_playing = False
        self._owner.sound.play(sound)
        self._owner.playing = source is not None

    @property
    def track(self) -> MediaStreamTrack:
        """The received audio as an aiortc `MediaStreamTrack`: the same one until it is stopped.

        It works beside `read` and `record`.  Raises ConfigurationError without aiortc,
        LocalProtocolError once the call is over.
        """
        try:
            from softphone.media.tracks.receive_track import CallAudioTrack
        except ImportError as error:
            raise ConfigurationError(f"tracks need aiortc: {install_command('webrtc')}") from error
        if self._track is None or self._track.readyState != "live":
            self._track = CallAudioTrack(self._owner.sound)
        return self._track

    # Reading and writing samples ------------------------------------------------------------------

    def use_rates(self, *, read_hz: int | None = None, write_hz: int | None = None) -> None:
        """Set the sample rates of `read` and `write`: 8,000, 16,000 (default), 24,000 or 48,000 Hz.

        They are independent of the codec's.  Raises ConfigurationError for another rate,
        LocalProtocolError once that direction is in use.
        """
        talk = self._buffers
        if (read_hz is not None and talk.pcm_input) or (write_hz is not None and talk.pcm_output):
            raise LocalProtocolError("sound is read and written already: set the rates before that")
        talk.read_hz = talk.read_hz if read_hz is None else check_rate(read_hz)
        talk.write_hz = talk.write_hz if write_hz is None else check_rate(write_hz)

    @property
    def _buffers(self) -> ReadWriteBuffers:
        owner = self._owner
        if owner.audio_buffers is None:
            talk = owner.audio_buffers = ReadWriteBuffers()
            owner.ended.add_done_callback(lambda _: talk.close())
        return owner.audio_buffers

    def open_input(self, count_events: Callable[[], int] | None = None) -> PcmInput:
        """Return what `read` reads from, after the first call with the sound that was kept.

        `count_events` is for a reader that takes sound and events in order.

        :meta private:
        """
        talk, owner = self._buffers, self._owner
        if talk.pcm_input is None:
            kept = owner.kept_audio
            waiting = 0.0 if kept is None else kept.seconds
            talk.pcm_input = PcmInput(talk.read_hz, seconds=2.0 + waiting)
            if count_events is not None:
                talk.pcm_input.order_by(count_events)
            if owner.ended.done():
                talk.pcm_input.close()
            elif kept is not None and kept.waits:
                kept.deliver_to(talk.pcm_input)
            else:
                self.record(talk.pcm_input)
        elif count_events is not None:
            talk.pcm_input.order_by(count_events)
        return talk.pcm_input

    def _open_output(self) -> PcmOutput:
        talk, _ = self._buffers, self._local_media
        if talk.pcm_output is None:
            talk.pcm_output = PcmOutput(talk.write_hz)
        if not talk.output_playing:
            self._owner.sound.play(talk.pcm_output)
            self._owner.playing, talk.output_playing = False, True
        return talk.pcm_output

    async def read(self, samples: int | None = None) -> ReceivedAudio:
        """Return the next received audio, as it arrives (about 20 ms), or exactly `samples`.

        Audio is buffered from the first call on, up to two seconds; a slower reader loses the
        oldest samples (`unread_samples_dropped`).  The first call also gets what
        `IncomingCall.answer` kept.  The result is empty at the end of the call.  Replaces the sink
        of `record`.
        """
        talk = self._owner.audio_buffers
        opened = None if talk is None else talk.pcm_input
        return await (self.open_input() if opened is None else opened).read(samples)

    async def __aiter__(self) -> AsyncIterator[ReceivedAudio]:
        """Iterate over what `read` returns until the end of the call."""
        async for heard in self.open_input():
            yield heard

    async def write(self, pcm: PcmLike, *, lead: float | None = None) -> None:
        """Send int16[n] samples, or their bytes, of any length, after what was written before.

        Waits while ten seconds of audio are queued.  With `lead`, waits while more than so many
        seconds are (0.02 to 10, and no less than a packet): the write takes as long as its sound,
        `flush` drops the rest of it, and a canceled one leaves at most the lead.  Replaces the
        source of `play`.  Raises ConfigurationError for another lead, LocalProtocolError once the
        call is over.
        """
        output, spec = self._open_output(), self._owner.stream_spec
        if lead is not None and lead >= LEAST_LEAD and spec is not None:
            lead = max(lead, spec.ptime_ms / 1000)
        await output.write(pcm, lead=lead)

    async def write_all(
        self, pieces: AsyncIterable[PcmLike], *, lead: float | None = None
    ) -> PlaybackMark:
        """Write what an async iterator yields; return the mark behind it."""
        async for pcm in pieces:
            await self.write(pcm, lead=lead)
        return self.mark()

    def mark(self) -> PlaybackMark:
        """Return a mark behind all that was written; `await mark.played()` waits until then."""
        return self._open_output().mark()

    def flush(self) -> int:
        """Discard what was written and not sent; return the number of samples discarded."""
        said = self._buffers.pcm_output
        return 0 if said is None else said.flush()

    @property
    def unread_samples_dropped(self) -> int:
        """The number of received samples that were dropped because `read` was too slow.

        Kept ones that nobody has read in time count at the codec's rate.
        """
        heard = self._buffers.pcm_input or self._owner.kept_audio
        return 0 if heard is None else heard.dropped_samples

    async def played(self) -> None:
        """Wait until the playing source has ended, or what was written has been sent or flushed.

        Returns at once when nothing is playing, and also at the end of the call.
        """
        talk = self._owner.audio_buffers
        if talk is not None and talk.pcm_output is not None and talk.output_playing:
            await talk.pcm_output.mark().played()
            return
        if not self._owner.playing:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def listen(event: MediaEvent) -> None:
            if isinstance(event, PlaybackEnded) and not done.done():
                done.set_result(None)

        self._owner.media_listeners.append(listen)
        ends: set[asyncio.Future[None] | asyncio.Future[CallEnded]] = {done, self._owner.ended}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._owner.media_listeners.remove(listen)

    def record(self, sink: Sink | str | os.PathLike[str] | None) -> None:
        """Deliver received audio to `sink`, or to a new WAV file by its path; None stops.

        The file has mode 0600 and appears complete when another sink is set or the call ends;
        `RecordingFailed` reports a full disk.  For a path, raises SecurityShortfall for an
        encrypted call whose policy forbids recording, ConfigurationError for a file that cannot
        be created.
        """
        owner = self._owner
        if is_path(sink):
            self.check_recording()
            _ = self._local_media
            path = os.fspath(sink)
            sink = open_sink(sink, lambda reason: owner.emit_event(RecordingFailed(path, reason)))
        owner.sound.record(cast("Sink | None", sink))

    def check_recording(self) -> None:
        """Raise SecurityShortfall if the call is encrypted and its policy forbids recording."""
        shortfalls = self._owner.policy.judge_recording(self._owner.security)
        if shortfalls:
            raise SecurityShortfall(shortfalls)

    def record_both(self, path: str | os.PathLike[str] | Recording) -> Recording:
        """Record both sides to a new file: ours left, theirs right, aligned by media time.

        The format is WAV, or by its name .ogg, .opus, .webm, .mka, .mkv, .mp4, .m4a, .flac or .mp3
        (PyAV).  The file has mode 0600 and appears complete when the recording is closed or the
        call ends.  `pause` and `resume` put silence in the place of secrets.  `RecordingFailed`
        reports a full disk.  Raises SecurityShortfall for an encrypted call whose policy forbids
        recording, ConfigurationError for a file that cannot be created.
        """
        owner = self._owner
        self.check_recording()
        _ = self._local_media
        recording = path if isinstance(path, Recording) else Recording(path)
        return attach_recording(owner, recording)

    def mute(self, muted: bool = True) -> None:
        """Send silence in place of the source."""
        self._owner.media_backend.mute(self._local_media.handle, muted)

    def pause(self) -> None:
        """Send silence from the next frame on; `resume` goes on where the sound was.

        What is played or written waits, with its marks; writing waits once its queue is full, and
        `flush` drops what is queued.  Digits are sent meanwhile, but not as tones.  A source that
        other calls play, too, goes on.
        """
        self._owner.media_backend.pause(self._local_media.handle, True)
        self._owner.paused = True

    def resume(self) -> None:
        """Go on with what is played or written, where `pause` stopped it."""
        self._owner.media_backend.pause(self._local_media.handle, False)
        self._owner.paused = False

    @property
    def paused(self) -> bool:
        """Whether what is played or written is paused."""
        return self._owner.paused

    def process(self, processing: VoiceProcessing | None) -> None:
        """Remove our echo and noise from received audio from now on; None: nothing any more.

        It is then about 10 ms late.  Both sides are recorded as received, and so are digits and
        tones detected, by detections that start after this.  By default it is what the account
        demands (`echo_cancellation`, `noise_suppression`).
        """
        _ = self._local_media
        self._owner.sound.process(processing)

    def detect(
        self,
        *,
        digits: bool = False,
        voice: bool = False,
        tones: bool = False,
        answer: bool = False,
    ) -> Detection:
        """Detect in the received audio from now on, and report in the call's events.

        `digits`: DTMF tones.  `voice`: start and end of speech, and whether we were playing then.
        `tones`: call progress, fax and beeps.  `answer`: whether a human or a machine answered,
        counted from now.  Received audio is decoded while a detection runs.  Raises
        LocalProtocolError when none is chosen.
        """
        wanted = DetectorKind(0)
        for chosen, kind in zip((digits, voice, tones, answer), DetectorKind, strict=True):
            wanted |= kind if chosen else DetectorKind(0)
        if not wanted:
            raise LocalProtocolError("say what is to be detected: digits, voice, tones or answer")
        return Detection(self._owner, wanted)

    def send_digits(self, digits: str, *, duration_ms: int = 100) -> None:
        """Send DTMF digits as telephone-events (RFC 4733)."""
        self._owner.media_backend.send_digits(
            self._local_media.handle, digits, duration_ms=duration_ms
        )
