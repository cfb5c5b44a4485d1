"""Reads the fields of a request's JSON object: typed, bounded, and no other than are expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softphone.errors import CertificateUnknown, SoftphoneError
from softphone.web import BadRequest

MOST_NUMBER = 10**9


def check_names(given: Mapping[str, Any], *names: str) -> None:
    """Raises BadRequest for a field that is not one of `names`."""
    if not given.keys() <= set(names):
        raise BadRequest("there is a field that nobody expects")


def text_field(given: Mapping[str, Any], name: str, *, most: int) -> str:
    """Return a text of 1 to `most` characters, without space around it.  Raises BadRequest."""
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"{name}: expected a text")
    if len(value) > most:
        raise BadRequest(f"{name}: {most} characters at most")
    return value.strip()


def number_field(given: Mapping[str, Any], name: str) -> int:
    """Return a whole number from 0.  Raises BadRequest."""
    value = given.get(name)
    # A bool is an int in Python.
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MOST_NUMBER:
        raise BadRequest(f"{name}: expected a number")
    return value


def flag_field(given: Mapping[str, Any], name: str) -> bool:
    """Return True or False.  Raises BadRequest."""
    value = given.get(name)
    if not isinstance(value, bool):
        raise BadRequest(f"{name}: expected true or false")
    return value


def advice(error: SoftphoneError) -> str:
    """Return what a person may do about an error; "" where there is nothing to say."""
    if isinstance(error, CertificateUnknown):
        # The error's own hint is for programs: it names a parameter.
        return (
            "put the certificate of the authority that issued it into tls.ca of the account file,"
            " or try again and, if its SHA-256 is right, trust it on this page"
        )
    return error.hint


def sentence(error: SoftphoneError) -> str:
    """Return what went wrong and what to do about it, for a person."""
    hint = advice(error)
    return f"{error}\n{hint}" if hint else str(error)
