"""Call, the application's handle on an established call, and CallHandle, its base class."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Generic, Self, TypeVar
from urllib.parse import quote

from softphone.call.audio_stream import AudioStream, attach_video_recording
from softphone.call.cisco_conference import confer
from softphone.call.leg import (
    CallLeg,
    DigitMethod,
    PendingReferral,
    check_digits,
    choose_digit_method,
    dtmf_info_body,
    pause_of,
)
from softphone.contacts import Contact
from softphone.errors import ConfigurationError, LocalProtocolError, NotAcceptable
from softphone.events import CallEnded, CallEvent, CallState, StreamStatistics
from softphone.media import VideoStream
from softphone.media.recording import VideoRecording
from softphone.security import SecurityPolicy, SecurityState, Shortfall
from softphone.sip import MalformedMessage, NameAddr, SipUri, parse_uri
from softphone.sip.message.uri import format_host

L = TypeVar("L", bound=CallLeg)


class CallHandle(Generic[L]):
    """A handle on one leg; subclasses add the commands of their stage of the call.

    An outgoing call has no leg before its start.
    """

    def __init__(self, leg: L | None) -> None:
        self._started = leg

    @property
    def _leg(self) -> L:
        if self._started is None:
            raise LocalProtocolError("the call has not been started: enter it with `async with`")
        return self._started

    @property
    def id(self) -> str:
        """The Call-ID; "" before the start."""
        usage = None if self._started is None else self._started.usage
        return "" if usage is None else usage.call_id

    @property
    def peer(self) -> NameAddr:
        """The far end's address, as signaled.

        Raises LocalProtocolError before the start.
        """
        return self._leg.peer

    @property
    def contact(self) -> Contact | None:
        """The peer's directory entry; None until a lookup succeeds (`PeerNamed` reports it)."""
        return None if self._started is None else self._started.contact

    @property
    def state(self) -> CallState:
        """The state (RFC 4235)."""
        return CallState.TRYING if self._started is None else self._started.state

    @property
    def security(self) -> SecurityState:
        """The security state in force; after the end of the call, the last one.

        Raises LocalProtocolError before the start.
        """
        return self._leg.security

    @property
    def inherited_policy(self) -> SecurityPolicy:
        """The policy that a call derived from this one must also meet.

        Its own account's policy applies as well.  Raises LocalProtocolError before the start.
        """
        return self._leg.inherited_policy

    @property
    def statistics(self) -> StreamStatistics:
        """Statistics of the audio stream, early media included; after the end, the last ones."""
        return StreamStatistics() if self._started is None else self._started.statistics

    @property
    def refused(self) -> tuple[Shortfall, ...]:
        """The shortfalls for which we refused or ended the call; () if we did not."""
        return () if self._started is None else self._started.refused

    @property
    def explanation(self) -> str:
        """Why the call was refused or failed, as a sentence; "" if it was not."""
        return "" if self._started is None else self._started.explanation

    def events(self) -> AsyncIterator[CallEvent]:
        """Everything that happens to the call, from its start."""
        return self._leg.event_queue.events()


class Call(CallHandle[CallLeg]):
    """A confirmed call.  Leaving an `async with` block hangs it up.

    Use `call.security.require(SecurityLevel.ENCRYPTED)` before anything that must not go in clear.
    """

    def __init__(self, leg: CallLeg) -> None:
        super().__init__(leg)
        self._turn = asyncio.Lock()
        self._audio = AudioStream(leg)
        if leg.setup.digits_by is DigitMethod.INBAND and leg.stream is not None:
            self._audio.detect(digits=True)

    @classmethod
    def for_leg(cls, leg: CallLeg) -> Call:
        """Return the Call of a leg; each leg has one."""
        handle = leg.call_handle
        if not isinstance(handle, cls):
            handle = leg.call_handle = cls(leg)
        return handle

    @property
    def audio(self) -> AudioStream:
        """The audio stream."""
        return self._audio

    @property
    def video(self) -> VideoStream | None:
        """The video stream; None while the session has none."""
        video = self._leg.negotiation.video
        if video is not None:
            video.sound = self._leg.sound
        return video

    def record_video(self, path: str | os.PathLike[str] | VideoRecording) -> VideoRecording:
        """Record the far end's video and audio, in lip sync, to a new file.

        The format follows the name: .mp4, .mov, .mkv or .webm.  The file has mode 0600 and appears
        complete when the recording is closed or the call ends; without a picture no file appears.
        `RecordingFailed` reports a full disk.  Raises SecurityShortfall for an encrypted call whose
        policy forbids recording, LocalProtocolError without video, ConfigurationError for a file
        that cannot be created.
        """
        video, leg = self.video, self._leg
        if video is None:
            raise LocalProtocolError("there is no video in this call to record")
        self._audio.check_recording()
        film = path if isinstance(path, VideoRecording) else VideoRecording(path)
        return attach_video_recording(leg, video, film)

    @property
    def streams(self) -> tuple[AudioStream, ...]:
        """The call's audio streams: one."""
        return (self._audio,)

    @property
    def held(self) -> bool:
        """Whether we hold the far end."""
        return self._leg.negotiation.held

    async def ended(self) -> CallEnded:
        """Wait for the end of the call and return how it ended."""
        return await asyncio.shield(self._leg.ended)

    async def hold(self) -> None:
        """Put the far end on hold: nothing is received, and only what is played is sent.

        Raises CallError when the far end refuses; the session then stays as it was.
        """
        async with self._turn:
            if not self._leg.negotiation.held:
                await self._leg.renegotiate(held=True)

    async def resume(self) -> None:
        """Take the far end off hold, with a full offer.

        Raises CallError when the far end refuses, and SecurityShortfall when the call was put on
        hold for falling below its policy and still does not meet it.
        """
        async with self._turn:
            if self._leg.negotiation.held:
                await self._leg.renegotiate(held=False)

    async def send_digits(
        self, digits: str, *, duration_ms: int = 100, method: DigitMethod | str | None = None
    ) -> None:
        """Send DTMF digits: as telephone-events (RFC 4733) if agreed, else by INFO, else as tones.

        `method` ("rtp", "info", "inband", "auto") overrides the account's.  A KPML subscriber gets
        a report of each digit (RFC 4730), and then no INFO.  "," is a pause.  Returns when all
        digits have been sent.  Raises ConfigurationError for a character that is no digit, before
        anything is sent, NotAcceptable for "rtp" when it was not agreed, and LocalProtocolError
        once the call is over.
        """
        check_digits(digits, pauses=",")
        way = self._digit_method(method)
        digits = digits.upper()
        if way is DigitMethod.RTP:
            self._audio.send_digits(digits, duration_ms=duration_ms)
        elif way is DigitMethod.INBAND:
            self._leg.sound.send_tones(digits, duration_ms=duration_ms)
        held = duration_ms / 1000
        for digit in digits:
            reported = digit != "," and self._leg.kpml_subscriptions.report_digit(digit, held=held)
            if digit != "," and not reported and way is DigitMethod.INFO:
                usage = self._leg.active_usage
                with self._leg.setup.change() as now:
                    usage.info(dtmf_info_body(digit, duration_ms), now=now)
            if way is DigitMethod.INFO:
                await asyncio.sleep(pause_of(digit, duration_ms))
        if way is not DigitMethod.INFO:
            await asyncio.sleep(sum(pause_of(digit, duration_ms) for digit in digits))

    def _digit_method(self, method: DigitMethod | str | None) -> DigitMethod:
        wanted = self._leg.setup.digits_by if method is None else DigitMethod.named(method)
        spec, leg = self._leg.stream_spec, self._leg.active_usage.leg
        return choose_digit_method(
            wanted,
            agreed=spec is not None and spec.telephone_event is not None,
            allow=() if leg is None else leg.dialog.remote_allow,
        )

    async def transfer(self, target: str | Call) -> None:
        """Transfer the far end: blind to a URI, or attended to the peer of another call.

        A user without a domain ("601") gets our own domain.  Returns when the far end reports
        success; the call is then hung up.  Raises CallError with the status of a refusal, and
        the call goes on; ConfigurationError for a target that is no SIP URI; SecurityShortfall
        when one of the two calls does not meet the other's policy; LocalProtocolError once the
        call is over.
        """
        if isinstance(target, Call):
            self._leg.policy_with(target._leg)
            refer_to = self._attended(target)
        else:
            refer_to = parse_target(target, self._leg.active_usage.local)
        await self._leg.transfer(refer_to, referred_by=self._leg.active_usage.local)
        self._leg.hang_up()

    def _attended(self, other: Call) -> NameAddr:
        """Refer-To with Replaces: the other call's dialog, as its peer sees it (RFC 3891)."""
        usage = other._leg.active_usage
        uri = usage.remote_target
        if not isinstance(uri, SipUri):
            raise NotAcceptable("the other call's peer cannot be referred to", status=606)
        replaces = quote(usage.replaces_value(), safe="")
        target = replace(uri, password=None, headers=(("Replaces", replaces),))
        return NameAddr(None, target, ())

    async def confer(self, other: Call) -> None:
        """Have the call server join `other` to this call (Cisco's Conference soft key).

        Returns when the server has done so; it then hangs up `other`.  From then on this call
        must meet the policies of both.  Raises CallError with the status of a refusal, and both
        calls go on; SecurityShortfall when one call does not meet the other's policy;
        LocalProtocolError once one of them is over.
        """
        await confer(self._leg, other._leg)

    @property
    def transfer_requested(self) -> bool:
        """Whether the far end waits for an answer to its REFER."""
        referral = self._leg.referral
        return referral is not None and not referral.subscription.terminated

    def reject_transfer(self, status: int = 603) -> None:
        """Refuse the transfer that `TransferRequested` reported.

        Raises LocalProtocolError when no request is pending.
        """
        referral = self.take_referral()
        with self._leg.setup.change() as now:
            referral.subscription.reject(status, now=now)

    def take_referral(self) -> PendingReferral:
        """Take out the pending transfer request; the caller must answer it.

        Raises LocalProtocolError when none is pending.
        """
        referral = self._leg.referral
        self._leg.referral = None
        if referral is None or referral.subscription.terminated:
            raise LocalProtocolError("nobody asks for a transfer, or not any more")
        return referral

    def hangup(self) -> None:
        """End the call."""
        self._leg.hang_up()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._leg.hang_up()


def parse_target(text: str, own: NameAddr) -> NameAddr:
    """Parse a URI, a name-addr, or a user part of `own`'s domain.  Raises ConfigurationError."""
    try:
        if "<" in text:
            return NameAddr.parse(text)
        if ":" in text or not isinstance(own.uri, SipUri):
            return NameAddr(None, parse_uri(text), ())
        place = "" if "@" in text else f"@{format_host(own.uri.host)}"
        return NameAddr(None, parse_uri(f"{own.uri.scheme}:{text}{place}"), ())
    except MalformedMessage as error:
        raise ConfigurationError(f"target: {text!r} is not a SIP URI: {error.reason}") from error
