"""CUCM's answer to RTP/SAVP when the other side of the call is not secure: RTP/AVP.

Only the lab's server does this; a phone never answers so.  Whether a phone accepts such an answer
is decided by its policy.
"""

from __future__ import annotations

from dataclasses import replace

from softphone.call.leg import MediaSetup, Negotiation
from softphone.call.leg.negotiation import OfferedKeys
from softphone.media import EventCallback
from softphone.sdp import OfferedMedia, SessionDescription
from softphone.security import SecurityPolicy
from softphone.sip import Body


class ClearNegotiation(Negotiation):
    """Answers every offer of audio and video in clear: RTP/SAVP is answered with RTP/AVP."""

    def __init__(self, setup: MediaSetup, on_event: EventCallback | None = None) -> None:
        super().__init__(replace(setup, policy=SecurityPolicy.clear()), on_event)

    def _worth(self, keys: OfferedKeys, line: OfferedMedia) -> int | None:
        return 1 if line.media in ("audio", "video") else None

    def make_answer(self) -> Body:
        """Make the answer to an offer; its profile is RTP/AVP whatever the offer's was."""
        answer = super().make_answer()
        description = SessionDescription.parse(answer.data)
        media = tuple(
            replace(line, protocol=line.protocol.replace("SAVP", "AVP"))
            for line in description.media
        )
        return Body(answer.content_type, replace(description, media=media).encode())
