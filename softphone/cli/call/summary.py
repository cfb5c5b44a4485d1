"""The summary of `call` and `answer`: how the call ended, its security, and its audio quality.

Scripts depend on its field names; all fields are present however the command ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from softphone.cli.console.runner import (
    DONE,
    FAILED,
    INTERRUPTED,
    REFUSED,
    exit_code,
    hint_of,
    result_of,
    status_of,
)
from softphone.errors import SoftphoneError
from softphone.events import CallEnded, EndedBy, StreamStatistics
from softphone.media import VideoStream
from softphone.security import SecurityLevel, SecurityShortfall, SecurityState, Shortfall
from softphone.sip.message import REASON_PHRASES

BLANK: Mapping[str, Any] = MappingProxyType(
    {
        "security": {"level": "unknown", "scope": "hop", "shortfalls": []},
        "audio": {
            "codec": None,
            "suite": None,
            "packets_sent": 0,
            "packets_received": 0,
            "packets_lost": 0,
            "jitter_ms": 0.0,
            "mos": None,
            "mos_far": None,
        },
        "video": None,
        "tls_key_log": None,
    }
)
"""The fields for a call that was never established."""

_WORDS = {
    EndedBy.LOCAL: "hung up by us",
    EndedBy.REMOTE: "hung up by the far end",
    EndedBy.TIMEOUT: "the far end has gone",
    EndedBy.TRANSPORT: "the connection was lost",
    EndedBy.POLICY: "ended by our policy",
}
_STATUS = {EndedBy.TIMEOUT: 408, EndedBy.TRANSPORT: 503}


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call command ended; `refused` has the shortfalls if we refused for security."""

    code: int
    status: int
    reason: str
    refused: tuple[Shortfall, ...] = ()
    completed: bool = False
    unanswered: bool = False
    """Whether `status` was generated locally, not received from the far end."""
    hint: str = ""
    """Advice for the user."""

    @property
    def result(self) -> str:
        """completed, failed or refused."""
        return "completed" if self.completed else result_of(self.code)

    @classmethod
    def of_call(cls, ended: CallEnded, refused: tuple[Shortfall, ...], explanation: str) -> Self:
        """Return the outcome of a call that was up."""
        if refused:
            return cls(REFUSED, 488, explanation or _WORDS[EndedBy.POLICY], refused)
        reason = ended.reason or _WORDS[ended.by]
        if ended.by is EndedBy.REMOTE and ended.status >= 300:
            # The far end's BYE has a Reason: it refuses the call after the answer instead of
            # before.
            said = ended.reason or REASON_PHRASES.get(ended.status, "")
            reason = f"{_WORDS[ended.by]}: {ended.status} {said}".rstrip()
            return cls(FAILED, ended.status, reason)
        if ended.by in _STATUS:
            status = ended.status or _STATUS[ended.by]
            return cls(FAILED, status, reason, unanswered=True)
        return cls(DONE, 200, reason, completed=True)

    @classmethod
    def of_error(cls, error: SoftphoneError) -> Self:
        """Return the outcome of a call that was never established."""
        refused = error.shortfalls if isinstance(error, SecurityShortfall) else ()
        hint = hint_of(error)
        return cls(exit_code(error), status_of(error), str(error), refused, hint=hint)

    @classmethod
    def of_interruption(cls, *, up: bool) -> Self:
        """Return the outcome of a signal: a normal end of a call that is up, else a failure."""
        return cls(INTERRUPTED, 200 if up else 487, "interrupted", completed=up)


def security_fields(state: SecurityState | None, refused: tuple[Shortfall, ...]) -> dict[str, Any]:
    """Return the security fields of a call, with the reasons for its level; a refused call counts
    as not secure.
    """
    shortfalls = (*refused, *(() if state is None else state.shortfalls))
    level = SecurityLevel.UNKNOWN if state is None else state.level
    if refused:
        level = SecurityLevel.NOT_SECURE
    return {
        "level": level.value,
        "scope": "hop" if state is None else state.scope.value,
        "shortfalls": list(dict.fromkeys(each.code.value for each in shortfalls)),
    }


def audio_fields(
    codec: str | None, state: SecurityState | None, statistics: StreamStatistics
) -> dict[str, Any]:
    """Return the audio fields; `suite` is null for audio in clear, or without audio."""
    media = () if state is None else state.media
    suite = next((stream.suite for stream in media if stream.media == "audio"), None)
    return {
        "codec": codec or None,
        "suite": None if suite is None else suite.value,
        "packets_sent": statistics.packets_sent,
        "packets_received": statistics.packets_received,
        "packets_lost": statistics.cumulative_lost,
        "jitter_ms": round(statistics.interarrival_jitter_ms, 3),
        "mos": None if statistics.mos is None else round(statistics.mos, 2),
        "mos_far": None if statistics.remote_mos is None else round(statistics.remote_mos, 2),
    }


def video_fields(video: VideoStream, state: SecurityState | None) -> dict[str, Any]:
    """Return the video fields; `suite` as in `audio_fields`."""
    media = () if state is None else state.media
    suite = next((stream.suite for stream in media if stream.media == "video"), None)
    statistics = video.statistics
    return {
        "codec": video.codec or None,
        "suite": None if suite is None else suite.value,
        "frames_sent": video.frames_sent,
        "frames_received": video.frames_received,
        "packets_sent": statistics.packets_sent,
        "packets_received": statistics.packets_received,
        "packets_lost": statistics.cumulative_lost,
        "jitter_ms": round(statistics.interarrival_jitter_ms, 3),
    }


def summary_text(
    ending: CallOutcome,
    security: str,
    audio: Mapping[str, Any],
    video: Mapping[str, Any] | None = None,
) -> str:
    """Return the summary as a sentence; `security` is the call's security line, or ""."""
    said = ending.status in (0, 200) or ending.reason.startswith(str(ending.status))
    status = "" if said or ending.unanswered else f" ({ending.status})"
    lines = [f"{ending.result}{status}: {ending.reason}"]
    if ending.hint:
        lines.append(f"hint: {ending.hint}")
    if security:
        lines.append(security)
    if audio["packets_sent"] or audio["packets_received"]:
        mos = "" if audio["mos"] is None else f", MOS {audio['mos']}"
        if audio["mos_far"] is not None:
            mos += f" (there {audio['mos_far']})"
        lines.append(
            f"audio {audio['codec']}: sent {audio['packets_sent']} packets, received "
            f"{audio['packets_received']}, lost {audio['packets_lost']}, "
            f"jitter {audio['jitter_ms']:.1f} ms{mos}"
        )
    if video is not None:
        lines.append(
            f"video {video['codec']}: sent {video['frames_sent']} pictures, received "
            f"{video['frames_received']}, lost {video['packets_lost']} packets"
        )
    return "\n".join(lines)
