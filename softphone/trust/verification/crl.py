"""Reads long CRLs (RFC 5280 section 5) without making objects for each entry.

The library that judges a CRL makes several objects of every entry, which takes seconds, and pauses
of the garbage collector, for a list of megabytes.  This module finds the few entries about one
certificate by their octets.  The signed octets stay as received.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

_CERTIFICATE_ISSUER = b"\x06\x03\x55\x1d\x1d"
"""certificateIssuer (2.5.29.29) in DER: it sets the issuer of the entries that follow it."""
_SEQUENCE = 0x30


def crl_next_update(data: bytes) -> datetime | None:
    """The nextUpdate of a CRL (DER), in UTC; None when it is absent or cannot be read."""
    from asn1crypto import crl  # type: ignore[import-untyped]

    try:
        found = crl.CertificateList.load(data)["tbs_cert_list"]["next_update"].native
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None  # the bytes may be forged, and the library raises all of these for some
    # RFC 5280 section 5.1.2.5: in Greenwich time, with a Z.  Without one it is local, somewhere.
    return found if isinstance(found, datetime) and found.tzinfo is not None else None


def crl_about(data: bytes, serial: bytes) -> Any:
    """Parse a CRL (DER) into asn1crypto's type, with only the entries about one certificate.

    `serial` is its serial number, an INTEGER in DER.  `tbs_cert_list` still dumps the octets as
    received.  A CRL with a certificateIssuer extension is returned whole.  Time is linear in the
    list's length, the number of objects constant.  Raises ValueError for bytes that are no CRL.
    """
    from asn1crypto import crl

    found = crl.CertificateList.load(data)
    signed = found["tbs_cert_list"]
    entries = signed["revoked_certificates"]
    if not isinstance(entries, crl.RevokedCertificates) or _CERTIFICATE_ISSUER in entries.contents:
        return found
    # Most lists do not hold the number at all; then no entry is parsed.
    there = serial in entries.contents
    kept = b"".join(_entries_of(entries.contents, serial)) if there else b""
    # Replacing the parsed child, not the field, leaves the signed octets as they are.
    place = next(n for n, each in enumerate(signed.children) if each is entries)
    signed.children[place] = crl.RevokedCertificates(contents=kept)
    return found


def _entries_of(contents: bytes, serial: bytes) -> Iterator[bytes]:
    """Yield the entries of a serial number; an entry is a SEQUENCE that begins with it."""
    at, end = 0, len(contents)
    while at < end:
        start, after = _extent(contents, at, end)
        if contents.startswith(serial, start):
            yield contents[at:after]
        at = after


def _extent(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Start and end of the contents of the SEQUENCE at `at`.  Raises ValueError."""
    if end - at < 2 or data[at] != _SEQUENCE:
        raise ValueError("an entry of the CRL is no SEQUENCE")
    start, length = at + 2, data[at + 1]
    if length >= 0x80:
        start += length - 0x80
        length = int.from_bytes(data[at + 2 : start], "big")
    if start + length > end:
        raise ValueError("an entry of the CRL is longer than the list")
    return start, start + length
