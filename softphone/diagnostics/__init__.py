"""What a person is told: the ladder of messages, and why a call was refused."""

from __future__ import annotations

from softphone.diagnostics.explain import explain_registrar, explain_response, explain_shortfalls
from softphone.diagnostics.ladder import Ladder
from softphone.diagnostics.mask import mask

__all__ = ["Ladder", "explain_registrar", "explain_response", "explain_shortfalls", "mask"]
