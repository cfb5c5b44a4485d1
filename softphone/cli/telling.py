"""What happens to a call, as sentences and as objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from softphone.cli.face import Face, security_line
from softphone.events import (
    CallEvent,
    CallRinging,
    DigitReceived,
    EarlyMediaStarted,
    HoldChanged,
    SecurityChanged,
    TransferProgressed,
    TransferRequested,
)

__all__ = ["tell"]


def tell(face: Face, event: CallEvent, *, direct: bool) -> None:
    """Tell of one event; `direct`: there is no server between us and the far end."""
    if isinstance(event, SecurityChanged):
        line = security_line(event.after, direct=direct)
        face.event("security", line, security=event.after)
        return
    if isinstance(event, EarlyMediaStarted):
        line = security_line(event.security, direct=direct)
        face.event("early_media", f"sound before the answer: {line}", security=event.security)
        return
    say = _SAY.get(type(event))
    if say is not None:
        say(face, event)


def _ringing(face: Face, event: CallRinging) -> None:
    face.event(
        "ringing", f"{event.status} {event.reason}", status=event.status, reason=event.reason
    )


def _hold(face: Face, event: HoldChanged) -> None:
    sentence = f"the audio is now {event.direction.value} (by {event.by.value})"
    face.event("hold", sentence, direction=event.direction, by=event.by)


def _digit(face: Face, event: DigitReceived) -> None:
    face.event("digit", f"digit {event.digit}", digit=event.digit, via=event.via)


def _transfer(face: Face, event: TransferRequested) -> None:
    face.event("transfer", f"the far end asks us to call {event.refer_to}", refer_to=event.refer_to)


def _transfer_progress(face: Face, event: TransferProgressed) -> None:
    face.event("transfer_progress", f"transfer: {event.status}", status=event.status)


_SAY: dict[type, Callable[[Face, Any], None]] = {
    CallRinging: _ringing,
    HoldChanged: _hold,
    DigitReceived: _digit,
    TransferRequested: _transfer,
    TransferProgressed: _transfer_progress,
}
