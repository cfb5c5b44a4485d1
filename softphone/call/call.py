"""Call, the application's handle on an established call, and CallHandle, its base class."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, Self, TypeVar
from urllib.parse import quote

from softphone.call.audio_stream import AudioStream, attach_video_recording
from softphone.call.call_stream import CallItem, merge_stream
from softphone.call.cisco_conference import confer
from softphone.call.dialed_address import DialedAddress, dialed_address
from softphone.call.end_cause import check_cause
from softphone.call.extra_headers import ExtraHeaders, checked_headers
from softphone.call.identity import FarEndIdentity, far_end_identity
from softphone.call.leg import (
    CallLeg,
    DigitMethod,
    PendingReferral,
    check_digits,
    choose_digit_method,
    dtmf_info_body,
    pause_of,
)
from softphone.call.leg.exchange_result import request_body
from softphone.call.leg.music_on_hold import hold_with_music
from softphone.call.leg.public_fields import public_headers
from softphone.contacts import Contact
from softphone.errors import ConfigurationError, LocalProtocolError, NotAcceptable
from softphone.events import (
    CallEnded,
    CallEvent,
    CallState,
    Direction,
    EndedBy,
    StreamStatistics,
)
from softphone.media import VideoStream
from softphone.media.recording import VideoRecording
from softphone.security import SecurityPolicy, SecurityState, Shortfall
from softphone.sip import Body, Headers, NameAddr, SessionId, SipUri, UserToUser, parse_target

if TYPE_CHECKING:
    from softphone.trust.stir import Attestation
from softphone.sip.message.grammar import is_token

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
    def log_fields(self) -> dict[str, str]:
        """The fields that log records about the call have, for `logging.LoggerAdapter`."""
        return {} if self._started is None else self._started.log_fields

    @property
    def peer(self) -> NameAddr:
        """The far end's address: as the account's own verified server says, else as signaled.

        It follows transfers, pickups and forwards (`PeerChanged` reports it).  Raises
        LocalProtocolError before the start.
        """
        return self._leg.peer

    @property
    def caller(self) -> NameAddr:
        """The caller's address: From of the INVITE, without tag.

        What it says is the caller's own claim: see `asserted_identity`.  Raises LocalProtocolError
        before the start.
        """
        return self._leg.invite.from_.without_parameter("tag")

    @property
    def called(self) -> NameAddr:
        """The address that was called: To of the INVITE, without tag.

        Raises LocalProtocolError before the start.
        """
        return self._leg.invite.to.without_parameter("tag")

    @property
    def dialed(self) -> DialedAddress:
        """The number or address that was dialed, and the header fields that name it.

        Raises LocalProtocolError before the start.
        """
        leg = self._leg
        trusted = leg.far_end_message is leg.invite and leg.setup.asserts(leg.named_on)
        return dialed_address(leg.invite, own_users=leg.setup.own_users(), trusted=trusted)

    @property
    def headers(self) -> Headers:
        """Every header field of the INVITE, sent or received, in order, without credentials.

        They are as they came: none of them is to be trusted.  Raises LocalProtocolError before the
        start.
        """
        return public_headers(self._leg.invite)

    @property
    def answer_headers(self) -> Headers:
        """The header fields of the far end's answer; none before it, and none where we answer.

        Raises LocalProtocolError before the start.
        """
        return public_headers(self._leg.answer)

    @property
    def asserted_identity(self) -> FarEndIdentity:
        """The identity of the far end, and the assurance for it.

        It follows transfers as `peer` does.  Raises LocalProtocolError before the start.
        """
        return far_end_identity(self._leg)

    @property
    def user_to_user(self) -> tuple[UserToUser, ...]:
        """The application's data in the far end's INVITE or answer (RFC 7433).

        Raises LocalProtocolError before the start.
        """
        message = self._leg.far_end_message
        return () if message is None else message.user_to_user

    @property
    def session_id(self) -> SessionId | None:
        """The identifier of the session from end to end (RFC 7989): our UUID, and the far end's.

        Ours stays through holds and transfers.  None before the start.
        """
        usage = None if self._started is None else self._started.usage
        return None if usage is None else usage.session_id

    @property
    def session_uuid(self) -> str | None:
        """Our UUID in `session_id`, for a call that follows this one.

        :meta private:
        """
        return None if self.session_id is None else self.session_id.local

    @property
    def contact(self) -> Contact | None:
        """The peer's directory entry; None until a lookup succeeds (`PeerNamed` reports it)."""
        return None if self._started is None else self._started.contact

    @property
    def attestation(self) -> Attestation | None:
        """What the caller's carrier attests of the number in `peer`, or why not (STIR).

        None until that is verified (`CallerAttested` reports it, `IncomingCall.attested` waits for
        it), where the account verifies no callers, and once another party has taken over.  It is a
        claim of the carrier, and raises no security level.
        """
        return None if self._started is None else self._started.attestation

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

        :meta private:
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
        """Iterate over all events of the call, from its start."""
        return self._leg.event_queue.events()


def detect_inband_digits(leg: CallLeg) -> None:
    """Detect tones in received audio, once, where the account takes its digits as tones."""
    wanted = leg.setup.digits_by is DigitMethod.INBAND and leg.stream is not None
    if wanted and not leg.detects_inband_digits:
        leg.detects_inband_digits = True
        AudioStream(leg).detect(digits=True)


def open_stream(leg: CallLeg) -> AsyncIterator[CallItem]:
    """Iterate over a leg's received sound and its events in one order."""
    events = leg.event_queue
    return merge_stream(AudioStream(leg).open_input(lambda: events.written), events)


class Call(CallHandle[CallLeg]):
    """A confirmed call.  Leaving an `async with` block hangs it up.

    Use `call.security.require(SecurityLevel.ENCRYPTED)` before anything that must not go in clear.
    """

    def __init__(self, leg: CallLeg) -> None:
        """`OutgoingCall.answered` and `IncomingCall.answer` give calls.

        :meta private:
        """
        super().__init__(leg)
        self._turn = asyncio.Lock()
        self._audio = AudioStream(leg)
        detect_inband_digits(leg)

    @classmethod
    def for_leg(cls, leg: CallLeg) -> Call:
        """Return the Call of a leg; each leg has one.

        :meta private:
        """
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
        """The call's audio streams: one.

        :meta private:
        """
        return (self._audio,)

    def stream(self) -> AsyncIterator[CallItem]:
        """Iterate over the far end's sound and the call's events in one order, for one task.

        Items are `ReceivedAudio`, as `audio.read` gives them, and what `events` gives, from the
        start of the call: digits, changes of security, speech where `audio.detect` runs.  Each
        comes after all that came before it; sound comes when it is due for playing, up to the
        playout delay after it arrived.  `CallEnded` is the last item.  Sound is buffered from this
        call on, with what `IncomingCall.answer` kept.  A slow reader loses the oldest sound beyond
        two seconds (`audio.unread_samples_dropped`) and the oldest of 256 events, and never the
        order.  Takes the place of `audio.read`; use one of them.
        """
        return open_stream(self._leg)

    @property
    def held(self) -> bool:
        """Whether we hold the far end."""
        return self._leg.negotiation.held

    @property
    def expects_media(self) -> bool:
        """Whether packets should come without a pause: neither end holds, none sends pauses.

        :meta private:
        """
        negotiation = self._leg.negotiation
        spec = negotiation.spec
        both = negotiation.direction is Direction.SENDRECV
        return both and spec is not None and spec.comfort_noise is None

    async def ended(self) -> CallEnded:
        """Wait for the end of the call and return how it ended."""
        ended = self._leg.ended
        return ended.result() if ended.done() else await asyncio.shield(ended)

    async def await_bye_answer(self, within: float) -> EndedBy:
        """Wait for the end, and at most `within` seconds for the answer to a BYE of ours.

        Returns TIMEOUT when none came, TRANSPORT when the connection was lost before it, else who
        ended the call.

        :meta private:
        """
        return await self._leg.await_bye_answer(within)

    async def hold(self, *, music: bool = True, headers: ExtraHeaders = ()) -> None:
        """Put the far end on hold: nothing is received, and only what is played is sent.

        With `music`, and `music_on_hold` in the account, it hears that source in place of what is
        played (RFC 7088); where that fails, `MusicOnHoldFailed` says why, and the hold is one
        without music.  `headers` go into the re-INVITE.  Raises CallError when the far end refuses;
        the session then stays as it was.  Raises ConfigurationError for `headers` as `Account.dial`
        does.
        """
        fields, leg = checked_headers(headers), self._leg
        async with self._turn:
            if leg.negotiation.held:
                return
            setup = leg.setup
            if music and setup.call_music_source is not None and setup.endpoint.config.reinvite:
                await hold_with_music(leg, self._turn, fields)
            else:
                await leg.renegotiate(held=True, headers=fields)

    async def resume(self, *, headers: ExtraHeaders = ()) -> None:
        """Take the far end off hold, with a full offer; `headers` go into the re-INVITE.

        Raises CallError when the far end refuses, SecurityShortfall when the call was put on
        hold for falling below its policy and still does not meet it, ConfigurationError for
        `headers` as `Account.dial` does.
        """
        fields = checked_headers(headers)
        async with self._turn:
            if self._leg.negotiation.held:
                await self._leg.renegotiate(held=False, headers=fields)

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

    async def send_info(
        self,
        content_type: str,
        body: bytes | str,
        *,
        package: str = "",
        headers: ExtraHeaders = (),
    ) -> None:
        """Send INFO with a body, and wait until the far end has taken it (RFC 6086).

        Text is sent as UTF-8.  `package` names an Info Package, for Info-Package.  At most 16384
        octets go over TCP and TLS, 900 over UDP.  Raises CallError with the status of a refusal,
        and the call goes on; ConfigurationError for what cannot be sent; LocalProtocolError once
        the call is over.
        """
        if package and not is_token(package):
            raise ConfigurationError(f"package: {package!r} is no token")
        fields = checked_headers(headers)
        if package:
            fields = (("Info-Package", package), *fields)
        disposition = "Info-Package" if package else ""
        made = self._request_body(content_type, body, disposition)
        await self._leg.send_request("INFO", made, fields)

    async def send_message(
        self,
        body: bytes | str,
        *,
        content_type: str = "text/plain;charset=UTF-8",
        headers: ExtraHeaders = (),
    ) -> None:
        """Send MESSAGE within the call, and wait until the far end has taken it (RFC 3428).

        Sizes and errors are those of `send_info`.
        """
        fields = checked_headers(headers)
        made = self._request_body(content_type, body)
        await self._leg.send_request("MESSAGE", made, fields)

    def _request_body(self, content_type: str, body: bytes | str, disposition: str = "") -> Body:
        flow = self._leg.flow
        reliable = flow is not None and flow.transport.reliable
        return request_body(content_type, body, reliable=reliable, disposition=disposition)

    async def transfer(self, target: str | Call, *, headers: ExtraHeaders = ()) -> None:
        """Transfer the far end: blind to a target, or attended to the peer of another call.

        `headers` go into the REFER.  A target is what `Account.dial` takes: "601",
        `bob@example.test`, a URI.  Returns when the far end reports success, or hangs up with no
        report but 100 (RFC 5589 section 6.1); the call is then hung up.  Raises CallError with the
        status of a refusal, and the call goes on, or with the last status reported when the call
        ends before a final one; ConfigurationError for a target that is no SIP URI, and for
        `headers` as `Account.dial` does;
        DialRefused when the account's dial policy forbids the target;
        SecurityShortfall when one of the two calls does not meet the other's policy;
        LocalProtocolError once the call is over.
        """
        fields = checked_headers(headers)
        if isinstance(target, Call):
            self._leg.policy_with(target._leg)
            refer_to = self._attended(target)
        else:
            refer_to = parse_target(target, self._leg.own_uri)
        now = asyncio.get_running_loop().time()
        self._leg.setup.judge_referral(refer_to.uri, isinstance(target, Call), now)
        by = self._leg.active_usage.local
        await self._leg.transfer(refer_to, referred_by=by, headers=fields)
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
        """Remove and return the pending transfer request; the caller must answer it.

        Raises LocalProtocolError when none is pending.

        :meta private:
        """
        referral = self._leg.referral
        self._leg.referral = None
        if referral is None or referral.subscription.terminated:
            raise LocalProtocolError("nobody asks for a transfer, or not any more")
        return referral

    def hangup(
        self,
        *,
        status: int = 0,
        q850_cause: int = 0,
        reason: str = "",
        headers: ExtraHeaders = (),
    ) -> None:
        """End the call; does nothing once it is over.

        `status` (SIP), `q850_cause` (ITU-T Q.850) and `reason`, in words, tell the far end why
        (RFC 3326); `headers` go into the BYE.  Raises ConfigurationError for a cause or reason that
        cannot be sent, and for `headers` as `Account.dial` does.
        """
        check_cause(status, q850_cause, reason)
        fields = checked_headers(headers)
        self._leg.hang_up(status, reason, q850_cause=q850_cause, headers=fields)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._leg.hang_up()
