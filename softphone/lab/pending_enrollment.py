"""Pending CAPF operations of devices, as an administrator writes them: "CSFALICE=lsc".

Several orders for one device form a queue: the next becomes pending once the one before has issued
a certificate.  The device chooses the certificate that it shows, as with CUCM: an order for the LSC
also accepts the MIC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial

_ORDER = re.compile(r"(?P<device>[A-Za-z0-9._-]{1,32})=(?P<way>[a-z-]+)(?::(?P<string>[0-9]+))?")


class CapfAuthMode(StrEnum):
    """How a device must authenticate to enroll, in the command line's words."""

    STRING = "string"
    NULL_STRING = "null-string"
    LSC = "lsc"
    MIC = "mic"


@dataclass(frozen=True, slots=True)
class PendingEnrollment:
    """A certificate installation pending for a device; without a `string` one is generated."""

    device: str
    mode: CapfAuthMode = CapfAuthMode.STRING
    string: KeyMaterial | None = field(default=None, repr=False)


def parse_pending_enrollment(text: str) -> PendingEnrollment:
    """Read "DEVICE=string", "DEVICE=string:N", "=null-string", "=lsc" or "=mic".

    Raises ConfigurationError.
    """
    match = _ORDER.fullmatch(text)
    way = match["way"] if match else ""
    string = match["string"] if match else None
    if match is None or way not in tuple(CapfAuthMode) or (string and way != CapfAuthMode.STRING):
        # The text after the device may be, or contain, a secret: do not repeat it.
        raise ConfigurationError(
            f"--capf {text.partition('=')[0]}: expected DEVICE=string, DEVICE=string:N,"
            " DEVICE=null-string, DEVICE=lsc or DEVICE=mic"
        )
    if string is not None and not 4 <= len(string) <= 10:
        raise ConfigurationError(
            f"--capf {match['device']}: a string has 4 to 10 digits, as CUCM's"
        )
    return PendingEnrollment(
        match["device"], CapfAuthMode(way), None if string is None else KeyMaterial(string.encode())
    )
