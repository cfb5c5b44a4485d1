"""When a device's certificate has to be renewed, and whether its configuration is out of date.

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
    """A certificate is renewed `ahead` of its end, a short-lived one in its last third.

    While that has not worked it is tried again after `again`, more often close to the end.
    """

    ahead: timedelta = timedelta(days=30)
    again: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CertificateExpiry:
    """When the certificate ends, whether a new one is due, and when to look again."""

    ends: datetime
    due: bool
    pause: timedelta


def certificate_expiry(
    identity: Identity, times: RenewalTimes, *, wall: datetime
) -> CertificateExpiry:
    """How it stands with a certificate at this time of day (aware)."""
    certificate = identity.certificate
    ends = certificate.not_valid_after_utc
    ahead = min(times.ahead, (ends - certificate.not_valid_before_utc) / 3)
    left = ends - wall
    if left > ahead:
        return CertificateExpiry(ends, False, min(left - ahead, times.again))
    return CertificateExpiry(ends, True, min(times.again, max(left / 10, timedelta(minutes=1))))


def is_configuration_stale(stamps: Sequence[tuple[str, str]], known: str) -> bool:
    """Whether the stamps that a server names say that a configuration has changed.

    Zeros alone mean that it is stale in any case; a server that names no stamp says nothing.
    """
    named = dict(stamps).get(_CONFIG_STAMP)
    if named is None:
        return False
    return not named.strip("{}-0") or named.strip("{}") != known.strip("{} ")
