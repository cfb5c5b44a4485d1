"""Sends and receives messages: each arrives once, is checked, and is kept in the history.

The package routes messages by the encryption policy, keeps those that are not acknowledged yet,
filters duplicates, and contains the inbox and the history of the session.  The stream is in
`softphone.messaging.xmpp`, sessions between clients in `softphone.messaging.e2e`, the archive in
`softphone.messaging.storage`.

RFC 6121 section 5, XEP-0045, XEP-0184 (receipts), XEP-0198 (acknowledgments), XEP-0203 (delay).
Import `sender` and `receiver` as modules: they need slixmpp.
"""

from __future__ import annotations

from softphone.messaging.delivery.message_processor import MessageProcessor

__all__ = ["MessageProcessor"]
