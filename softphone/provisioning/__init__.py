"""How a device comes to its configuration: signed files, what they say."""

from __future__ import annotations

from softphone.provisioning.client import Enrollment, EnrollmentPlan, capf_settings, enroll
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
    "Enrollment",
    "EnrollmentPlan",
    "LastAccepted",
    "Line",
    "MediaSettings",
    "Recipient",
    "SignedFilePolicy",
    "SipTimers",
    "TvsServer",
    "VerifiedFile",
    "capf_settings",
    "decrypt_file",
    "encrypt_file",
    "enroll",
    "parse_device_config",
    "sign_file",
    "verify_file",
]
