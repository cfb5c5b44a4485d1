"""PASSporT: the token of an Identity header field, read within bounds.

RFC 8224, RFC 8225, RFC 8588.  Only the full form with ES256 is read.  Nothing here is verified.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from softphone.sip import AbsoluteUri, SipUri, Uri
from softphone.sip.message import unescape
from softphone.trust.stir.attestation import AttestationLevel

LONGEST_IDENTITY = 8192
"""The most characters of an Identity header field that is read."""
LONGEST_URL = 1024
MOST_DESTINATIONS = 32
SHAKEN = "shaken"

_TOKEN = re.compile(r"([A-Za-z0-9_-]*+)\.([A-Za-z0-9_-]*+)\.([A-Za-z0-9_-]++)")
_INFO = re.compile(r';[ \t]*+info[ \t]*+=[ \t]*+<([^<>"\s]++)>', re.I)
_SEPARATORS = str.maketrans("", "", "-.() ")
_NUMBER = re.compile(r"[0-9*#]{1,32}")
_ORIGIN_ID = re.compile(r"[0-9A-Za-z._:-]{1,128}")
_ES256_OCTETS = 64


class InvalidPassport(Exception):
    """An Identity header field that cannot be used; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Passport:
    """The claims of one PASSporT, and what is needed to verify them.

    `url` is that of the certificate; `issued` is in seconds since 1970; `level` and `origin_id` are
    those of SHAKEN.  Numbers are canonical: digits, "*" and "#" only.
    """

    url: str
    issued: int
    origin: str
    destinations: tuple[str, ...]
    level: AttestationLevel
    origin_id: str
    signed: bytes = field(repr=False)
    """The octets that are signed."""
    signature: bytes = field(repr=False)
    """R and S, 32 octets each (RFC 7518 section 3.4)."""


def parse_identity(value: str) -> Passport:
    """Read the value of an Identity header field.  Raises InvalidPassport."""
    if len(value) > LONGEST_IDENTITY or not value.isascii():
        _refuse(f"it is no ASCII of at most {LONGEST_IDENTITY} characters")
    token, _, parameters = value.partition(";")
    match = _TOKEN.fullmatch(token.strip())
    if match is None:
        # RFC 4474's header field of the same name, which Expressways send, ends here.
        _refuse("it is no PASSporT")
    if not match[1] or not match[2]:
        _refuse("it is in the compact form, which has no attestation")
    header, claims = _json_of(match[1], "header"), _json_of(match[2], "claims")
    url = _check_header(header, f";{parameters}")
    return Passport(
        url=url,
        issued=_issued(claims),
        origin=_origin(claims),
        destinations=_destinations(claims),
        level=_level(claims),
        origin_id=_origin_id(claims),
        signed=f"{match[1]}.{match[2]}".encode(),
        signature=_signature(match[3]),
    )


def canonical_number(text: str) -> str | None:
    """Return a telephone number in the canonical form of a PASSporT; None for other text.

    RFC 8224 section 8.3: without "+" and visual separators.
    """
    digits = text.translate(_SEPARATORS).removeprefix("+")
    return digits if _NUMBER.fullmatch(digits) else None


def number_of(uri: Uri) -> str | None:
    """Return the canonical number of a tel: or SIP URI; None without one, and for a local one."""
    if isinstance(uri, AbsoluteUri) and uri.scheme == "tel":
        text = uri.rest
    elif isinstance(uri, SipUri) and uri.user is not None:
        text = unescape(uri.user).decode("ascii", "replace")
    else:
        return None
    number, *parameters = text.split(";")
    if any(each.lower().startswith("phone-context") for each in parameters):
        return None
    return canonical_number(number)


def _refuse(why: str) -> NoReturn:
    raise InvalidPassport(why)


def _octets_of(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        _refuse("its base64url cannot be read")


def _json_of(text: str, what: str) -> dict[str, Any]:
    """Read a JSON object without repeated keys, which readers would understand differently."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        read = dict(pairs)
        if len(read) != len(pairs):
            raise ValueError("a key is repeated")
        return read

    try:
        read = json.loads(_octets_of(text).decode(), object_pairs_hook=once)
    except (ValueError, RecursionError):
        _refuse(f"the JSON of its {what} cannot be read")
    if not isinstance(read, dict):
        _refuse(f"its {what} is no JSON object")
    return read


def _check_header(header: dict[str, Any], parameters: str) -> str:
    """Check the header against the parameters of the field; return the certificate's URL."""
    info = _INFO.search(parameters)
    rest = _INFO.sub("", parameters)
    given = (item.partition("=") for item in rest.split(";"))
    named = {name.strip().lower(): value.strip().strip('"') for name, _, value in given}
    if header.get("typ") != "passport":
        _refuse("its type is not 'passport'")
    if header.get("alg") != "ES256" or named.get("alg", "ES256") != "ES256":
        _refuse("it is not signed by ES256")
    kind = header.get("ppt")
    if kind != SHAKEN:
        _refuse("it is of another kind than 'shaken'")
    if named.get("ppt", SHAKEN) != SHAKEN:
        _refuse("its header field calls it another kind than 'shaken'")
    if "crit" in header:
        _refuse("it demands an extension that is not known here")
    url = header.get("x5u")
    if not isinstance(url, str) or info is None or url != info[1] or len(url) > LONGEST_URL:
        _refuse("header field and token name no one certificate")
    if not url.isprintable() or not url.lower().startswith("https://"):
        _refuse("its certificate is not at an https: address")
    if "?" in url or "#" in url:
        # ATIS-1000074 section 5.3.1: each query would be another address to fetch from.
        _refuse("the address of its certificate has a query")
    return url


def _issued(claims: dict[str, Any]) -> int:
    issued = claims.get("iat")
    if type(issued) is not int or not 0 < issued < 1 << 53:
        _refuse("it does not say when it was issued")
    return issued


def _number_claim(value: Any) -> str | None:
    return canonical_number(value) if isinstance(value, str) else None


def _origin(claims: dict[str, Any]) -> str:
    origin = claims.get("orig")
    number = _number_claim(origin.get("tn")) if isinstance(origin, dict) else None
    if number is None:
        _refuse("it names no number of the caller")
    return number


def _destinations(claims: dict[str, Any]) -> tuple[str, ...]:
    named = claims.get("dest")
    listed = named.get("tn") if isinstance(named, dict) else None
    listed = [listed] if isinstance(listed, str) else listed
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_DESTINATIONS:
        _refuse("it names no number that is called")
    numbers = tuple(number for each in listed if (number := _number_claim(each)) is not None)
    if not numbers:
        _refuse("it names no number that is called")
    return numbers


def _level(claims: dict[str, Any]) -> AttestationLevel:
    try:
        return AttestationLevel(str(claims.get("attest")))
    except ValueError:
        _refuse("its attestation is neither A, B nor C")


def _origin_id(claims: dict[str, Any]) -> str:
    origin_id = claims.get("origid")
    if not isinstance(origin_id, str) or not _ORIGIN_ID.fullmatch(origin_id):
        _refuse("it has no origination identifier")
    return origin_id


def _signature(text: str) -> bytes:
    signature = _octets_of(text)
    if len(signature) != _ES256_OCTETS:
        _refuse("its signature is not one of ES256")
    return signature
