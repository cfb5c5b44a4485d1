"""Managed file transfer: upload and download over HTTPS, after policies and audit.

A transfer first detects the media type of the content, asks the policies and records their
decision.  Policies are in `softphone.messaging.compliance`, the audit table in
`softphone.messaging.storage`, HTTPS in `softphone.net.http`; `softphone.messaging.delivery` sends
the message with the link.

XEP-0363 (upload slots), XEP-0066 (links), RFC 6838 (media types).  Import `upload`, which requests
slots, as a module: it needs slixmpp.
"""

from __future__ import annotations

from softphone.messaging.files.transfer import FileTransfer, TransferredFile

__all__ = ["FileTransfer", "TransferredFile"]
