"""CUCM's Trust Verification Service: messages, client, server and cache, without I/O.

The client asks what a certificate that no trust list names is valid for, one question a connection.
The TLS connection is made in `softphone.net.verified`; that only a server named as TVS in a list is
asked, and what the answer means, is known to `softphone.trust.lists` and
`softphone.trust.verification`.  The server is run by `softphone.lab`.

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
