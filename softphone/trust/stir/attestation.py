"""Attestation: a carrier's statement about a caller, or why none was verified."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AttestationLevel(StrEnum):
    """How well the carrier knows the caller (RFC 8588 section 4)."""

    FULL = "A"
    """It knows the customer, and that the customer may use the number."""
    PARTIAL = "B"
    """It knows the customer, but not whether the customer may use the number."""
    GATEWAY = "C"
    """It received the call from another network, and knows neither (gateway attestation)."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """The outcome of verifying a call's Identity header fields.

    `level` is None when nothing was verified, and `reason` then says why; else `reason` is "".
    `number` is the caller's, digits without "+".  `authorities` are the carriers and numbers that
    the signer's certificate covers: "SPC 1234" (a carrier's code), "15550101003" or "15550101000
    +100" (so many numbers from there on); `signer` is the subject of that certificate, `origin_id`
    the carrier's own identifier of where the call came from.  None of it is proof of who speaks.
    """

    level: AttestationLevel | None = None
    reason: str = ""
    number: str = ""
    origin_id: str = ""
    authorities: tuple[str, ...] = ()
    signer: str = ""
