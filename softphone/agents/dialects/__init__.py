"""The dialects of media streams on a WebSocket: messages to and from bots, as values.

`stream_dialect` is the shape that they share, without I/O; a module beside it speaks the messages
of one provider, as that documents them: Twilio Media Streams, Telnyx media streaming with RTP
payloads, Vonage's WebSockets, the `listen` verb of jambonz and Asterisk's chan_websocket.  The
sockets (RFC 6455), the queues and the bounds are those of `softphone.agents`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from softphone.agents.dialects.asterisk_dialect import AsteriskMessages, AsteriskTextMessages
from softphone.agents.dialects.jambonz_dialect import JambonzMessages
from softphone.agents.dialects.stream_dialect import (
    StreamDialect,
    StreamFacts,
    StreamIds,
    StreamMessages,
    StreamSound,
)
from softphone.agents.dialects.telnyx_dialect import TelnyxMessages
from softphone.agents.dialects.twilio_dialect import TwilioMessages
from softphone.agents.dialects.vonage_dialect import VonageMessages

__all__ = [
    "DIALECTS",
    "AsteriskMessages",
    "AsteriskTextMessages",
    "JambonzMessages",
    "StreamDialect",
    "StreamFacts",
    "StreamIds",
    "StreamMessages",
    "StreamSound",
    "TelnyxMessages",
    "TwilioMessages",
    "VonageMessages",
]

DIALECTS: Final[Mapping[StreamDialect, type[StreamMessages]]] = {
    StreamDialect.TWILIO: TwilioMessages,
    StreamDialect.TELNYX: TelnyxMessages,
    StreamDialect.VONAGE: VonageMessages,
    StreamDialect.JAMBONZ: JambonzMessages,
    StreamDialect.ASTERISK: AsteriskMessages,
    StreamDialect.ASTERISK_TEXT: AsteriskTextMessages,
}
"""The class of each dialect."""
