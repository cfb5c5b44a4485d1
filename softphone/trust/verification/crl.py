"""Long CRLs (RFC 5280 section 5), read without an object for each of their entries.

The library that judges a CRL makes some objects of every entry: seconds, and pauses of the garbage
collector, for a list of megabytes.  What is about one certificate is a handful of entries, found
here by their octets; the rest of the list, and what is signed, stays as it came.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

_CERTIFICATE_ISSUER = b"\x06\x03\x55\x1d\x1d"
"""The object identifier 2.5.29.29 in DER: such an entry says whose those after it are."""
_SEQUENCE = 0x30


def crl_next_update(data: bytes) -> datetime | None:
    """Until when a CRL (DER) may be kept (UTC); None when it says nothing or cannot be read."""
    from asn1crypto import crl  # type: ignore[import-untyped]

    try:
        found = crl.CertificateList.load(data)["tbs_cert_list"]["next_update"].native
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None  # somebody on the way may have made it, and the library stumbles over some
    return found if isinstance(found, datetime) else None


def crl_about(data: bytes, serial: bytes) -> Any:
    """A CRL (DER) as asn1crypto has it, with only those entries that decide about a certificate.

    `serial` is its serial number, an INTEGER in DER.  The CRL's `tbs_cert_list` is dumped as it
    came.  Linear in the list's length, and the same number of objects whatever that is.  Raises
    ValueError for what is no CRL.
    """
    from asn1crypto import crl

    found = crl.CertificateList.load(data)
    signed = found["tbs_cert_list"]
    entries = signed["revoked_certificates"]
    if not isinstance(entries, crl.RevokedCertificates) or _CERTIFICATE_ISSUER in entries.contents:
        return found
    # Most lists do not have the number at all, and then no entry is looked at.
    there = serial in entries.contents
    kept = b"".join(_entries_of(entries.contents, serial)) if there else b""
    # Put beside the parsed fields and not through them: the octets that are signed stay.
    place = next(n for n, each in enumerate(signed.children) if each is entries)
    signed.children[place] = crl.RevokedCertificates(contents=kept)
    return found


def _entries_of(contents: bytes, serial: bytes) -> Iterator[bytes]:
    """The entries of a serial number; each is a SEQUENCE, and begins with its number."""
    at, end = 0, len(contents)
    while at < end:
        start, after = _extent(contents, at, end)
        if contents.startswith(serial, start):
            yield contents[at:after]
        at = after


def _extent(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the contents of the SEQUENCE at `at` begin and end.  Raises ValueError."""
    if end - at < 2 or data[at] != _SEQUENCE:
        raise ValueError("an entry of the CRL is no SEQUENCE")
    start, length = at + 2, data[at + 1]
    if length >= 0x80:
        start += length - 0x80
        length = int.from_bytes(data[at + 2 : start], "big")
    if start + length > end:
        raise ValueError("an entry of the CRL is longer than the list")
    return start, start + length
