"""What a person is told: the ladder of messages, and why a call was refused."""

from __future__ import annotations

from softphone.diagnostics.ladder import Ladder
from softphone.diagnostics.redact import mask
from softphone.diagnostics.refusal_text import (
    explain_registrar,
    explain_response,
    explain_shortfalls,
)
from softphone.diagnostics.tap_tee import combine_taps

__all__ = [
    "Ladder",
    "combine_taps",
    "explain_registrar",
    "explain_response",
    "explain_shortfalls",
    "mask",
]
