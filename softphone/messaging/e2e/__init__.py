"""TLS sessions between two clients, carried inside their XMPP streams.

It knows the roster, everybody's presence and which clients can do this, and opens, accepts and
bounds the sessions.  TLS itself is in `softphone.net.stream`, the judgment of certificates in
`softphone.trust`, and which messages must be encrypted says
`softphone.messaging.encryption_policy`.  It is neither OMEMO nor OpenPGP.

RFC 6121 sections 2 to 4 (roster, presence), XEP-0030 (the capability), XEP-0047 (in-band
bytestreams); the frames inside the session have a format of their own.  `peers`, `session` and
`sessions` are imported by their modules: they need slixmpp.
"""

from __future__ import annotations

from softphone.messaging.e2e.framing import FORBIDDEN, MOST_BODY, MOST_ID, Frame

__all__ = ["FORBIDDEN", "MOST_BODY", "MOST_ID", "Frame"]
