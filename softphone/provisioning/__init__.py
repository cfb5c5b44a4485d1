"""Provisioning of a Cisco device: the boot, from a device name to a verified configuration.

A boot fetches trust lists and signed configuration files, enrolls the device with CAPF where
needed, and stores each result.  `softphone.phone` and `softphone.device` register afterwards.
Trust lists, CAPF and TVS are in `softphone.trust`, HTTP is in `softphone.net`, CUCM's side in
`softphone.lab`.  `softphone.config` reads account files in TOML.

No standard: `.cnf.xml` files and their signed and encrypted forms (`.sgn`, `.enc.sgn`) are Cisco's.
Files come by TFTP (RFC 1350, in `softphone.provisioning.tftp`), HTTP or HTTPS.
"""

from __future__ import annotations

from softphone.provisioning.boot import Booted, BootPlan, boot_device
from softphone.provisioning.boot_step import BootStep, OnBootStep, StepKind
from softphone.provisioning.capf_enrollment import (
    CAPF_PORT,
    Enrollment,
    EnrollmentPlan,
    capf_settings,
    enroll,
)
from softphone.provisioning.config_document import (
    ConfigDocument,
    decrypted,
    is_signed,
    last_accepted,
    open_plain,
)
from softphone.provisioning.config_store import ConfigStore
from softphone.provisioning.device_config import (
    CallManager,
    CapfEndpoint,
    DeviceConfig,
    DeviceLine,
    MediaSettings,
    SipTimers,
    TvsEndpoint,
    parse_device_config,
)
from softphone.provisioning.enrollment_decision import (
    AuthenticationStringNeeded,
    EnrollmentNeeded,
    certificate_hash,
)
from softphone.provisioning.fetch_error import FetchError, FileMissing
from softphone.provisioning.file_client import (
    FileClient,
    FileServerAddress,
    HttpFiles,
    TftpFiles,
    file_client_for,
    parse_file_servers,
)
from softphone.provisioning.file_name import check_device, plain_name, sealed_name, signed_name
from softphone.provisioning.listed_tls_settings import HttpsTrust, listed_settings
from softphone.provisioning.signed_file import (
    FileRecipient,
    LastAccepted,
    SignedFilePolicy,
    VerifiedFile,
    decrypt_file,
    encrypt_file,
    sign_file,
    verify_file,
)
from softphone.provisioning.unenrolled_config import fetch_unenrolled_config

__all__ = [
    "CAPF_PORT",
    "AuthenticationStringNeeded",
    "BootPlan",
    "BootStep",
    "Booted",
    "CallManager",
    "CapfEndpoint",
    "ConfigDocument",
    "ConfigStore",
    "DeviceConfig",
    "DeviceLine",
    "Enrollment",
    "EnrollmentNeeded",
    "EnrollmentPlan",
    "FetchError",
    "FileClient",
    "FileMissing",
    "FileRecipient",
    "FileServerAddress",
    "HttpFiles",
    "HttpsTrust",
    "LastAccepted",
    "MediaSettings",
    "OnBootStep",
    "SignedFilePolicy",
    "SipTimers",
    "StepKind",
    "TftpFiles",
    "TvsEndpoint",
    "VerifiedFile",
    "boot_device",
    "capf_settings",
    "certificate_hash",
    "check_device",
    "decrypt_file",
    "decrypted",
    "encrypt_file",
    "enroll",
    "fetch_unenrolled_config",
    "file_client_for",
    "is_signed",
    "last_accepted",
    "listed_settings",
    "open_plain",
    "parse_device_config",
    "parse_file_servers",
    "plain_name",
    "sealed_name",
    "sign_file",
    "signed_name",
    "verify_file",
]
