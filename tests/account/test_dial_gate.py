"""The dial gate counts calls and money, in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace

import pytest

from softphone.account.dial_gate import DialGate
from softphone.call.dial_permit import UNJUDGED
from softphone.config import DialPolicyConfig
from softphone.errors import DialRefused, LocalProtocolError
from softphone.events import CallPrevented
from softphone.sip import SipUri

BERLIN = SipUri.parse("sip:0301234567@example.test")
MOBILE = SipUri.parse("sip:01511234567@example.test")
PREMIUM = SipUri.parse("sip:+499001234567@example.test")
EMERGENCY = SipUri.parse("sip:112@example.test")
HOUR, DAY = 3600.0, 86400.0


def gate_with(told=None, **rules):
    """A gate with a policy of a German account; `told` gets its reports."""
    gate = DialGate()
    events = [] if told is None else told
    gate.configure(
        DialPolicyConfig(country="49", **rules),
        aor="sip:bot@example.test",
        domain="example.test",
        report=events.append,
    )
    return gate


def refusal(gate, uri=BERLIN, *, now):
    with pytest.raises(DialRefused) as caught:
        gate.admit(uri, now=now)
    return caught.value


def test_a_gate_without_a_policy_admits_everything():
    gate = DialGate()
    assert gate.admit(PREMIUM, now=0.0) is UNJUDGED
    gate.admit_referral(PREMIUM, False, 0.0)
    gate.release(UNJUDGED, now=1.0)
    UNJUDGED.check(BERLIN)
    UNJUDGED.check_overlap()


def test_a_permit_is_for_the_number_that_was_judged():
    permit = gate_with().admit(BERLIN, now=0.0)
    permit.check(SipUri.parse("sip:0301234567@node2.example.test"))
    with pytest.raises(LocalProtocolError):
        permit.check(PREMIUM)
    with pytest.raises(DialRefused):
        permit.check_overlap()


def test_no_hour_has_more_calls_than_the_policy_says():
    gate = gate_with(calls_per_hour=3)
    placed = []
    for second in range(0, 4 * 3600, 20):
        with suppress(DialRefused):
            gate.release(gate.admit(BERLIN, now=float(second)), now=float(second))
            placed.append(second)
    assert refusal(gate, now=4.0 * 3600 - 1).rule == "calls_per_hour"
    most = max(sum(begin <= each < begin + 3600 for each in placed) for begin in placed)
    assert most == 3
    assert len(placed) == 12  # three in each of four hours


def test_calls_at_once_end_with_the_call_and_with_a_failed_start():
    gate = gate_with(calls_at_once=2)
    first, second = gate.admit(BERLIN, now=0.0), gate.admit(BERLIN, now=1.0)
    assert refusal(gate, now=2.0).rule == "calls_at_once"
    gate.release(first, now=3.0)
    gate.release(first, now=3.0)
    gate.release(gate.admit(BERLIN, now=4.0), now=4.0)
    third = gate.admit(BERLIN, now=5.0)
    assert refusal(gate, now=6.0).rule == "calls_at_once"
    for permit in (second, third):
        gate.release(permit, now=7.0)


def test_a_call_holds_the_cost_of_its_longest_duration_and_pays_for_begun_minutes():
    rates = {"+49": 0.02, "+4915": 0.2}
    gate = gate_with(rates=rates, call_duration=600.0, budget_per_hour=2.0, budget_per_day=3.0)
    permit = gate.admit(MOBILE, now=0.0)
    assert permit.longest == 600.0
    assert refusal(gate, now=1.0).rule == "budget_per_hour"  # 2.00 are held
    gate.release(permit, seconds=61.0, now=62.0)  # two minutes: 0.40
    assert refusal(gate, MOBILE, now=63.0).rule == "budget_per_hour"
    for _ in range(8):  # nobody answers
        gate.release(gate.admit(BERLIN, now=64.0), now=94.0)
    assert gate.admit(BERLIN, now=95.0)


def test_the_budget_of_a_day_outlasts_that_of_an_hour():
    gate = gate_with(rates={"+": 1.0}, call_duration=60.0, budget_per_hour=1.0, budget_per_day=3.0)
    times = [0.0, 2 * HOUR, 4 * HOUR]
    for now in times:
        gate.release(gate.admit(BERLIN, now=now), seconds=60.0, now=now + 60)
    assert refusal(gate, now=6 * HOUR).rule == "budget_per_day"
    assert refusal(gate, now=DAY - 1).rule == "budget_per_day"
    assert gate.admit(BERLIN, now=DAY + 1800)


def test_a_referral_counts_as_a_call_of_the_longest_duration():
    gate = gate_with(
        rates={"+": 1.0}, call_duration=120.0, budget_per_day=3.0, calls_per_hour=2, calls_at_once=1
    )
    gate.admit_referral(BERLIN, False, 0.0)
    assert refusal(gate, now=1.0).rule == "budget_per_day"
    gate.admit_referral(SipUri.parse("sip:asterisk@192.0.2.1"), True, 2.0)
    with pytest.raises(DialRefused) as caught:
        gate.admit_referral(SipUri.parse("sip:asterisk@192.0.2.1"), True, 3.0)
    assert caught.value.rule == "calls_per_hour"


def test_an_emergency_call_is_held_up_by_no_limit():
    gate = gate_with(emergency=True, calls_at_once=1, calls_per_hour=1)
    gate.admit(BERLIN, now=0.0)
    permit = gate.admit(EMERGENCY, now=1.0)
    assert permit.longest == 0.0
    assert gate.admit(EMERGENCY, now=2.0)


def test_to_check_counts_nothing():
    gate = gate_with(calls_per_hour=1, calls_at_once=1)
    for _ in range(5):
        gate.check(BERLIN, now=0.0)
    gate.admit(BERLIN, now=0.0)
    with pytest.raises(DialRefused):
        gate.check(BERLIN, now=0.0)


def test_a_refusal_is_reported_and_logged_without_the_whole_number(caplog):
    told = []
    error = refusal(gate_with(told), PREMIUM, now=0.0)
    assert (error.rule, error.status) == ("premium", 403)
    assert told == [CallPrevented("+499***67", "premium", str(error))]
    assert "499001234567" not in caplog.text + str(error)
    assert "sip:bot@example.test: did not call: +499***67 is a premium number" in caplog.text


def test_refusals_fill_neither_the_log_nor_memory(caplog):
    gate = gate_with(calls_per_hour=10**6)
    for number in range(2000):
        refusal(gate, PREMIUM, now=number / 100)
        gate.release(gate.admit(BERLIN, now=number / 100), now=number / 100)
    assert len(caplog.records) == 5
    assert not gate._held
    assert len(gate._calls._added) == 1


def test_another_policy_keeps_what_was_counted():
    gate = gate_with(calls_per_hour=1)
    gate.admit(BERLIN, now=0.0)
    gate.configure(
        DialPolicyConfig(country="49", calls_per_hour=2),
        aor="sip:bot@example.test",
        domain="example.test",
        report=lambda _: None,
    )
    gate.admit(BERLIN, now=1.0)
    assert refusal(gate, now=2.0).rule == "calls_per_hour"


@pytest.mark.parametrize(
    ("acknowledged", "confirmed", "left"),
    [(False, False, 10.0), (True, True, 8.0), (True, False, 7.0)],
)
async def test_the_end_of_a_call_settles_what_it_held(acknowledged, confirmed, left):
    """Placed at 0 s, up at 60 s, over at 180 s; one that never came up pays from the start."""
    gate = gate_with(rates={"+": 1.0}, call_duration=600.0, budget_per_day=10.0)
    loop, times = asyncio.get_running_loop(), [0.0]
    leg = SimpleNamespace(
        confirmed=loop.create_future(), ended=loop.create_future(), acknowledged=acknowledged
    )
    permit = gate.admit(BERLIN, now=0.0)
    gate.follow(permit, leg, clock=lambda: times[0])
    times[0] = 60.0
    if confirmed:
        leg.confirmed.set_result(None)
        await asyncio.sleep(0)
    times[0] = 180.0
    leg.ended.set_result(None)
    await asyncio.sleep(0)
    assert not gate._held
    assert 10.0 - gate._spent[1].total(now=180.0) == left
    gate.follow(UNJUDGED, leg, clock=lambda: times[0])
