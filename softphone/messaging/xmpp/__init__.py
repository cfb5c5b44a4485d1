"""The XMPP stream of one user: connected, authenticated, resumed, and in group chats.

slixmpp handles stanzas only: it dials nothing and makes no TLS context.  Connections and the
certificate gate are in `softphone.net`, the search for servers in
`softphone.messaging.server_location`, messages in `softphone.messaging.delivery`.

RFC 6120 (section 5: STARTTLS), RFC 6121, RFC 4422, RFC 5802 and RFC 7677 (SASL, SCRAM), XEP-0045
(group chat), XEP-0198 (stream management), XEP-0199 (ping).  `connection`, `group_chat`, `sasl`
and `stream` are imported by their modules: they need slixmpp.
"""

from __future__ import annotations

from softphone.messaging.xmpp.starttls import StartTls

__all__ = ["StartTls"]
