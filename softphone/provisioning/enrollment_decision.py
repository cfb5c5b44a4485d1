"""Decides whether a device must enroll with CAPF, from its configuration and its certificate.

A pure function with the rules that phones follow.  `capf_enrollment` enrolls; `boot` calls both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum

from softphone.errors import SoftphoneError
from softphone.provisioning.device_config import DeviceConfig


class EnrollmentNeeded(SoftphoneError):
    """The device must enroll, but something is missing; the message says what and who has it."""

    _hint = "get what the message asks for from the administrator, and boot again"


class AuthenticationStringNeeded(EnrollmentNeeded):
    """The device must enroll with the authentication string that its administrator has set."""

    _hint = "get the string from the administrator, and boot again with it"


class EnrollmentAction(Enum):
    """The next step of the boot."""

    USE = "use"
    """Use this configuration."""
    FETCH_SEALED = "fetch_sealed"
    """Fetch the encrypted configuration."""
    ENROLL = "enroll"
    """Enroll, then fetch everything again."""
    ASK = "ask"
    """Ask a person for the authentication string, and stop."""


@dataclass(frozen=True, slots=True)
class EnrollmentSituation:
    """The device's state, beside its configuration.

    `local_hash` is the MD5 of the device's certificate, "" without one, None when MD5 is not
    available; `string` says whether an authentication string was given; `enrolled` whether this
    boot has enrolled already; `sealed_failed` whether decrypting the encrypted file failed.
    """

    local_hash: str | None = ""
    string: bool = False
    enrolled: bool = False
    sealed_failed: bool = False


@dataclass(frozen=True, slots=True)
class EnrollmentDecision:
    """The next step, and the reason as a sentence."""

    action: EnrollmentAction
    why: str


def certificate_hash(der: bytes) -> str | None:
    """The MD5 of a certificate in hex, as configurations hold it; None without MD5 (FIPS).

    It identifies a certificate and has no security function.
    """
    try:
        return hashlib.md5(der, usedforsecurity=False).hexdigest()
    except ValueError:
        return None


def decide_enrollment(config: DeviceConfig, situation: EnrollmentSituation) -> EnrollmentDecision:
    """Decide what to do with a configuration, full or stub."""
    named = situation.local_hash is None or (
        bool(situation.local_hash) and situation.local_hash == config.certificate_hash
    )
    if situation.enrolled:
        # The pending operation is done; a server that still announces it is behind.
        return _without_operation(config, named=True)
    if config.capf_auth_mode == 1 and not situation.string:
        return _without_string(config, named=named)
    if config.capf_auth_mode != 0:
        return EnrollmentDecision(
            EnrollmentAction.ENROLL, "the configuration has the device enroll"
        )
    if situation.sealed_failed:
        return EnrollmentDecision(
            EnrollmentAction.ENROLL, "the encrypted configuration did not open with our key"
        )
    return _without_operation(config, named=named)


def _without_operation(config: DeviceConfig, *, named: bool) -> EnrollmentDecision:
    if config.full and not config.encrypted:
        return EnrollmentDecision(EnrollmentAction.USE, "the configuration is whole")
    if not named:
        return EnrollmentDecision(
            EnrollmentAction.ENROLL, "the server expects another certificate than the device has"
        )
    if not config.full:
        return EnrollmentDecision(
            EnrollmentAction.FETCH_SEALED, "the configuration is in the encrypted file"
        )
    return EnrollmentDecision(EnrollmentAction.USE, "the configuration is whole")


def _without_string(config: DeviceConfig, *, named: bool) -> EnrollmentDecision:
    """Decide when an operation by authentication string is pending and no string was given.

    A device with the certificate that the server expects continues, and so does one that needs no
    certificate.
    """
    if named and not config.full:
        return EnrollmentDecision(
            EnrollmentAction.FETCH_SEALED, "an enrollment waits for its authentication string"
        )
    if config.full and (named or not config.tls_required):
        return EnrollmentDecision(
            EnrollmentAction.USE, "an enrollment waits for its authentication string"
        )
    return EnrollmentDecision(
        EnrollmentAction.ASK,
        "the device has to enroll with the authentication string that its administrator has set",
    )
