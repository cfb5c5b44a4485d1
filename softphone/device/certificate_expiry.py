"""Decides when a device's certificate is due for renewal, and whether its configuration is stale.

Pure functions, for `softphone.device.maintenance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from softphone.trust.keystore.identity import Identity

_CONFIG_STAMP = "configversionstamp"


@dataclass(frozen=True, slots=True)
class RenewalTimes:
    """When to renew: `ahead` of the expiry, or in the last third of a short-lived certificate.

    A failed renewal is retried after `again`, more often close to the expiry.
    """

    ahead: timedelta = timedelta(days=30)
    again: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CertificateExpiry:
    """When the certificate expires, whether renewal is due, and how long to wait before a check."""

    ends: datetime
    due: bool
    pause: timedelta


def certificate_expiry(
    identity: Identity, times: RenewalTimes, *, wall: datetime
) -> CertificateExpiry:
    """Judge a certificate at `wall`, an aware datetime."""
    certificate = identity.certificate
    ends = certificate.not_valid_after_utc
    ahead = min(times.ahead, (ends - certificate.not_valid_before_utc) / 3)
    left = ends - wall
    if left > ahead:
        return CertificateExpiry(ends, False, min(left - ahead, times.again))
    return CertificateExpiry(ends, True, min(times.again, max(left / 10, timedelta(minutes=1))))


def is_configuration_stale(stamps: Sequence[tuple[str, str]], known: str) -> bool:
    """Whether the server's version stamps show that the configuration has changed.

    A stamp of zeros means that it is stale in any case; without a stamp it counts as current.
    """
    named = dict(stamps).get(_CONFIG_STAMP)
    if named is None:
        return False
    return not named.strip("{}-0") or named.strip("{}") != known.strip("{} ")
