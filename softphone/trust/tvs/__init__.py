"""CUCM's Trust Verification Service: messages, client, server and cache, without I/O.

The client asks TVS which roles a certificate that no trust list names has: one question a
connection, only to a server that the ITL names as TVS.  `softphone.net.verified` makes the TLS
connection, `softphone.trust.verification` judges the answer, `softphone.lab` runs the server.

No standard: the format is Cisco's and has no public specification.
"""

from __future__ import annotations

from softphone.trust.tvs.message import (
    MalformedTvsMessage,
    TvsAnswer,
    TvsFramer,
    read_answer,
    tvs_device_name,
)
from softphone.trust.tvs.tvs import (
    TvsAnswered,
    TvsAsked,
    TvsCache,
    TvsClient,
    TvsEvent,
    TvsServer,
    TvsUnanswered,
)

__all__ = [
    "MalformedTvsMessage",
    "TvsAnswer",
    "TvsAnswered",
    "TvsAsked",
    "TvsCache",
    "TvsClient",
    "TvsEvent",
    "TvsFramer",
    "TvsServer",
    "TvsUnanswered",
    "read_answer",
    "tvs_device_name",
]
