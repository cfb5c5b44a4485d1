"""Which number is called when, on virtual time: no clock, no socket, no call."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.campaign import (
    CallingHours,
    CampaignRules,
    ListedNumber,
    Outcome,
    RetryRule,
    Scheduler,
    parse_retry,
)
from softphone.campaign.scheduler import NumberHistory
from softphone.errors import ConfigurationError

NOW = 1_700_000_000.0


def numbers(count, *, zone="UTC"):
    return [ListedNumber(f"+4930{n}", f"+4930{n}", zone=zone, line=n + 2) for n in range(count)]


def scheduler(count=3, histories=None, **rules):
    rules = {"rate": 0.0, "calls": 10} | rules
    listed = count if isinstance(count, list) else numbers(count)
    return Scheduler(CampaignRules(**rules), listed, histories or {})


def begin_all(made, now=NOW):
    found = []
    while (number := made.next_number(now)) is not None:
        found.append(number)
    return found


def at(text, zone):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def test_numbers_come_in_the_order_of_the_list_and_so_many_at_a_time():
    made = scheduler(5, calls=2)
    first, second = begin_all(made)
    assert (first.line, second.line) == (2, 3)
    assert made.next_time(NOW) is None
    made.attempt_ended(first, Outcome.HUMAN, NOW + 1)
    assert made.next_time(NOW + 1) == NOW + 1
    assert [each.line for each in begin_all(made, NOW + 1)] == [4]
    assert (made.in_progress, made.waiting, made.finished) == (2, 2, False)


def test_it_is_finished_when_the_last_call_has_ended():
    made = scheduler(1)
    (number,) = begin_all(made)
    assert not made.finished
    made.attempt_ended(number, Outcome.HUMAN, NOW)
    assert made.finished
    assert made.next_time(NOW) is None


def test_calls_begin_at_the_rate():
    made = scheduler(4, rate=0.5)
    assert len(begin_all(made)) == 1
    assert made.next_time(NOW) == pytest.approx(NOW + 2)
    assert begin_all(made, NOW + 1.9) == []
    assert len(begin_all(made, NOW + 2.1)) == 1


def test_a_number_is_called_again_by_its_cause_and_so_often():
    made = scheduler(
        1, retries={Outcome.BUSY: RetryRule(2, 900), Outcome.NO_ANSWER: RetryRule(1, 60)}
    )
    now = NOW
    seen = []
    for outcome in (Outcome.BUSY, Outcome.NO_ANSWER, Outcome.BUSY, Outcome.NO_ANSWER):
        (number,) = begin_all(made, now)
        seen.append((now - NOW, made.attempt_of(number)))
        made.attempt_ended(number, outcome, now)
        due = made.next_time(now)
        if due is not None:
            assert begin_all(made, due - 0.001) == []
            now = due
    assert seen == [(0, 1), (900, 2), (960, 3), (1860, 4)]
    assert made.finished
    assert made.outcomes == {Outcome.BUSY: 2, Outcome.NO_ANSWER: 2}


def test_retries_that_are_due_go_before_numbers_that_were_never_called():
    made = scheduler(3, calls=1, retries={Outcome.BUSY: RetryRule(1, 60)})
    first = made.next_number(NOW)
    made.attempt_ended(first, Outcome.BUSY, NOW)
    second = made.next_number(NOW + 1)
    assert second.line == 3
    made.attempt_ended(second, Outcome.HUMAN, NOW + 61)
    assert made.next_number(NOW + 61) is first


def test_what_has_no_rule_is_not_called_again():
    made = scheduler(1, retries={Outcome.BUSY: RetryRule(1, 60)})
    made.attempt_ended(*begin_all(made), Outcome.NOT_FOUND, NOW)
    assert made.finished


def test_each_number_waits_for_the_hours_of_its_own_zone():
    hours = CallingHours.parse("mon-sun 09:00-20:00")
    zones = ("Europe/Berlin", "America/New_York", "Asia/Tokyo")
    listed = [ListedNumber(zone, zone, zone=zone, line=n) for n, zone in enumerate(zones)]
    made = scheduler(listed, hours=hours)
    now = at("2026-11-27 08:00", "Europe/Berlin")  # 16:00 in Tokyo, 02:00 in New York
    assert [each.key for each in begin_all(made, now)] == ["Asia/Tokyo"]
    now = made.next_time(now)
    assert now == at("2026-11-27 09:00", "Europe/Berlin")
    assert [each.key for each in begin_all(made, now)] == ["Europe/Berlin"]
    now = made.next_time(now)
    assert now == at("2026-11-27 09:00", "America/New_York")
    assert [each.key for each in begin_all(made, now)] == ["America/New_York"]


def test_a_retry_that_is_due_at_night_waits_for_the_morning_over_a_change_of_the_clock():
    hours = CallingHours.parse("mon-sun 09:00-20:00")
    made = scheduler(
        numbers(1, zone="Europe/Berlin"),
        hours=hours,
        retries={Outcome.NO_ANSWER: RetryRule(1, 3600)},
    )
    evening = at("2026-10-24 19:30", "Europe/Berlin")
    made.attempt_ended(*begin_all(made, evening), Outcome.NO_ANSWER, evening)
    assert begin_all(made, evening + 3600) == []
    morning = made.next_time(evening + 3600)
    assert morning == at("2026-10-25 09:00", "Europe/Berlin")
    assert morning - evening == 14.5 * 3600  # the night has an hour more
    assert len(begin_all(made, morning)) == 1


def test_a_list_that_runs_into_the_evening_goes_on_in_the_morning():
    hours = CallingHours.parse("mon-sun 09:00-20:00")
    made = scheduler(numbers(3, zone="Europe/Berlin"), hours=hours, calls=1)
    now = at("2026-11-27 19:59", "Europe/Berlin")
    made.attempt_ended(made.next_number(now), Outcome.HUMAN, now + 120)
    assert made.next_number(now + 120) is None
    assert made.next_time(now + 120) == at("2026-11-28 09:00", "Europe/Berlin")


def test_a_clock_that_is_set_back_is_believed():
    hours = CallingHours.parse("mon-sun 09:00-20:00")
    made = scheduler(numbers(2, zone="UTC"), hours=hours, calls=1)
    noon = at("2026-11-27 12:00", "UTC")
    made.attempt_ended(made.next_number(noon), Outcome.HUMAN, noon)
    assert made.next_number(noon - 6 * 3600) is None
    assert made.next_time(noon - 6 * 3600) == noon - 3 * 3600


def test_draining_begins_no_call_and_waits_for_those_that_are_up():
    made = scheduler(3, calls=1)
    number = made.next_number(NOW)
    made.drain()
    assert not made.finished
    made.attempt_ended(number, Outcome.HUMAN, NOW)
    assert made.next_number(NOW) is None
    assert made.finished
    assert made.waiting == 2


# The server, and what is postponed


def test_a_number_that_could_not_be_called_is_called_later_and_counts_for_nothing():
    made = scheduler(2, calls=1)
    number = made.next_number(NOW)
    made.attempt_ended(number, Outcome.POSTPONED, NOW)
    assert made.next_number(NOW + 4.9) is None
    assert made.next_time(NOW) == NOW + 5
    again = made.next_number(NOW + 5)
    assert again is number
    assert made.attempt_of(again) == 1
    made.attempt_ended(again, Outcome.POSTPONED, NOW + 5)
    assert made.next_time(NOW + 5) == NOW + 15


def test_pauses_grow_to_five_minutes_and_end_with_a_call_that_is_made():
    made, now, pauses = scheduler(1), NOW, []
    for _ in range(9):
        made.attempt_ended(*begin_all(made, now), Outcome.POSTPONED, now)
        pauses.append(made.next_time(now) - now)
        now += pauses[-1]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    made = scheduler(3, calls=1)
    made.attempt_ended(made.next_number(NOW), Outcome.POSTPONED, NOW)
    made.attempt_ended(made.next_number(NOW + 5), Outcome.BUSY, NOW + 5)
    made.attempt_ended(made.next_number(NOW + 5), Outcome.POSTPONED, NOW + 5)
    assert made.next_time(NOW + 5) == NOW + 10


def test_a_clock_that_is_set_back_makes_no_pause_longer():
    made = scheduler(1)
    made.attempt_ended(*begin_all(made), Outcome.POSTPONED, NOW)
    hour_before = NOW - 3600
    assert begin_all(made, hour_before) == []
    assert made.next_time(hour_before) == hour_before + 300
    assert len(begin_all(made, hour_before + 300)) == 1


def test_numbers_that_a_program_made_need_no_lines():
    made = scheduler([ListedNumber("a", "a"), ListedNumber("b", "b")], calls=2)
    for number in begin_all(made):
        made.attempt_ended(number, Outcome.POSTPONED, NOW)
    assert {each.key for each in begin_all(made, NOW + 5)} == {"a", "b"}


def test_calls_that_end_together_make_one_pause():
    made = scheduler(4)
    for number in begin_all(made):
        made.attempt_ended(number, Outcome.POSTPONED, NOW)
    assert made.next_time(NOW) == NOW + 5


def test_a_server_that_fails_call_after_call_is_not_given_the_whole_list():
    made = scheduler(100, calls=1)
    now = NOW
    while now < NOW + 600:
        number = made.next_number(now)
        if number is None:
            now = made.next_time(now)
        else:
            made.attempt_ended(number, Outcome.FAILED, now)
    assert made.outcomes[Outcome.FAILED] < 12


# What earlier runs know


def history(*outcomes, ended=NOW):
    made = NumberHistory()
    for each in outcomes:
        made.add(each, ended)
    return made


@pytest.mark.parametrize(
    ("outcomes", "retry_unknown", "due"),
    [
        ((), False, NOW),
        ((Outcome.HUMAN,), True, None),
        ((Outcome.UNKNOWN,), False, None),
        ((Outcome.UNKNOWN,), True, NOW),
        ((Outcome.POSTPONED,), False, NOW),
        ((Outcome.BUSY,), False, NOW + 900),
        ((Outcome.BUSY, Outcome.BUSY), False, None),
        ((Outcome.BUSY, Outcome.UNKNOWN), False, None),
        ((Outcome.DO_NOT_CALL,), True, None),
        ((Outcome.INTERRUPTED,), True, None),
    ],
)
def test_a_later_run_goes_on_where_the_earlier_one_ended(outcomes, retry_unknown, due):
    made = scheduler(
        1,
        {"+49300": history(*outcomes)},
        retries={Outcome.BUSY: RetryRule(1, 900)},
        retry_unknown=retry_unknown,
    )
    assert made.next_time(NOW) == due
    assert made.finished is (due is None)


def test_histories_of_numbers_that_left_the_list_are_not_counted():
    made = scheduler(1, {"other": history(Outcome.ABANDONED)})
    assert made.outcomes.total() == 0


# Agents, and those whom nobody talks to


def test_with_as_many_agents_as_calls_nobody_can_be_abandoned():
    assert len(begin_all(scheduler(9, calls=4, agents=4))) == 4


def test_more_calls_than_agents_begin_only_within_the_share():
    fresh = scheduler(20, calls=10, agents=2)
    assert len(begin_all(fresh)) == 2  # nobody has answered yet: one more might be abandoned
    known = {f"+4930{n}": history(Outcome.HUMAN) for n in range(100)}
    made = scheduler(120, known, calls=10, agents=2)
    assert len(begin_all(made)) == 5  # 3 of 105 people at most find no agent


def test_an_agent_who_talks_is_not_free():
    made = scheduler(9, calls=4, agents=2)
    first, second = begin_all(made)
    made.conversation_began(first)
    made.attempt_ended(second, Outcome.NO_ANSWER, NOW)
    assert len(begin_all(made)) == 1
    made.attempt_ended(first, Outcome.HUMAN, NOW)
    assert len(begin_all(made)) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.03, 0.1, 0.5]),
    st.lists(st.tuples(st.integers(0, 99), st.booleans()), max_size=300),
)
def test_the_share_of_abandoned_calls_never_exceeds_its_cap(agents, calls, share, steps):
    """However calls end, and whoever answers at once: only free agents talk."""
    made = scheduler(400, calls=calls, agents=agents, abandoned_share=share)
    undecided, talking = [], []
    for choice, answers in steps:
        undecided += begin_all(made)
        assert made.in_progress <= calls
        if talking and choice % 3 == 0:
            made.attempt_ended(talking.pop(choice % len(talking)), Outcome.HUMAN, NOW)
        elif undecided:
            number = undecided.pop(choice % len(undecided))
            if not answers:
                made.attempt_ended(number, Outcome.NO_ANSWER, NOW)
            elif len(talking) < agents:
                talking.append(number)
                made.conversation_began(number)
            else:
                made.attempt_ended(number, Outcome.ABANDONED, NOW)
        assert made.abandoned <= share * made.live
        assert not made.abandoned_too_many


def test_agents_that_fail_people_are_too_many_from_the_third_on():
    made = scheduler(9, calls=1)
    for count in range(1, 4):
        made.attempt_ended(made.next_number(NOW), Outcome.ABANDONED, NOW)
        assert made.abandoned_too_many is (count == 3)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_number_is_called_more_often_than_its_rules_say(data):
    retries = {Outcome.BUSY: RetryRule(2, 60), Outcome.NO_ANSWER: RetryRule(1, 30)}
    made = scheduler(6, calls=3, rate=1.0, retries=retries)
    begun, in_progress, now = {}, [], NOW
    for _ in range(200):
        number = made.next_number(now)
        if number is not None:
            assert number not in in_progress
            begun[number.key] = begun.get(number.key, 0) + 1
            in_progress.append(number)
        elif in_progress and data.draw(st.booleans()):
            ended = in_progress.pop(data.draw(st.integers(0, len(in_progress) - 1)))
            outcome = data.draw(st.sampled_from([Outcome.BUSY, Outcome.NO_ANSWER, Outcome.HUMAN]))
            made.attempt_ended(ended, outcome, now)
        elif (due := made.next_time(now)) is not None:
            assert due > now
            now = due
        elif in_progress:
            made.attempt_ended(in_progress.pop(), Outcome.HUMAN, now)
    assert made.finished
    assert set(begun) == {each.key for each in numbers(6)}
    assert max(begun.values()) <= 4


# Rules


def test_retries_are_read():
    assert parse_retry("busy=3x15m") == (Outcome.BUSY, RetryRule(3, 900))
    assert parse_retry("no_answer=1x2d") == (Outcome.NO_ANSWER, RetryRule(1, 172800))
    assert parse_retry("failed=2x30s") == (Outcome.FAILED, RetryRule(2, 30))
    assert parse_retry("machine=2x3h") == (Outcome.MACHINE, RetryRule(2, 10800))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("busy", "OUTCOME=TIMESxDELAY"),
        ("busy=3", "OUTCOME=TIMESxDELAY"),
        ("busy=3x15", "OUTCOME=TIMESxDELAY"),
        ("human=3x15m", "called again after busy"),
        ("nothing=3x15m", "called again after busy"),
        ("busy=101x15m", "outside 0 to 100"),
        ("busy=1x0s", "outside 1 s"),
        ("busy=1x999d", "outside 1 s"),
    ],
)
def test_what_is_no_retry_is_said(text, words):
    with pytest.raises(ConfigurationError, match=words):
        parse_retry(text)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"calls": 0}, "0 calls at a time"),
        ({"calls": 10_001}, "calls at a time"),
        ({"rate": -1.0}, "a rate of -1"),
        ({"rate": float("nan")}, "a rate of nan"),
        ({"agents": -1}, "-1 agents"),
        ({"abandoned_share": 1.1}, "a share of 1.1"),
        ({"retries": {Outcome.HUMAN: RetryRule(1, 60)}}, "again after human"),
    ],
)
def test_rules_that_cannot_be_are_said(rules, words):
    with pytest.raises(ConfigurationError, match=words):
        CampaignRules(**rules)
