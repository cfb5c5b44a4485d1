"""Reads the voice mailbox of a Cisco Unity Connection server, by its REST interface over HTTPS.

Lists, plays, saves, marks and deletes messages.  The package places no call and has no sound card:
`softphone.net` opens and verifies connections, `softphone.media` plays what is fetched, message
waiting (RFC 3842) is read by `softphone.sip`, and `softphone.config` reads the `[voicemail]` table.

No standard: the resources are those of Cisco's Unity Connection Messaging Interface (CUMI), with
RFC 7617 (Basic).
"""

from __future__ import annotations

from softphone.voicemail.client import VoicemailClient
from softphone.voicemail.config import VoicemailConfig, VoicemailFormat
from softphone.voicemail.message import (
    Folder,
    MailboxCounts,
    MailboxState,
    MessageFilter,
    MessagePart,
    VoiceMessage,
)
from softphone.voicemail.sound import MessageSound

__all__ = [
    "Folder",
    "MailboxCounts",
    "MailboxState",
    "MessageFilter",
    "MessagePart",
    "MessageSound",
    "VoiceMessage",
    "VoicemailClient",
    "VoicemailConfig",
    "VoicemailFormat",
]
