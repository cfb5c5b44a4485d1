"""The client configuration service of Cisco's IM and Presence: SOAP 1.2 over HTTPS.

Logs a user in, checks the presence domain and fetches the one-time password that the SASL mechanism
CISCO-VTG-TOKEN uses.  XMPP and its mechanisms are in `softphone.messaging.xmpp`, HTTPS and the
certificate gate in `softphone.net`; `softphone.config` reads the table `[im.im_presence]`.

Implements no standard: the requests are those that published clients of this service send.  They
were tried with the lab's node only, and with no server of Cisco's.
"""

from __future__ import annotations

from softphone.messaging.im_presence.client import ClientConfigurationService
from softphone.messaging.im_presence.config import (
    CertificateName,
    ImPresenceConfig,
    PresenceNode,
    XmppEdge,
)

__all__ = [
    "CertificateName",
    "ClientConfigurationService",
    "ImPresenceConfig",
    "PresenceNode",
    "XmppEdge",
]
