"""When people may be called: midnight, changes of the clock, zones, what cannot be read."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.campaign import CallingHours, find_zone
from softphone.errors import ConfigurationError

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = CallingHours.parse("mon-fri 09:00-20:00, sat 10:00-16:00")


def at(text, zone=BERLIN, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("now", "is_open", "change"),
    [
        ("2026-11-27 08:59", False, "2026-11-27 09:00"),  # a Friday
        ("2026-11-27 09:00", True, "2026-11-27 20:00"),
        ("2026-11-27 19:59", True, "2026-11-27 20:00"),
        ("2026-11-27 20:00", False, "2026-11-28 10:00"),
        ("2026-11-28 15:59", True, "2026-11-28 16:00"),
        ("2026-11-28 16:00", False, "2026-11-30 09:00"),  # over the Sunday
        ("2026-12-31 23:00", False, "2027-01-01 09:00"),
    ],
)
def test_a_week_has_its_hours(now, is_open, change):
    assert WEEK.period_at(at(now), BERLIN) == (is_open, at(change))


def test_a_range_over_midnight_ends_on_the_next_day():
    night = CallingHours.parse("fri 22:00-02:00")
    assert night.period_at(at("2026-11-28 01:59"), BERLIN) == (True, at("2026-11-28 02:00"))
    assert night.period_at(at("2026-11-27 01:00"), BERLIN) == (False, at("2026-11-27 22:00"))
    assert night.period_at(at("2026-11-28 02:00"), BERLIN)[0] is False


def test_ranges_that_adjoin_at_midnight_leave_no_gap():
    whole = CallingHours.parse("sun-sat 00:00-24:00")
    midnight = at("2026-11-28 00:00")
    assert whole.period_at(midnight - 1, BERLIN) == (True, midnight)
    assert whole.period_at(midnight, BERLIN) == (True, midnight + 86400)


def test_days_wrap_around_the_week():
    weekend = CallingHours.parse("sat-mon 10:00-11:00")
    assert {each.weekday for each in weekend.ranges} == {5, 6, 0}


def test_the_same_instant_is_day_in_one_zone_and_night_in_another():
    now = at("2026-11-27 10:00")
    assert WEEK.period_at(now, BERLIN)[0]
    assert not WEEK.period_at(now, ZoneInfo("America/New_York"))[0]
    tokyo = ZoneInfo("Asia/Tokyo")
    assert WEEK.period_at(now, tokyo) == (True, at("2026-11-27 20:00", tokyo))


def test_in_spring_the_hours_move_with_the_clock_on_the_wall():
    before, after = at("2026-03-28 10:00"), at("2026-03-30 09:00")
    assert WEEK.period_at(at("2026-03-28 16:00"), BERLIN) == (False, after)
    assert (after - before) == 46 * 3600  # two days less an hour, and the hour that was skipped


def test_an_hour_that_is_skipped_opens_after_the_gap():
    early = CallingHours.parse("sun 02:30-04:00")
    assert early.period_at(at("2026-03-29 01:59"), BERLIN) == (False, at("2026-03-29 03:30"))
    closing = CallingHours.parse("sun 01:00-02:30")
    assert closing.period_at(at("2026-03-29 01:00"), BERLIN) == (True, at("2026-03-29 01:30"))


def test_an_hour_that_comes_twice_opens_late_and_closes_early():
    opening = CallingHours.parse("sun 02:30-04:00")
    assert not opening.period_at(at("2026-10-25 02:45"), BERLIN)[0]
    assert opening.period_at(at("2026-10-25 02:30", fold=1), BERLIN)[0]
    closing = CallingHours.parse("sun 01:00-02:30")
    assert closing.period_at(at("2026-10-25 02:29"), BERLIN) == (True, at("2026-10-25 02:30"))
    assert not closing.period_at(at("2026-10-25 02:15", fold=1), BERLIN)[0]


def test_hours_that_are_within_the_gap_alone_are_none_that_night():
    gone = CallingHours.parse("sun 02:15-02:45")
    assert gone.period_at(at("2026-03-29 00:00"), BERLIN) == (False, at("2026-04-05 02:15"))


@given(
    st.integers(0, 2_000_000_000),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia"]),
)
def test_nobody_is_called_when_the_clock_on_their_wall_shows_no_hour_of_the_list(now, name):
    zone = ZoneInfo(name)
    is_open, change = WEEK.period_at(now, zone)
    local = datetime.fromtimestamp(now, zone)
    opens, closes = (
        ((10, 16) if local.weekday() == 5 else (9, 20)) if local.weekday() < 6 else (0, 0)
    )
    assert is_open == (opens <= local.hour < closes)
    assert change > now
    assert WEEK.period_at(change, zone)[0] is not is_open


def test_any_hour_is_one():
    assert CallingHours.parse("any").period_at(0.0, BERLIN) == (True, float("inf"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected 'any'"),
        ("9-17", "expected 'any'"),
        ("mon 9:00-17:00", "expected 'any'"),
        ("mon 09:00-17:00;", "expected 'any'"),
        ("mon 09:60-17:00", "no time of a day"),
        ("mon 09:00-24:01", "no time of a day"),
        ("mon 24:00-09:00", "no hours at all"),
        ("mon 09:00-09:00", "no hours at all"),
        ("mon-xyz 09:00-17:00", "'xyz' is no day"),
    ],
)
def test_what_are_no_hours_is_said(text, words):
    with pytest.raises(ConfigurationError, match=words):
        CallingHours.parse(text)


@pytest.mark.parametrize("name", ["Europe/Atlantis", "../etc/passwd", "Europe", "", "\0"])
def test_what_is_no_zone_is_said(name):
    with pytest.raises(ConfigurationError, match="no time zone"):
        find_zone(name)
