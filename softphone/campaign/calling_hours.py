"""The hours of the week in which people may be called, in the zone where they live.

Times are those of a clock on the wall there.  A time that the zone's clock skips or shows twice is
read so that the hours become shorter, never longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo

from softphone.errors import ConfigurationError

ANY = "any"
"""The text of hours that are all hours."""
EXAMPLE = "mon-fri 09:00-20:00, sat 10:00-16:00"

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PART = re.compile(
    r"(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))? +"
    r"(?P<opens>[0-9]{2}:[0-9]{2})-(?P<closes>[0-9]{2}:[0-9]{2})"
)
_MINUTES = 24 * 60
_DAYS_AHEAD = 15
"""Days among which the next opening is sought: a week, and as much again for skipped days."""


@dataclass(frozen=True, slots=True)
class HoursRange:
    """One weekday (0 is Monday), from minute to minute of that day.

    `closes` is above 24 hours where the range ends on the next day.
    """

    weekday: int
    opens: int
    closes: int


@dataclass(frozen=True, slots=True)
class CallingHours:
    """The ranges of a week; without any, all hours are calling hours."""

    ranges: tuple[HoursRange, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse "mon-fri 09:00-20:00, sat 10:00-16:00", or "any".

        A range that ends before it begins ends on the next day.  Raises ConfigurationError.
        """
        if text.strip().lower() == ANY:
            return cls()
        found: list[HoursRange] = []
        for part in text.lower().split(","):
            match = _PART.fullmatch(part.strip())
            if match is None:
                raise ConfigurationError(
                    f"hours {part.strip()!r}: expected {ANY!r}, or days and times such as"
                    f" {EXAMPLE!r}"
                )
            opens, closes = _minute(match["opens"]), _minute(match["closes"])
            if opens in (_MINUTES, closes):
                raise ConfigurationError(f"hours {part.strip()!r}: these are no hours at all")
            closes += _MINUTES if closes < opens else 0
            days = _weekdays(match["first"], match["last"] or match["first"])
            found += (HoursRange(day, opens, closes) for day in days)
        return cls(tuple(found))

    def period_at(self, now: float, zone: tzinfo) -> tuple[bool, float]:
        """Return whether `now` is a calling hour, and when the next change may be.

        Times are seconds since 1970 (UTC).  Where two ranges adjoin,
        there are calling hours before and after the change.
        """
        if not self.ranges:
            return True, float("inf")
        today = datetime.fromtimestamp(now, zone).date()
        opening = float("inf")
        for opens, closes in self._periods(today, zone):
            if opens <= now < closes:
                return True, closes
            if opens > now:
                opening = min(opening, opens)
        return False, opening

    def _periods(self, today: date, zone: tzinfo) -> Iterator[tuple[float, float]]:
        for ahead in range(-2, _DAYS_AHEAD):
            day = today + timedelta(days=ahead)
            for each in self.ranges:
                if each.weekday == day.weekday():
                    opens = max(_instants(day, each.opens, zone))
                    closes = min(_instants(day, each.closes, zone))
                    if opens < closes:
                        yield opens, closes


ALL_HOURS = CallingHours()
"""All hours of the week."""


def find_zone(name: str) -> tzinfo:
    """Return the zone of a name such as Europe/Berlin.  Raises ConfigurationError."""
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"there is no time zone {name!r}: give one such as Europe/Berlin (where none is found,"
            " install the package tzdata)"
        ) from error


def _minute(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if minutes > 59 or hours * 60 + minutes > _MINUTES:
        raise ConfigurationError(f"hours: {text} is no time of a day")
    return hours * 60 + minutes


def _weekdays(first: str, last: str) -> Iterator[int]:
    for name in (first, last):
        if name not in _DAYS:
            raise ConfigurationError(f"hours: {name!r} is no day; days are {', '.join(_DAYS)}")
    begin = _DAYS.index(first)
    for day in range(begin, begin + (_DAYS.index(last) - begin) % 7 + 1):
        yield day % 7


def _instants(day: date, minute: int, zone: tzinfo) -> tuple[float, float]:
    """Return both readings of a local time; they differ where the clock is set that night."""
    local = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    first, second = (local.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    return first, second
