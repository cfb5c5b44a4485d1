"""One call's life: its INVITE usage, its negotiation and its policy, joined.

A `CallLegBase` takes the SIP events of one usage and gives commands back within the same drain.
The policy is judged here and nowhere else, before any media row opens or changes; what is refused
ends the call, or leaves the session as it was, and never falls back in silence.  `outgoing` and
`incoming` add how a call comes about; `call.Call` is what the application holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeAlias

from softphone.call.audio_stream import ReadWriteBuffers
from softphone.call.leg.dtmf import DigitDeduplicator, DigitMethod
from softphone.call.leg.event_queue import EventQueue
from softphone.call.leg.far_end_security import FarEndSecurity
from softphone.call.leg.negotiation import MediaProposal, MediaSetup, Negotiation
from softphone.call.leg.peer_name import NameLookup, PeerName, no_name_lookup
from softphone.call.leg.refusal import DescriptionRefusal, reason_header
from softphone.call.leg.security import signaling_security
from softphone.errors import LocalProtocolError, NotAcceptable, SoftphoneError
from softphone.events import (
    CallEnded,
    CallEvent,
    CallState,
    ClearMediaMoved,
    CryptoIgnored,
    DigitReceived,
    Direction,
    EndedBy,
    HoldChanged,
    SecurityChanged,
    SecurityRefused,
    StreamStatistics,
)
from softphone.fast_dataclass import fast_init
from softphone.media import (
    AllocatedStream,
    DigitDetected,
    LatchCause,
    MediaBackend,
    MediaEvent,
    MediaFailed,
    PayloadTypeChanged,
    PlaybackEnded,
    RemoteLatched,
    StreamSpec,
)
from softphone.media.audio import AudioRouter
from softphone.personas import StandardPersona
from softphone.sans_io import Flow, OpenDrain
from softphone.security import (
    MediaSecurity,
    SecurityPolicy,
    SecurityShortfall,
    SecurityState,
    Shortfall,
    ShortfallCode,
    SignalingSecurity,
)
from softphone.sip import Endpoint, EventHandlers, InviteUsage, NameAddr, Request, Response

__all__ = ["CallLegBase", "HeaderFields", "LegSetup", "TimerHandle"]

logger = logging.getLogger("softphone.call")

HeaderFields: TypeAlias = tuple[tuple[str, str], ...]

FAR_END_PATIENCE = 5.0
"""Seconds that a server may take after the answer to say what the far end is."""

_FAR_END = frozenset(
    {
        ShortfallCode.FAR_END_UNKNOWN,
        ShortfallCode.FAR_END_NOT_SECURE,
        ShortfallCode.FAR_END_AUTHENTICATED,
    }
)


def _only_unknown(shortfalls: Sequence[Shortfall]) -> bool:
    return all(s.code is ShortfallCode.FAR_END_UNKNOWN for s in shortfalls)


class TimerHandle(Protocol):
    """What `LegSetup.call_later` gives."""

    def cancel(self) -> None:
        """Call nothing any more."""


def _nothing() -> None:
    """What follows where nothing has to."""


def _say_nothing(_: SecurityState) -> HeaderFields:
    return ()


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class LegSetup:
    """What a leg needs of its account.

    `change` opens a drain of the endpoint (`with change() as now`); the leg puts itself among the
    `handlers` of its usages.  `vouched` says whether the server at the other end of a flow speaks
    for far ends; `direct` whether the account calls peers themselves, without a server.
    `warning_agent` goes into Warning; `answer_headers` gives header fields for our 200 to an
    INVITE (a server says there what the call's security is).
    """

    endpoint: Endpoint
    change: OpenDrain
    call_later: Callable[[float, Callable[[], None]], TimerHandle]
    handlers: EventHandlers
    media: MediaSetup
    persona: StandardPersona
    vouched: Callable[[Flow | None], bool]
    direct: bool = False
    warning_agent: str = "softphone"
    fips: bool = False
    answer_headers: Callable[[SecurityState], HeaderFields] = _say_nothing
    digits_by: DigitMethod = DigitMethod.AUTO
    names: NameLookup = no_name_lookup


class CallLegBase:
    """What both sides share.  Few calls set all: 30 attributes take a fifth of the memory of 40."""

    handlers: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {}
    usage: InviteUsage | None = None
    failure: SoftphoneError | None = None
    refused: tuple[Shortfall, ...] = ()
    explanation = ""
    final_statistics: StreamStatistics | None = None
    final_security: SecurityState | None = None
    held_by_policy = False
    """Whether the call has fallen below its policy and its media is stopped for that."""
    playing = False
    audio_buffers: ReadWriteBuffers | None = None
    _seen: Flow | None = None
    _generation = 0
    _shown: SecurityState | None = None
    _far_end_timer: TimerHandle | None = None
    _waiting_proposal: MediaProposal | None = None

    def __init__(self, setup: LegSetup) -> None:
        self.setup = setup
        self.policy = setup.media.policy
        self.negotiation = self.make_negotiation(setup.media)
        self.state = CallState.TRYING
        self.event_queue: EventQueue[CallEvent] = EventQueue()
        self.peer_name = PeerName(setup.names, self.event_queue)
        loop = asyncio.get_running_loop()
        self.confirmed: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[CallEnded] = loop.create_future()
        self.sound = AudioRouter(self)
        self._digits_seen = DigitDeduplicator()
        self.media_listeners: list[Callable[[MediaEvent], None]] = []
        self._signaling = SignalingSecurity()
        self.far_ends = FarEndSecurity(setup.persona, setup.vouched, direct=setup.direct)
        self._on_media_open: Callable[[], None] = _nothing

    def make_negotiation(self, media: MediaSetup) -> Negotiation:
        """A fresh negotiation whose media events come to this leg."""
        return Negotiation(media, self._media_event)

    # What is known

    @property
    def flow(self) -> Flow | None:
        """The flow that carries the dialog."""
        usage = self.usage
        return None if usage is None else usage.flow

    @property
    def peer(self) -> NameAddr:
        """Who is at the other end, as signaled."""
        if self.usage is None:
            raise LocalProtocolError("the call has not been started")
        return self.usage.remote

    @property
    def security(self) -> SecurityState:
        """What the call has now."""
        if self.final_security is not None:
            return self.final_security
        return self._state_with(self.negotiation.media)

    def _state_with(self, media: Sequence[MediaSecurity]) -> SecurityState:
        flow = self.flow
        if flow is not None:
            # While a lost connection is being replaced, the call has what it had.
            self._look_at(flow)
        far = self.far_ends
        fips = self.setup.fips
        return SecurityState(self._signaling, tuple(media), far.level, fips, far.by_word)

    def _look_at(self, flow: Flow) -> None:
        if flow is not self._seen:
            self._seen, self._signaling = flow, signaling_security(flow)

    # Events

    def handle_event(self, event: Any) -> None:
        """Take one SIP event of this leg's usage."""
        self.run_guarded(lambda: self._process_event(event))

    def _process_event(self, event: Any) -> None:
        message = getattr(event, "response", None) or getattr(event, "request", None)
        if not isinstance(message, Request | Response):
            message = None
        # A better word counts after the media that comes with it: no lock is shown in between.
        later = self._shown is not None and message is not None and message.content is not None
        if message is not None and self.state is not CallState.TERMINATED:
            self._note_far_end(message, only_lower=later)
        handler = self.handlers.get(type(event))
        if handler is not None and self.state is not CallState.TERMINATED:
            handler(self, event)
        if later and message is not None and self.state is not CallState.TERMINATED:
            self._note_far_end(message)

    def run_guarded(self, work: Callable[[], None]) -> None:
        """Run what a message or a timer brought about.

        What goes wrong ends this call and no other: all of an account's share one drain.
        """
        try:
            work()
        except SoftphoneError as error:
            logger.warning("a call had to be ended: %s", error)
            self.end_for_refusal(DescriptionRefusal(399, str(error)), status=500)

    def run_command(self, command: Callable[[float], object]) -> bool:
        """Give a command to the endpoint; False when the far end was faster.

        Then the event that says what it did is on its way.
        """
        try:
            with self.setup.change() as now:
                command(now)
        except LocalProtocolError as error:
            logger.info("overtaken by the far end: %s", error)
            return False
        return True

    def emit_event(self, event: CallEvent) -> None:
        """Tell the application of what was heard."""
        self.event_queue.put_event(event)

    def emit_digit(self, digit: str, duration_ms: float, via: str) -> None:
        """Tell of a digit, unless it has come by another way already."""
        if self._digits_seen.note_digit(digit, via, asyncio.get_running_loop().time()):
            self.event_queue.put_event(DigitReceived(digit, duration_ms, via))

    def _media_event(self, event: MediaEvent) -> None:
        if isinstance(event, DigitDetected):
            self.emit_digit(event.digit, event.duration_ms, "rfc4733")
        elif isinstance(event, PayloadTypeChanged):
            handle, number = event.handle, event.payload_type
            self.run_guarded(lambda: self.negotiation.follow_payload_type(handle, number))
        elif isinstance(event, RemoteLatched):
            self._note_latch(event)
        elif isinstance(event, PlaybackEnded):
            self.playing = False
        elif isinstance(event, MediaFailed):
            reason = event.reason
            self.run_guarded(lambda: self.hang_up(500, reason))
        for listener in tuple(self.media_listeners):
            listener(event)

    def _note_latch(self, event: RemoteLatched) -> None:
        """Tell of media in clear that comes from a host that was not signaled."""
        if event.cause in (LatchCause.ADOPTED, LatchCause.RETURNED):
            kind = self.negotiation.kind_of(event.handle)
            signaled = event.cause is LatchCause.RETURNED
            self.event_queue.put_event(ClearMediaMoved(kind, *event.remote, signaled))

    def _note_far_end(self, message: Request | Response, *, only_lower: bool = False) -> None:
        """Take the word about the far end that a message may bring."""
        if not self.negotiation.media and not self.awaiting_far_end:
            self.far_ends.remote_tag = self.far_ends.remote_tag_of(message)
        self.far_ends.note_message(message, self.usage, self.flow, only_lower=only_lower)
        self.reevaluate_security()

    def select_fork(self, tag: str) -> None:
        """The session is this fork's from now on."""
        self.far_ends.remote_tag = tag or self.far_ends.remote_tag

    # The policy, and what follows from it for other calls

    @property
    def inherited_policy(self) -> SecurityPolicy:
        """What a call that comes from this one has to meet, beside its own account's policy.

        It is what was demanded of this call, and a connection that is as secure as its own.
        """
        policy = self.setup.media.policy
        level = self.security.signaling.level
        return replace(policy, signaling=max(policy.signaling, level))

    def policy_with(self, other: CallLegBase) -> SecurityPolicy:
        """What holds for two calls that are about to become one.

        Raises SecurityShortfall when one of them does not meet what is demanded of the other.
        """
        policy = self.inherited_policy.stricter(other.inherited_policy)
        shortfalls = (*policy.judge(self.security), *policy.judge(other.security))
        if shortfalls:
            raise SecurityShortfall(tuple(dict.fromkeys(shortfalls)))
        return policy

    def tighten_policy(self, policy: SecurityPolicy) -> None:
        """Demand `policy` from now on: another call has become part of this one."""
        media = replace(self.setup.media, policy=policy)
        self.setup = replace(self.setup, media=media)
        self.policy = policy
        self.negotiation.setup = media
        self.reevaluate_security()

    # Judging: the one place

    def judge_proposal(self, proposal: MediaProposal) -> tuple[Shortfall, ...]:
        """What keeps a proposal from being accepted."""
        return self.policy.judge(self._state_with(proposal.media))

    def apply_proposal(
        self,
        proposal: MediaProposal,
        *,
        accepted: Callable[[], None],
        patience: float | None = FAR_END_PATIENCE,
    ) -> tuple[Shortfall, ...]:
        """Put a proposal in force if policy allows; gives the shortfalls if it does not.

        When only the far end's level is missing, media stays closed until the server has said it,
        for `patience`; `accepted` is called once media is open.
        """
        shortfalls = self.judge_proposal(proposal)
        if self.held_by_policy and all(s.code in _FAR_END for s in shortfalls):
            # What may not be heard is held: the session may change as long as nothing flows.
            shortfalls = ()
        if shortfalls and not _only_unknown(shortfalls):
            return shortfalls
        self._stop_waiting()
        self.negotiation.confirm_exchange()
        if shortfalls:
            self._wait_for_far_end(proposal, accepted, patience)
        else:
            self._commit(proposal)
            accepted()
        return ()

    def _commit(self, proposal: MediaProposal) -> None:
        before = self.negotiation.direction
        first = self._shown is None
        after = self._state_with(proposal.media)
        if self._shown is not None and after.level < self._shown.level:
            self._generation += 1
        known = () if self._shown is None else self._shown.media
        for stream in proposal.media:
            if stream.unusable_crypto and stream not in known:
                self.emit_event(CryptoIgnored(stream.media, stream.unusable_crypto))
        self.negotiation.commit(self._generation, silent=self.held_by_policy)
        self.emit_security_change(self.security)
        if not first:
            self.emit_hold_change(before)

    def emit_hold_change(self, before: Direction) -> None:
        """Tell of another direction of the audio."""
        if before is not self.negotiation.direction:
            self.event_queue.put_event(HoldChanged(self.negotiation.direction, self.changed_by))

    @property
    def changed_by(self) -> EndedBy:
        """Who is changing the session at the moment."""
        return EndedBy.REMOTE

    def _wait_for_far_end(
        self, proposal: MediaProposal, accepted: Callable[[], None], patience: float | None
    ) -> None:
        # What another fork had opened is not the call any more.
        self.negotiation.silence()
        self._waiting_proposal, self._on_media_open = proposal, accepted
        if patience is not None:
            self._start_far_end_timer(patience)

    def _look_again(self, proposal: MediaProposal) -> None:
        shortfalls = self.judge_proposal(proposal)
        if not shortfalls:
            once_open = self._on_media_open
            self._stop_waiting()
            self._commit(proposal)
            once_open()
        elif not _only_unknown(shortfalls):
            self.end_for_shortfalls(shortfalls)

    @property
    def awaiting_far_end(self) -> bool:
        """Whether media waits for the server's word about the far end."""
        return self._waiting_proposal is not None

    @property
    def on_media_open(self) -> Callable[[], None]:
        """What is to be called once the media that waits is open."""
        return self._on_media_open

    def await_far_end(self, accepted: Callable[[], None]) -> None:
        """The answer is there: media that waits has `FAR_END_PATIENCE` left to be opened."""
        self._on_media_open = accepted
        self._start_far_end_timer(FAR_END_PATIENCE)

    def give_up_waiting(self) -> None:
        """Nobody has said what the far end is: what waits for that is refused."""
        if self._waiting_proposal is not None:
            self.end_for_shortfalls(self.judge_proposal(self._waiting_proposal))

    def _start_far_end_timer(self, seconds: float) -> None:
        if self._far_end_timer is not None:
            self._far_end_timer.cancel()
        self._far_end_timer = self.setup.call_later(
            seconds, lambda: self.run_guarded(self.give_up_waiting)
        )

    def _stop_waiting(self) -> None:
        self._waiting_proposal, self._on_media_open = None, _nothing
        if self._far_end_timer is not None:
            self._far_end_timer.cancel()
            self._far_end_timer = None

    def reevaluate_security(self) -> None:
        """What is known of the connection or the far end has changed: judge again, and show it."""
        if self._waiting_proposal is not None:
            self._look_again(self._waiting_proposal)
        if self._shown is None or self.state is CallState.TERMINATED:
            return
        state = self.security
        if state.level < self._shown.level:
            self._generation += 1
            self.negotiation.set_security_generation(self._generation)
        self.emit_security_change(state)
        shortfalls = self.policy.judge(state)
        if shortfalls and self.negotiation.media and not self.awaiting_far_end:
            self.handle_shortfalls(shortfalls)

    def emit_security_change(self, state: SecurityState) -> None:
        """Tell of a change of the security state, which is `state` now."""
        if self._shown is not None and state != self._shown:
            self.event_queue.put_event(SecurityChanged(self._shown, state))
        self._shown = state

    # Refusing and ending

    def handle_shortfalls(self, shortfalls: tuple[Shortfall, ...]) -> None:
        """The call in force has fallen below its policy."""
        self.end_for_shortfalls(shortfalls)

    def end_for_shortfalls(self, shortfalls: tuple[Shortfall, ...], explanation: str = "") -> None:
        """End the call on security grounds: nothing of it goes on."""
        if self.state is CallState.TERMINATED:
            return
        error = SecurityShortfall(shortfalls)
        self.refused = shortfalls
        self.explanation = explanation or str(error)
        self.event_queue.put_event(SecurityRefused(shortfalls))
        self._close(CallEnded(EndedBy.POLICY, 488, self.explanation), error)

    def end_for_refusal(self, refusal: DescriptionRefusal, *, status: int = 488) -> None:
        """End the call because something in it could not be accepted."""
        if self.state is CallState.TERMINATED:
            return
        if refusal.shortfalls:
            self.end_for_shortfalls(refusal.shortfalls, refusal.explanation)
            return
        self.explanation = refusal.explanation
        error = NotAcceptable(refusal.explanation, status=status, reason="Not Acceptable Here")
        self._close(CallEnded(EndedBy.LOCAL, status, refusal.explanation), error)

    def hang_up(self, status: int = 0, text: str = "") -> None:
        """End the call, whatever its state: CANCEL, a refusal, or BYE."""
        if self.state is not CallState.TERMINATED:
            self._close(CallEnded(EndedBy.LOCAL, status, text), None)

    def _close(self, ended: CallEnded, error: SoftphoneError | None) -> None:
        """Media first, then the signaling, so that nothing is heard or sent in between."""
        self.finish(ended, error)
        if self.usage is not None:
            self._end_usage(self.usage, ended.status, ended.reason)

    def _end_usage(self, usage: InviteUsage, status: int, text: str) -> None:
        headers = (reason_header(status, text),) if status else ()
        self.run_command(lambda now: usage.bye(now=now, headers=headers))

    def finish(self, ended: CallEnded, error: SoftphoneError | None = None) -> None:
        """The call is over: close its media and tell everybody, once."""
        if self.state is CallState.TERMINATED:
            return
        self._stop_waiting()
        self.failure = error
        self.final_security = self.security
        self._keep_statistics()
        self.state = CallState.TERMINATED
        self.negotiation.close()
        self.sound.close()
        if not self.confirmed.done():
            self.confirmed.cancel()
        self.ended.set_result(ended)
        self.event_queue.put_event(ended)
        self.event_queue.close()

    def _keep_statistics(self) -> None:
        audio = self.negotiation.audio
        if audio is not None and self.negotiation.spec is not None:
            self.final_statistics = self.setup.media.backend.statistics(audio.handle)

    @property
    def statistics(self) -> StreamStatistics:
        """Of the audio stream, now or at the end."""
        if self.final_statistics is not None:
            return self.final_statistics
        audio = self.negotiation.audio
        if audio is None or self.negotiation.spec is None or self.state is CallState.TERMINATED:
            return StreamStatistics()
        return self.setup.media.backend.statistics(audio.handle)

    # What `streams.AudioStream` needs

    @property
    def media_backend(self) -> MediaBackend:
        """The engine's port."""
        return self.setup.media.backend

    @property
    def stream(self) -> AllocatedStream | None:
        """The audio row, None once the call is over."""
        return None if self.state is CallState.TERMINATED else self.negotiation.audio

    @property
    def stream_spec(self) -> StreamSpec | None:
        """The audio stream as it was opened last."""
        return self.negotiation.spec

    @property
    def stream_security(self) -> MediaSecurity | None:
        """The audio stream's security, after the end too."""
        return next((m for m in self.security.media if m.media == "audio"), None)
