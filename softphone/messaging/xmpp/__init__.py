"""The XMPP stream of one user: connects, authenticates, resumes sessions, joins group chats.

slixmpp handles stanzas only; it neither dials nor makes a TLS context.  Connections and the
certificate gate are in `softphone.net`, server location in `softphone.messaging.server_location`,
sending and receiving of messages in `softphone.messaging.delivery`.

RFC 6120 (section 5: STARTTLS), RFC 6121, RFC 4422, RFC 5802 and RFC 7677 (SASL, SCRAM), XEP-0045
(group chat), XEP-0198 (stream management), XEP-0199 (ping).  Import `connection`, `group_chat`,
`sasl` and `stream` as modules: they need slixmpp.
"""

from __future__ import annotations

from softphone.messaging.xmpp.starttls import StartTls

__all__ = ["StartTls"]
