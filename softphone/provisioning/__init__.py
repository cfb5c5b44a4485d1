"""How a device comes to its configuration: signed files, what they say."""

from __future__ import annotations

from softphone.provisioning.device_config import (
    CallManager,
    CapfServer,
    DeviceConfig,
    Line,
    MediaSettings,
    SipTimers,
    TvsServer,
    parse_device_config,
)
from softphone.provisioning.signed_file import (
    LastAccepted,
    Recipient,
    SignedFilePolicy,
    VerifiedFile,
    decrypt_file,
    encrypt_file,
    sign_file,
    verify_file,
)

__all__ = [
    "CallManager",
    "CapfServer",
    "DeviceConfig",
    "LastAccepted",
    "Line",
    "MediaSettings",
    "Recipient",
    "SignedFilePolicy",
    "SipTimers",
    "TvsServer",
    "VerifiedFile",
    "decrypt_file",
    "encrypt_file",
    "parse_device_config",
    "sign_file",
    "verify_file",
]
