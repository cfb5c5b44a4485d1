"""Verified TLS client connections: for other protocols, for libraries, for inspection and TVS.

`connector` opens TLS, or STARTTLS, for a protocol that is no machine of `softphone.sans_io`.
`local_relay` lends such a connection to a library through a private socket.  `inspection` shows a
server's certificates, `timed_handshake` measures handshakes.  `tvs_asker` asks a cluster's TVS.
The protocols themselves are in `softphone.messaging` and `softphone.contacts`, TVS messages in
`softphone.trust.tvs`, the verdict in `softphone.trust.verification`.

`connector`, `inspection`, `timed_handshake` and `local_relay` are imported from their own modules:
a phone without messages or directories loads none of them.

The exchange in clear before TLS comes from the caller, as in RFC 6120 section 5 for XMPP.
"""

from __future__ import annotations

from softphone.net.verified.tvs_asker import TvsAsker

__all__ = ["TvsAsker"]
