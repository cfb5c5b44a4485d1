"""TLS sessions between two clients, carried inside their XMPP streams.

The package tracks the roster, presence and the clients that support such sessions; it opens,
accepts and limits them.  TLS itself is in `softphone.net.stream`, certificate verification in
`softphone.trust`; `softphone.messaging.encryption_policy` decides which messages must be encrypted.
The package implements neither OMEMO nor OpenPGP.

RFC 6121 sections 2 to 4 (roster, presence), XEP-0030 (the capability), XEP-0047 (in-band
bytestreams); the frames inside a session have a format of their own (`framing`).  Import `peers`,
`session` and `sessions` as modules: they need slixmpp.
"""

from __future__ import annotations

from softphone.messaging.e2e.framing import FORBIDDEN, MOST_BODY, MOST_ID, Frame

__all__ = ["FORBIDDEN", "MOST_BODY", "MOST_ID", "Frame"]
