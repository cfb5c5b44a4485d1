"""Challenges and credentials as header field values (RFC 3261 sections 20.7 and 20.44).

RFC 7616 has Digest, RFC 8898 Bearer.  Nothing is computed here: see
`softphone.sip.auth.digest_client`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from softphone.sip.message.grammar import (
    QUOTED_STRING,
    TOKEN,
    MalformedMessage,
    is_token,
    quote,
    split_commas,
    unquote,
)

__all__ = ["AuthValue"]

_AUTH_PARAMETER = re.compile(rf"({TOKEN})[ \t]*+=[ \t]*+({QUOTED_STRING}|[^\s\",]++)")
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]++=*+")
# Parameters of challenges and credentials that are tokens; qop is one in credentials only
# (RFC 7616 sections 3.3 and 3.4).
_UNQUOTED = frozenset({"algorithm", "stale", "nc", "userhash", "charset", "username*"})


@dataclass(frozen=True, slots=True)
class AuthValue:
    """A challenge or credentials (RFC 3261 sections 20.7, 20.44; RFC 7616; RFC 8898 for Bearer).

    `parameters` are name and plain value, quotes removed; `token68` is what stands in their place
    for Bearer.  Neither shows in the repr.
    """

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()
    token68: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one challenge, credentials, or (with no scheme, see `parse_info`) neither."""
        scheme, _, rest = text.strip(" \t").partition(" ")
        rest = rest.strip(" \t")
        if not is_token(scheme):
            raise MalformedMessage("Malformed authentication scheme")
        if _TOKEN68.fullmatch(rest):
            return cls(scheme, (), rest)
        return cls(scheme, _parse_auth_parameters(rest) if rest else ())

    @classmethod
    def parse_info(cls, text: str) -> Self:
        """Parse an Authentication-Info value (RFC 7616 section 3.5): `scheme` is empty."""
        return cls("", _parse_auth_parameters(text))

    def __str__(self) -> str:
        if self.token68:
            return f"{self.scheme} {self.token68}"
        credentials = self.parameter("response") is not None or not self.scheme
        written = ", ".join(
            f"{name}={value}"
            if is_token(value)
            and (name.lower() in _UNQUOTED or (name.lower() == "qop" and credentials))
            else f"{name}={quote(value)}"
            for name, value in self.parameters
        )
        return f"{self.scheme} {written}".strip()

    def __repr__(self) -> str:
        return f"AuthValue({self.scheme!r}, {', '.join(name for name, _ in self.parameters)})"

    def parameter(self, name: str) -> str | None:
        """The value of a parameter, or None."""
        lowered = name.lower()
        for key, value in self.parameters:
            if key.lower() == lowered:
                return value
        return None


def _parse_auth_parameters(text: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, tuple[str, str]] = {}
    for item in split_commas(text):
        # Empty elements are allowed by RFC 7235 section 7 and are seen at the end of challenges.
        if not item:
            continue
        match = _AUTH_PARAMETER.fullmatch(item)
        if match is None:
            raise MalformedMessage("Malformed authentication parameter")
        if match[1].lower() in found:
            raise MalformedMessage("Authentication parameter given twice")
        found[match[1].lower()] = (match[1], unquote(match[2]))
    return tuple(found.values())
