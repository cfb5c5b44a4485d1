"""The cookie by which an edge server knows a user who has signed in (RFC 6265).

It counts only if its domain covers the edge that gave it, and its end is told and still to come.
Its value is in no repr and no exception.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from softphone.discovery.records import is_host_name, is_within
from softphone.errors import EdgeError
from softphone.security import KeyMaterial

TICKET_NAME = "X-Auth"
LONGEST_LIFE = 86_400.0
"""The most seconds for which a ticket is used before it is renewed."""
_LONGEST = 4096
_LONGEST_DATE = 64
_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{1,2048}")
_SECONDS = re.compile(r"[0-9]{1,9}")


class NoTicket(EdgeError):
    """The answer of an edge server has no ticket that can be used."""

    _hint = "compare the name of the edge's SRV record with the name that the edge calls itself"


@dataclass(frozen=True, slots=True)
class EdgeTicket:
    """A ticket: the cookie's value, the domain that it goes to, and the seconds that it lasts.

    `host_only`: it goes to the host `domain` alone, since the cookie named no domain.
    """

    value: KeyMaterial
    domain: str
    life: float
    host_only: bool = False

    def fits(self, host: str) -> bool:
        """Whether the ticket may be sent to a host (RFC 6265 section 5.4)."""
        host = host.lower().rstrip(".")
        return host == self.domain if self.host_only else is_within(host, self.domain)

    @property
    def header(self) -> tuple[str, str]:
        """The Cookie header field."""
        return "Cookie", f"{TICKET_NAME}={self.value.reveal().decode('ascii')}"


def read_ticket(
    cookies: Sequence[str], host: str, *, wall: float, date: str | None = None
) -> EdgeTicket:
    """Read the ticket of a response's Set-Cookie values, as `host` sent them.

    `wall` is our time in seconds since 1970; `date` is the response's Date, by which the end of the
    cookie is compared, so that a clock that is wrong does no harm.  Raises NoTicket.
    """
    for text in cookies:
        pair, *rest = text[:_LONGEST].split(";")
        name, _, value = pair.partition("=")
        if name.strip() == TICKET_NAME:
            return _read(value.strip().strip('"'), rest, host, _server_time(date, wall))
    raise NoTicket(f"{host} answered without a cookie {TICKET_NAME}")


def _server_time(date: str | None, wall: float) -> float:
    stated = None if date is None else _time_of(date)
    return wall if stated is None else stated


def _time_of(date: str) -> float | None:
    """Return an HTTP date in seconds since 1970; None for what is none."""
    try:
        stated = parsedate_to_datetime(date[:_LONGEST_DATE])
        return (stated if stated.tzinfo is not None else stated.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _read(value: str, rest: Sequence[str], host: str, now: float) -> EdgeTicket:
    attributes: dict[str, str] = {}
    for each in rest:
        key, _, text = each.partition("=")
        attributes[key.strip().lower()] = text.strip()
    if _VALUE.fullmatch(value) is None:
        raise NoTicket(f"{host} sent a cookie {TICKET_NAME} that is no cookie")
    named = attributes.get("domain", "").lower().lstrip(".").rstrip(".")
    if named and ("." not in named or not is_host_name(named) or not is_within(host, named)):
        raise NoTicket(f"{host} sent a cookie {TICKET_NAME} for another domain than its own")
    life = _life(attributes, now)
    if life is None or life <= 0:
        raise NoTicket(f"the end of the cookie of {host} is not told, or over")
    domain = named or host.lower()
    return EdgeTicket(
        KeyMaterial(value.encode("ascii")), domain, min(life, LONGEST_LIFE), host_only=not named
    )


def _life(attributes: dict[str, str], now: float) -> float | None:
    """Return the seconds until the cookie ends: by Max-Age, else by Expires; None without."""
    age = attributes.get("max-age", "")
    if _SECONDS.fullmatch(age):
        return float(age)
    end = _time_of(attributes.get("expires", ""))
    return None if end is None else end - now
