"""Fuzz targets of signed numbers: a value or a refusal in words, and nothing else."""

from __future__ import annotations

from contextlib import suppress

from softphone.trust.stir import InvalidPassport, load_path, parse_authority_list, parse_identity
from tests.support.stir import authority_list, identity, one, span, spc

IDENTITY = identity(None, issued=1_764_260_000).encode()
LIST = authority_list(spc("1234"), one("15550101003"), span("15550102000", 300))


def check_identity(data: bytes) -> None:
    """One Identity header field; what is read has an https: address and numbers."""
    try:
        found = parse_identity(data.decode("latin-1"))
    except InvalidPassport:
        return
    assert found.url.lower().startswith("https://")
    assert found.url.isprintable()
    assert found.origin.isascii()
    assert 0 < len(found.destinations) <= 32
    assert len(found.signature) == 64


def check_list(data: bytes) -> None:
    """One TNAuthList; what is read is told in printable words."""
    try:
        found = parse_authority_list(data)
    except InvalidPassport:
        return
    assert all(str(each).isprintable() for each in found)
    assert all(each.covers("15550101003") in (True, False) for each in found)


def check_path(data: bytes) -> None:
    """What an address gave in place of certificates."""
    with suppress(InvalidPassport):
        assert load_path(data)
