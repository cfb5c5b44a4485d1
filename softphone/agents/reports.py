"""What an agent server tells of its calls, for a status line or a log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReportKind(StrEnum):
    """What happened."""

    JOINED = "joined"
    """The call is up, and its bot hears it."""
    RECONNECTED = "reconnected"
    """The bot was lost, and another connection to it has taken over."""
    BOT_FAILED = "bot_failed"
    """The bot, or the voice URL, could not be reached, was lost or broke the rules: the call
    follows its rule."""
    UNSUPPORTED = "unsupported"
    """The document has a verb that is not carried out, which `reason` names: the call ends."""
    REFUSED = "refused"
    """A call was refused: it had no bot, or its document says so."""
    FAILED = "failed"
    """A call came to nothing for another reason."""
    ENDED = "ended"
    """A call that was answered is over."""


@dataclass(frozen=True, slots=True)
class AgentReport:
    """One report.  `call_id` is the Call-ID, `peer` the far end's URI; `reason` is "" for none.

    `stream_id` is the streamSid, "" where no bot heard the call, and `call_sid` the callSid.
    """

    kind: ReportKind
    call_id: str
    peer: str
    stream_id: str = ""
    reason: str = ""
    call_sid: str = ""
