"""Probes on virtual time."""

from __future__ import annotations

import pytest

from softphone.sans_io import Transport
from softphone.sip.transport import FlowDead, KeepAlive, KeepAliveConfig, KeepAliveTerms, Probe
from softphone.sip.transport.keepalive import ProbeDue


def make(entropy, transport=Transport.TLS, now=0.0, **terms):
    return KeepAlive(transport=transport, entropy=entropy, now=now, terms=KeepAliveTerms(**terms))


@pytest.mark.parametrize(
    ("transport", "terms", "probe", "interval"),
    [
        (Transport.TLS, {}, Probe.OPTIONS, 120.0),
        (Transport.TCP, {"outbound": True}, Probe.CRLF, 120.0),
        (Transport.TLS, {"outbound": True, "flow_timer": 30.0}, Probe.CRLF, 30.0),
        (Transport.TLS, {"keep": 45.0}, Probe.CRLF, 45.0),
        (Transport.TLS, {"keep": 0.0}, Probe.CRLF, 120.0),
        (Transport.TLS, {"outbound": True, "flow_timer": 60.0, "keep": 40.0}, Probe.CRLF, 40.0),
        (Transport.TLS, {"outbound": True, "flow_timer": 1.0}, Probe.CRLF, 5.0),
        (Transport.UDP, {}, Probe.OPTIONS, 30.0),
        (Transport.UDP, {"outbound": True, "flow_timer": 20.0}, Probe.OPTIONS, 20.0),
        (Transport.UDP, {"keep": 600.0}, Probe.OPTIONS, 30.0),
    ],
)
def test_pings_are_sent_only_where_they_were_agreed(entropy, transport, terms, probe, interval):
    keepalive = make(entropy, transport, **terms)
    assert (keepalive.probe, keepalive.interval) == (probe, interval)


def test_probes_come_at_random_in_the_last_fifth_of_the_interval(entropy):
    times = [make(entropy, outbound=True, flow_timer=100.0).deadline for _ in range(200)]
    assert all(80.0 <= time <= 100.0 for time in times)
    assert max(times) - min(times) > 15.0


def test_a_ping_without_pong_kills_the_flow_after_ten_seconds_and_once(entropy):
    keepalive = make(entropy, outbound=True)
    due = keepalive.deadline
    assert keepalive.handle_timer(now=due - 0.1) is None
    assert keepalive.handle_timer(now=due) == ProbeDue(Probe.CRLF)
    assert keepalive.handle_timer(now=due) is None
    assert keepalive.deadline == due + 10.0
    dead = keepalive.handle_timer(now=due + 10.0)
    assert isinstance(dead, FlowDead)
    assert "pong" in dead.reason
    assert keepalive.handle_timer(now=due + 1000.0) is None
    assert keepalive.deadline is None


def test_a_pong_in_time_keeps_the_flow_and_plans_the_next_ping(entropy):
    keepalive = make(entropy, outbound=True)
    for _ in range(50):
        due = keepalive.deadline
        assert keepalive.handle_timer(now=due) == ProbeDue(Probe.CRLF)
        keepalive.note_activity(now=due + 0.1)
        assert keepalive.handle_timer(now=due + 20.0) is None
        assert due + 0.1 + 96.0 <= keepalive.deadline <= due + 0.1 + 120.0


def test_traffic_does_not_put_off_pings_but_it_does_put_off_options(entropy):
    pings = make(entropy, outbound=True)
    due = pings.deadline
    pings.note_activity(now=50.0)
    assert pings.deadline == due
    options = make(entropy)
    options.note_activity(now=50.0)
    assert options.deadline >= 50.0 + 96.0


def test_an_options_request_has_as_long_as_a_transaction(entropy):
    keepalive = make(entropy)
    due = keepalive.deadline
    assert keepalive.handle_timer(now=due) == ProbeDue(Probe.OPTIONS)
    assert keepalive.deadline == due + 32.0
    assert "OPTIONS" in keepalive.handle_timer(now=due + 32.0).reason


def test_new_terms_change_the_probe_and_equal_ones_change_nothing(entropy):
    keepalive = make(entropy, outbound=True, flow_timer=100.0)
    due = keepalive.deadline
    keepalive.apply_terms(KeepAliveTerms(outbound=True, flow_timer=100.0), now=70.0)
    assert keepalive.deadline == due
    keepalive.apply_terms(KeepAliveTerms(), now=70.0)
    assert keepalive.probe is Probe.OPTIONS
    assert keepalive.deadline >= 70.0 + 96.0


def test_no_probe_is_sent_where_none_is_wanted(entropy):
    config = KeepAliveConfig(options_interval=0.0)
    keepalive = KeepAlive(transport=Transport.TLS, entropy=entropy, now=0.0, config=config)
    assert keepalive.probe is Probe.NONE
    assert keepalive.deadline is None
    keepalive.note_activity(now=1.0)
    assert keepalive.handle_timer(now=1e9) is None


def test_an_agreement_that_is_taken_back_leaves_nothing_due():
    config = KeepAliveConfig(options_interval=0.0)
    keepalive = KeepAlive(
        transport=Transport.TLS,
        entropy=bytes,
        now=0.0,
        terms=KeepAliveTerms(outbound=True),
        config=config,
    )
    assert keepalive.deadline == 96.0
    keepalive.apply_terms(KeepAliveTerms(), now=1.0)
    assert keepalive.deadline is None
