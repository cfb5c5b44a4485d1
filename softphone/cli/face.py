"""What a person, or a script, sees: sentences with rich, or one JSON object a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import Any

from rich.console import Console

from softphone.diagnostics.ladder import Ladder
from softphone.security import SecurityState

__all__ = ["LOCK", "Face", "security_line"]

LOCK = {True: "\N{LOCK}", False: "\N{OPEN LOCK}"}


def plain(value: Any) -> Any:
    """A value as JSON has it: enumerations by value, dataclasses as objects."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, SecurityState):
        return {
            "level": value.level.value,
            "scope": value.scope.value,
            "lock": value.lock,
            "shortfalls": [shortfall.code.value for shortfall in value.shortfalls],
        }
    if is_dataclass(value) and not isinstance(value, type):
        return {key: plain(item) for key, item in asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def security_line(state: SecurityState) -> str:
    """One line that says how secure a call is, and why it is not more."""
    media = ", ".join(str(stream.suite or "in clear") for stream in state.media) or "no media"
    reach = "end to end" if state.lock else f"{state.level.value.replace('_', ' ')}"
    if not state.lock and state.level.value == "encrypted":
        reach = "encrypted to the server"
    reasons = "; ".join(shortfall.explanation for shortfall in state.shortfalls)
    signaling = state.signaling.protocol or "in clear"
    line = f"{LOCK[state.lock]} {reach} (signaling {signaling}, media {media})"
    return f"{line}: {reasons}" if reasons else line


class Face:
    """Output of one command."""

    def __init__(self, *, json: bool, ladder: bool) -> None:
        self.json = json
        self.console = Console(highlight=False, soft_wrap=True)
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)
        self.ladder = Ladder() if ladder else None
        self._ended = False

    def event(self, name: str, sentence: str = "", /, **fields: Any) -> None:
        """Tell of something: the sentence to a person, name and fields to a script."""
        if self.json:
            text = json.dumps({"event": name, **{k: plain(v) for k, v in fields.items()}})
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        elif sentence:
            self.console.print(sentence, markup=False)

    def warn(self, sentence: str) -> None:
        """A warning, on standard error."""
        self.errors.print(f"warning: {sentence}", markup=False, style="yellow")

    def error(self, sentence: str, code: int) -> None:
        """The sentence that explains a failure, on standard error; for scripts a last object."""
        self.errors.print(f"error: {sentence}", markup=False, style="red")
        if self.json and not self._ended:
            self.event("error", message=sentence, exit_code=code)

    def summary(self, sentence: str, /, **fields: Any) -> None:
        """The last word."""
        self.event("summary", sentence, **fields)
        self._ended = True

    def interrupted(self) -> int:
        """The command was interrupted, and has tidied up."""
        if not self.json:
            self.errors.print("interrupted", markup=False)
        return 130

    def close(self) -> None:
        """Print the ladder, if one was asked for."""
        if self.ladder is not None:
            out = self.errors if self.json else self.console
            out.print(self.ladder.text(), markup=False)
