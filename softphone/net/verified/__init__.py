"""Verified TLS client connections: for other protocols, for libraries, for inspection and TVS.

A connector opens TLS, or asks for it first (STARTTLS), for a protocol that is no machine of
`softphone.sans_io`; a relay lends such a connection to a library by a private socket; an inspection
shows a server's certificates; one client asks a cluster's TVS.  The protocols above are in
`softphone.messaging` and `softphone.contacts`, messages of TVS in `softphone.trust.tvs`, the
verdict in `softphone.trust.verification`.

`connector`, `inspection` and `local_relay` are imported from their own modules: a phone without
messages or directories loads none of them.

No standard of its own: what is said in clear before TLS comes from the caller, as RFC 6120
section 5 has it for XMPP.
"""

from __future__ import annotations

from softphone.net.verified.tvs_asker import TvsAsker

__all__ = ["TvsAsker"]
