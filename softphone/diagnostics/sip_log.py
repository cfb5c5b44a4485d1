"""SIP messages in the log: logger `softphone.sip`, level DEBUG, secrets masked."""

from __future__ import annotations

import logging

from softphone.diagnostics.message_tap import LadderEntry, MessageTap
from softphone.sans_io import Flow

logger = logging.getLogger("softphone.sip")


class SipLog(MessageTap):
    """Logs each message, in full and indented, for as long as its logger takes DEBUG."""

    def signaling(self, data: bytes, *, flow: Flow, outgoing: bool, now: float) -> None:
        """Log one datagram, or the messages that a piece of a stream completes."""
        if logger.isEnabledFor(logging.DEBUG):
            super().signaling(data, flow=flow, outgoing=outgoing, now=now)

    def add(self, entry: LadderEntry) -> None:
        """Log one message; a line that begins at the margin is never the far end's."""
        text = entry.text.rstrip().replace("\n", "\n    ")
        logger.debug("message from %s to %s\n    %s", entry.sender, entry.receiver, text)
