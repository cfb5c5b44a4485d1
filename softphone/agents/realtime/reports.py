"""What a model does and says in a call, for a screen or a log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ToolUsed:
    """A function was called by the model: which, whether it was done, and what the model was told.

    `tool` has no digits, and no number whole.
    """

    call_id: str
    tool: str
    done: bool
    result: str


@dataclass(frozen=True, slots=True)
class Said:
    """What the caller or the bot has said, as the service has it: a model's guess.

    Of an answer that was interrupted it is more than the caller has heard.
    """

    call_id: str
    speaker: str
    text: str = field(repr=False)


RealtimeEvent: TypeAlias = ToolUsed | Said
