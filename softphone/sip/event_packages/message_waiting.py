"""Message waiting: application/simple-message-summary (RFC 3842)."""

from __future__ import annotations

import re

from softphone.events import MessageWaiting

_WAITING = re.compile(rb"(?im)^messages-waiting[ \t]*:[ \t]*(yes|no)[ \t]*\r?$")
_VOICE = re.compile(rb"(?im)^voice-message[ \t]*:[ \t]*([0-9]{1,6})[ \t]*/[ \t]*([0-9]{1,6})")


def message_summary(body: bytes) -> MessageWaiting | None:
    """Parse an application/simple-message-summary body; None without a Messages-Waiting line.

    Reads the first 4096 octets; without a Voice-Message line both counts are 0.
    """
    waiting = _WAITING.search(body[:4096])
    if waiting is None:
        return None
    voice = _VOICE.search(body[:4096])
    new, old = (int(voice[1]), int(voice[2])) if voice else (0, 0)
    return MessageWaiting(waiting[1].lower() == b"yes", new, old)
