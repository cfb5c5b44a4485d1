"""How a device comes to its configuration: signed files, what they say."""

from __future__ import annotations

from softphone.provisioning.boot import Booted, BootPlan, boot_device
from softphone.provisioning.boot_step import BootStep, StepKind
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
from softphone.provisioning.file_server import (
    FileServer,
    HttpFiles,
    ServerPlace,
    TftpFiles,
    server_places,
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
    "BootPlan",
    "BootStep",
    "Booted",
    "CallManager",
    "CapfServer",
    "DeviceConfig",
    "Enrollment",
    "EnrollmentPlan",
    "FileServer",
    "HttpFiles",
    "LastAccepted",
    "Line",
    "MediaSettings",
    "Recipient",
    "ServerPlace",
    "SignedFilePolicy",
    "SipTimers",
    "StepKind",
    "TftpFiles",
    "TvsServer",
    "VerifiedFile",
    "boot_device",
    "capf_settings",
    "decrypt_file",
    "encrypt_file",
    "enroll",
    "parse_device_config",
    "server_places",
    "sign_file",
    "verify_file",
]
