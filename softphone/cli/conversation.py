"""What `call` and `answer` share: wishes checked before anything is sent, and the call itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softphone.account import AccountConfig, load_account
from softphone.call import Call
from softphone.cli.face import Face, security_line
from softphone.cli.run import DONE, FAILED, REFUSED
from softphone.errors import (
    CallError,
    CertificateError,
    ConfigurationError,
    SoftphoneError,
)
from softphone.events import (
    CallEnded,
    CallEvent,
    CallRinging,
    DigitReceived,
    EndedBy,
    HoldChanged,
    SecurityChanged,
    StreamStatistics,
    TransferProgressed,
    TransferRequested,
)
from softphone.media.endpoints import SilenceSource
from softphone.media.wav import WavSink, WavSource
from softphone.security import SecurityShortfall, SecurityState, Shortfall, SrtpPolicy

__all__ = ["Conversation", "Wishes", "prepare"]

DIGITS = frozenset("0123456789*#ABCD,")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for, as given."""

    play: Path | None
    record: Path | None
    digits: str | None
    duration: float | None
    srtp: str | None


@dataclass(slots=True)
class Prepared:
    """What was asked for, checked and opened."""

    config: AccountConfig
    srtp: SrtpPolicy | None
    source: WavSource | None
    sink: WavSink | None
    digits: str
    duration: float | None


def prepare(face: Face, account: Path, wishes: Wishes) -> Prepared:
    """Check everything before anything is sent.  Raises ConfigurationError."""
    file = load_account(account)
    for warning in file.warnings:
        face.warn(warning)
    srtp = None
    if wishes.srtp is not None:
        try:
            srtp = SrtpPolicy(wishes.srtp)
        except ValueError:
            raise ConfigurationError(
                f"--srtp {wishes.srtp}: expected required, optional or off"
            ) from None
    digits = (wishes.digits or "").upper()
    wrong = sorted(set(digits) - DIGITS)
    if wrong:
        raise ConfigurationError(
            f"--digits {wishes.digits}: {''.join(wrong)!r} cannot be sent; use 0-9 * # A-D"
        )
    source = None if wishes.play is None else WavSource(wishes.play)
    sink = None if wishes.record is None else WavSink(wishes.record)
    return Prepared(file.config, srtp, source, sink, digits, wishes.duration)


class Conversation:
    """One call as the command line holds it, from its answer to its summary."""

    def __init__(self, face: Face, prepared: Prepared) -> None:
        self._face = face
        self._prepared = prepared

    async def hold(self, call: Call) -> None:
        """Play, record and send digits until the call is over or its time is up."""
        prepared = self._prepared
        call.audio.play(prepared.source or SilenceSource())
        call.audio.record(prepared.sink)
        ends: list[Awaitable[Any]] = [call.ended()]
        if prepared.digits:
            await call.send_digits(prepared.digits)
        if prepared.duration is not None:
            ends.append(asyncio.sleep(prepared.duration))
        elif prepared.source is not None:
            ends.append(call.audio.played())
        tasks = [asyncio.ensure_future(end) for end in ends]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        """Finish the files."""
        if self._prepared.sink is not None:
            self._prepared.sink.close()
        if self._prepared.source is not None:
            self._prepared.source.close()

    async def tell(self, events: Any, follow: Callable[[TransferRequested], None]) -> None:
        """Tell of everything that happens to the call."""
        async for event in events:
            if isinstance(event, TransferRequested):
                follow(event)
            self._tell(event)

    def _tell(self, event: CallEvent) -> None:
        face = self._face
        if isinstance(event, CallRinging):
            face.event("ringing", f"{event.status} {event.reason}", status=event.status)
        elif isinstance(event, SecurityChanged):
            face.event("security", security_line(event.after), security=event.after)
        elif isinstance(event, HoldChanged):
            sentence = f"the audio is now {event.direction.value} (by {event.by.value})"
            face.event("hold", sentence, direction=event.direction, by=event.by)
        elif isinstance(event, DigitReceived):
            face.event("digit", f"digit {event.digit}", digit=event.digit, via=event.via)
        elif isinstance(event, TransferRequested):
            face.event("transfer", f"asked to call {event.refer_to}", refer_to=event.refer_to)
        elif isinstance(event, TransferProgressed):
            face.event("transfer_progress", f"transfer: {event.status}", status=event.status)

    # The end

    def completed(self, call: Call, ended: CallEnded) -> int:
        """The summary of a call that was up."""
        refused = call.refused
        result = "refused" if refused else "completed"
        reason = ended.reason or _ended_word(ended.by)
        self._summary(
            result=result,
            status=200 if not refused else 488,
            reason=call.explanation or reason,
            state=call.security,
            refused=refused,
            codec=call.audio.codec,
            statistics=call.audio.statistics,
        )
        return REFUSED if refused else DONE

    def failed(
        self, error: SoftphoneError, state: SecurityState | None, statistics: StreamStatistics
    ) -> int:
        """The summary of a call that did not come about."""
        refused: tuple[Shortfall, ...] = ()
        if isinstance(error, SecurityShortfall):
            refused = error.shortfalls
        security = refused or isinstance(error, CertificateError)
        self._summary(
            result="refused" if security else "failed",
            status=error.status if isinstance(error, CallError) else 488 if refused else 0,
            reason=str(error),
            state=state,
            refused=refused,
            codec=None,
            statistics=statistics,
        )
        return REFUSED if security else FAILED

    def _summary(
        self,
        *,
        result: str,
        status: int,
        reason: str,
        state: SecurityState | None,
        refused: tuple[Shortfall, ...],
        codec: str | None,
        statistics: StreamStatistics,
    ) -> None:
        codes = [
            shortfall.code.value for shortfall in (*refused, *(state.shortfalls if state else ()))
        ]
        security = {
            "level": "not_secure" if state is None or refused else state.level.value,
            "scope": "hop" if state is None else state.scope.value,
            "shortfalls": list(dict.fromkeys(codes)),
        }
        suite = next((m.suite for m in state.media if m.media == "audio"), None) if state else None
        audio = {
            "codec": codec,
            "suite": None if suite is None else suite.value,
            "packets_sent": statistics.packets_sent,
            "packets_received": statistics.packets_received,
            "packets_lost": statistics.cumulative_lost,
            "jitter_ms": round(statistics.interarrival_jitter_ms, 3),
            "mos": None if statistics.mos is None else round(statistics.mos, 2),
        }
        sentence = _sentence(result, status, reason, state, audio)
        self._face.summary(
            sentence,
            result=result,
            status=status,
            reason=reason,
            security=security,
            audio=audio,
            video=None,
        )


def _ended_word(by: EndedBy) -> str:
    words = {
        EndedBy.LOCAL: "hung up by us",
        EndedBy.REMOTE: "hung up by the far end",
        EndedBy.TIMEOUT: "the far end has gone",
        EndedBy.TRANSPORT: "the connection was lost",
        EndedBy.POLICY: "ended by our policy",
    }
    return words[by]


def _sentence(
    result: str, status: int, reason: str, state: SecurityState | None, audio: dict[str, Any]
) -> str:
    lines = [f"{result}: {reason}" if status in (0, 200) else f"{result} ({status}): {reason}"]
    if state is not None and state.media:
        lines.append(security_line(state))
    if audio["packets_sent"] or audio["packets_received"]:
        lines.append(
            f"audio {audio['codec']}: sent {audio['packets_sent']} packets, received "
            f"{audio['packets_received']}, lost {audio['packets_lost']}, "
            f"jitter {audio['jitter_ms']} ms, MOS {audio['mos']}"
        )
    return "\n".join(lines)
