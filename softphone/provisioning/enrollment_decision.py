"""Whether a device has to enroll with CAPF, by what its configuration and its certificate say.

A pure function: the table that phones go by.  How it enrolls is in `capf_enrollment`, in which
order all of it happens in `boot`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum

from softphone.errors import SoftphoneError
from softphone.provisioning.device_config import DeviceConfig


class EnrollmentNeeded(SoftphoneError):
    """The device has to enroll, and something for it is missing: what, and who can give it."""


class EnrollmentAction(Enum):
    """What comes next."""

    USE = "use"
    """Work with this configuration."""
    FETCH_SEALED = "fetch_sealed"
    """Fetch the encrypted one."""
    ENROLL = "enroll"
    """Enroll, then fetch everything again."""
    ASK = "ask"
    """Ask a person for the authentication string, and stop."""


@dataclass(frozen=True, slots=True)
class EnrollmentSituation:
    """What is known beside the configuration.

    `local_hash` is the MD5 of the device's certificate, "" without one, None when MD5 is not
    available; `string` says whether an authentication string was given; `enrolled` whether this
    boot has enrolled already; `sealed_failed` whether the encrypted file did not open.
    """

    local_hash: str | None = ""
    string: bool = False
    enrolled: bool = False
    sealed_failed: bool = False


@dataclass(frozen=True, slots=True)
class EnrollmentDecision:
    """What comes next, and why, in a sentence."""

    action: EnrollmentAction
    why: str


def certificate_hash(der: bytes) -> str | None:
    """The MD5 of a certificate as configurations name it; None where MD5 is not available.

    It tells certificates apart, and protects nothing.
    """
    try:
        return hashlib.md5(der, usedforsecurity=False).hexdigest()
    except ValueError:
        return None


def decide_enrollment(config: DeviceConfig, situation: EnrollmentSituation) -> EnrollmentDecision:
    """What a phone does with a configuration, whole or stub."""
    named = situation.local_hash is None or (
        bool(situation.local_hash) and situation.local_hash == config.certificate_hash
    )
    if situation.enrolled:
        # What was pending is done: a server that still says so has not caught up.
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
    """An operation by string is pending, and nobody has typed one.

    A device whose certificate is the one that the server knows goes on with it; so does one that
    needs none.
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
