"""Managed file transfer: upload and download over HTTPS, after policies and audit.

It asks the policies with the type of the content, records their decision, and then moves the bytes.
Policies are in `softphone.messaging.compliance`, the audit table in `softphone.messaging.storage`,
HTTPS in `softphone.net.http`, and a message with a link is sent by `softphone.messaging.delivery`.

XEP-0363 (upload slots), XEP-0066 (links), RFC 6838 (media types).  `upload`, which asks for a
slot, is imported by its module: it needs slixmpp.
"""

from __future__ import annotations

from softphone.messaging.files.transfer import FileTransfer, TransferredFile

__all__ = ["FileTransfer", "TransferredFile"]
