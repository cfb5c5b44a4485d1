"""softphone.messaging.xmpp."""

from __future__ import annotations

from softphone.messaging.xmpp.starttls import StartTls

__all__ = ["StartTls"]
