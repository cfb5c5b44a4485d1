"""One call's life: its INVITE usage, its negotiation and its policy, joined.

A `Leg` takes the SIP events of one usage and gives commands back within the same drain.  The
policy is judged here and nowhere else, before any media row opens or changes; what is refused
ends the call, or leaves the session as it was, and never falls back in silence.
`outgoing` and `incoming` add how a call comes about; `call.Call` is what the application holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeAlias

from softphone.call.mailbox import Mailbox
from softphone.call.negotiation import MediaSetup, Negotiation, Proposal, Unacceptable
from softphone.call.security import direct_far_end, signaling_security
from softphone.errors import NotAcceptable, SoftphoneError
from softphone.events import (
    CallEnded,
    CallEvent,
    CallState,
    DigitReceived,
    EndedBy,
    HoldChanged,
    SecurityChanged,
    SecurityRefused,
    StreamStatistics,
)
from softphone.machine import Flow
from softphone.media.port import DigitDetected, LocalMedia, MediaEvent, MediaPort, StreamSpec
from softphone.personas import StandardPersona
from softphone.security import (
    MediaSecurity,
    SecurityLevel,
    SecurityShortfall,
    SecurityState,
    Shortfall,
    ShortfallCode,
)
from softphone.sip import Endpoint, InviteUsage, NameAddr, Request, Response

__all__ = ["HeaderFields", "Leg", "LegSetup", "TimerHandle", "reason_header", "warning_header"]

HeaderFields: TypeAlias = tuple[tuple[str, str], ...]

FAR_END_PATIENCE = 5.0
"""Seconds that a server may take after the answer to say what the far end is."""


class TimerHandle(Protocol):
    """What `LegSetup.call_later` gives."""

    def cancel(self) -> None:
        """Call nothing any more."""


def _say_nothing(_: SecurityState) -> HeaderFields:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegSetup:
    """What a leg needs of its account.

    `change` opens a drain of the endpoint (`with change() as now`).  `adopt(owner, handler)` has
    the events of a usage or subscription given to `handler`.  `vouched` says whether the
    registrar that we are registered with speaks for far ends; `direct` whether the account calls
    peers themselves, without a server.  `agent` goes into Warning; `announce` gives header
    fields for our 200 to an INVITE (a server says there what the call's security is).
    """

    endpoint: Endpoint
    change: Callable[[], AbstractContextManager[float]]
    call_later: Callable[[float, Callable[[], None]], TimerHandle]
    adopt: Callable[[object, Callable[[Any], None]], None]
    media: MediaSetup
    persona: StandardPersona
    vouched: Callable[[], bool]
    direct: bool = False
    agent: str = "softphone"
    fips: bool = False
    announce: Callable[[SecurityState], HeaderFields] = _say_nothing


def warning_header(refusal: Unacceptable, agent: str) -> tuple[str, str]:
    """The Warning header field that says why (RFC 3261 section 20.43)."""
    text = refusal.explanation.replace("\\", "").replace('"', "'")
    clean = "".join(c if " " <= c <= "~" else "?" for c in text)[:400]
    return "Warning", f'{refusal.warning_code} {agent} "{clean}"'


def reason_header(status: int, text: str) -> tuple[str, str]:
    """The Reason header field of a BYE or CANCEL (RFC 3326)."""
    clean = "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in text)[:200]
    return "Reason", f'SIP;cause={status};text="{clean}"'


class Leg:
    """The parts of a call that callers and callees share."""

    handlers: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {}

    def __init__(self, setup: LegSetup) -> None:
        self.setup = setup
        self.policy = setup.media.policy
        self.negotiation = self.make_negotiation(setup.media)
        self.usage: InviteUsage | None = None
        self.state = CallState.TRYING
        self.mailbox: Mailbox[CallEvent] = Mailbox()
        loop = asyncio.get_running_loop()
        self.confirmed: asyncio.Future[None] = loop.create_future()
        self.over: asyncio.Future[CallEnded] = loop.create_future()
        self.failure: SoftphoneError | None = None
        self.refused: tuple[Shortfall, ...] = ()
        self.explanation = ""
        self.final_statistics: StreamStatistics | None = None
        self.final_security: SecurityState | None = None
        self._far_end: SecurityLevel | None = None
        self._generation = 0
        self._shown: SecurityState | None = None
        self._patience: TimerHandle | None = None
        self._waiting: Callable[[], None] | None = None
        self._change_result: asyncio.Future[None] | None = None
        self.media_listeners: list[Callable[[MediaEvent], None]] = []

    def make_negotiation(self, media: MediaSetup) -> Negotiation:
        """A fresh negotiation whose media events come to this leg."""
        return Negotiation(replace(media, on_event=self._media_event))

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
            raise RuntimeError("the call has no usage yet")
        return self.usage.remote

    @property
    def security(self) -> SecurityState:
        """What the call has now."""
        if self.final_security is not None:
            return self.final_security
        return self._state_with(self.negotiation.media)

    def _state_with(self, media: Sequence[MediaSecurity]) -> SecurityState:
        return SecurityState(
            signaling_security(self.flow), tuple(media), self._far_end, self.setup.fips
        )

    # Events

    def handle(self, event: Any) -> None:
        """Take one SIP event of this leg's usage."""
        message = getattr(event, "response", None) or getattr(event, "request", None)
        if isinstance(message, Request | Response):
            self._hear(message)
        if self.state is CallState.TERMINATED:
            return
        handler = self.handlers.get(type(event))
        if handler is not None:
            handler(self, event)

    def _media_event(self, event: MediaEvent) -> None:
        if isinstance(event, DigitDetected):
            self.mailbox.put(DigitReceived(event.digit, event.duration_ms))
        for listener in tuple(self.media_listeners):
            listener(event)

    def _hear(self, message: Request | Response) -> None:
        """Take the word about the far end that a message may bring."""
        flow = self.flow
        verified = flow is not None and flow.identity is not None
        word = self.setup.persona.far_end(message, vouched=verified and self.setup.vouched())
        if word.spoken:
            self._far_end = word.level
        elif self.setup.direct:
            self._far_end = direct_far_end(message, flow) or self._far_end
        self._reconsider()

    # Judging: the one place

    def judge(self, proposal: Proposal) -> tuple[Shortfall, ...]:
        """What keeps a proposal from being accepted."""
        return self.policy.judge(self._state_with(proposal.media))

    def settle(self, proposal: Proposal, *, accepted: Callable[[], None]) -> tuple[Shortfall, ...]:
        """Put a proposal in force if policy allows; gives the shortfalls if it does not.

        When only the far end's level is missing, media stays closed until the server has said it,
        for `FAR_END_PATIENCE`; `accepted` is called once media is open.
        """
        shortfalls = self.judge(proposal)
        if shortfalls and all(s.code is ShortfallCode.FAR_END_UNKNOWN for s in shortfalls):
            self._wait_for_far_end(proposal, accepted)
            return ()
        if not shortfalls:
            self._commit(proposal)
            accepted()
        return shortfalls

    def _commit(self, proposal: Proposal) -> None:
        before = self.negotiation.direction
        first = self._shown is None
        after = self._state_with(proposal.media)
        if self._shown is not None and after.level < self._shown.level:
            self._generation += 1
        self.negotiation.commit(self._generation)
        self.show()
        if not first and before is not self.negotiation.direction:
            self.mailbox.put(HoldChanged(self.negotiation.direction, self._changed_by()))

    def _changed_by(self) -> EndedBy:
        return EndedBy.LOCAL if self._change_result is not None else EndedBy.REMOTE

    def _wait_for_far_end(self, proposal: Proposal, accepted: Callable[[], None]) -> None:
        def again() -> None:
            if not self.judge(proposal):
                self._stop_waiting()
                self._commit(proposal)
                accepted()

        def give_up() -> None:
            self._stop_waiting()
            self.refuse(self.judge(proposal))

        self._stop_waiting()
        self._waiting = again
        self._patience = self.setup.call_later(FAR_END_PATIENCE, give_up)

    @property
    def waiting(self) -> bool:
        """Whether media waits for the server's word about the far end."""
        return self._waiting is not None

    def _stop_waiting(self) -> None:
        self._waiting = None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _reconsider(self) -> None:
        """The far end's level may have changed: show it, and judge what is in force again."""
        if self._waiting is not None:
            self._waiting()
        if self._shown is None or self.state is CallState.TERMINATED:
            return
        if self.security.level < self._shown.level:
            self._generation += 1
            self.negotiation.restamp(self._generation)
        self.show()
        shortfalls = self.policy.judge(self.security)
        if shortfalls and self.negotiation.media:
            self.dropped(shortfalls)

    def show(self) -> None:
        """Tell of a change of the security state."""
        state = self.security
        if self._shown is not None and state != self._shown:
            self.mailbox.put(SecurityChanged(self._shown, state))
        self._shown = state

    # Refusing and ending

    def dropped(self, shortfalls: tuple[Shortfall, ...]) -> None:
        """The call in force has fallen below its policy."""
        self.refuse(shortfalls)

    def refuse(self, shortfalls: tuple[Shortfall, ...], explanation: str = "") -> None:
        """End the call on security grounds: nothing of it goes on."""
        if self.state is CallState.TERMINATED:
            return
        error = SecurityShortfall(shortfalls)
        self.refused = shortfalls
        self.explanation = explanation or str(error)
        self.mailbox.put(SecurityRefused(shortfalls))
        self._hang_up(488, self.explanation)
        self.finish(CallEnded(EndedBy.POLICY, 488, self.explanation), error)

    def fail(self, refusal: Unacceptable) -> None:
        """End the call because a description could not be accepted."""
        if refusal.shortfalls:
            self.refuse(refusal.shortfalls, refusal.explanation)
            return
        self.explanation = refusal.explanation
        self._hang_up(488, refusal.explanation)
        error = NotAcceptable(refusal.explanation, status=488, reason="Not Acceptable Here")
        self.finish(CallEnded(EndedBy.LOCAL, 488, refusal.explanation), error)

    def hang_up(self, status: int = 0, text: str = "") -> None:
        """End the call, whatever its state: CANCEL, a refusal, or BYE."""
        if self.state is CallState.TERMINATED:
            return
        self._hang_up(status, text)
        self.finish(CallEnded(EndedBy.LOCAL, status, text))

    def _hang_up(self, status: int, text: str) -> None:
        if self.usage is None:
            return
        headers = (reason_header(status, text),) if status else ()
        with self.setup.change() as now:
            self.usage.bye(now=now, headers=headers)

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
        if self._change_result is not None and not self._change_result.done():
            self._change_result.cancel()
        if not self.confirmed.done():
            self.confirmed.cancel()
        self.over.set_result(ended)
        self.mailbox.put(ended)
        self.mailbox.close()

    def _keep_statistics(self) -> None:
        audio = self.negotiation.audio
        if audio is not None and self.negotiation.spec is not None:
            self.final_statistics = self.setup.media.port.statistics(audio.handle)

    @property
    def statistics(self) -> StreamStatistics:
        """Of the audio stream, now or at the end."""
        if self.final_statistics is not None:
            return self.final_statistics
        audio = self.negotiation.audio
        if audio is None or self.negotiation.spec is None or self.state is CallState.TERMINATED:
            return StreamStatistics()
        return self.setup.media.port.statistics(audio.handle)

    # What `streams.MediaStream` needs

    @property
    def media_port(self) -> MediaPort:
        """The engine's port."""
        return self.setup.media.port

    @property
    def stream(self) -> LocalMedia | None:
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
