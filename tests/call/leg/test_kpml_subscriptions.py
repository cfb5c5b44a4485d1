"""Digits told to a server that collects them (RFC 4730), within a call and before its answer."""

from __future__ import annotations

import asyncio
import re

import pytest

from softphone.call import Call, OutgoingCall
from softphone.call.leg import check_digits
from softphone.call.leg.kpml_subscriptions import MAXIMUM
from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.events import CallState
from softphone.sip import Body, EndpointConfig, InDialogRequestReceived
from tests.support.kpml import kpml_request
from tests.support.stage import Stage

CONFIG = EndpointConfig(events=(*EndpointConfig().events, "kpml"))


class Collector:
    """Bob's side, as a server that wants to hear of digits."""

    def __init__(self, *, up=True):
        self.stage = Stage(config=CONFIG)
        if up:
            self.caller, self.callee = self.stage.answered()
        else:
            self.caller = self.stage.dial()
            self.stage.run(0.1)
            self.callee = self.stage.bob.leg
        self.reports = []
        handle = self.callee.handle_event

        def take(event):
            notify = isinstance(event, InDialogRequestReceived) and event.request.method == "NOTIFY"
            if not notify:
                handle(event)
                return
            self.reports.append(event.request)
            with self.stage.bob.change() as now:
                self.stage.bob.endpoint.respond(event.exchange, 200, now=now)

        self.stage.bob.adopt(self.callee.usage, take)

    def subscribe(self, body=None, event="kpml", expires=7200):
        headers = (("Event", event), ("Expires", str(expires)))
        with self.stage.bob.change() as now:
            exchange = self.callee.usage.request_in_dialog(
                "SUBSCRIBE", body or kpml_request("[x#*+]"), now=now, headers=headers
            )
        self.stage.run(0.1)
        return exchange.response.status

    @property
    def digits(self):
        self.stage.run(0.1)
        found = [re.search(rb'digits="([^"]*)"', request.body) for request in self.reports]
        return b"".join(match[1] for match in found if match).decode()


async def test_a_server_that_asks_is_told_of_every_digit():
    collector = Collector()
    assert collector.subscribe() == 200
    await Call.for_leg(collector.caller).send_digits("1#", duration_ms=1)
    assert collector.digits == "1#"
    assert collector.reports[0].subscription_state.state == "active"
    assert collector.reports[0].body == b""


async def test_the_end_of_the_call_is_the_end_of_it():
    collector = Collector()
    collector.subscribe()
    collector.caller.hang_up()
    collector.stage.run(0.1)
    assert collector.reports[-1].subscription_state.state == "terminated"
    assert b'code="487"' in collector.reports[-1].body


async def test_a_one_shot_ends_with_its_report():
    collector = Collector()
    collector.subscribe(kpml_request("x", persist="one-shot"))
    assert collector.caller.kpml_subscriptions.report_digit("5")
    assert collector.digits == "5"
    assert collector.reports[-1].subscription_state.state == "terminated"
    assert not collector.caller.kpml_subscriptions.report_digit("6")


async def test_a_watcher_hears_when_the_digits_stop_half_way():
    collector = Collector()
    collector.subscribe(kpml_request("xxx", interdigittimer="2000"))
    collector.caller.kpml_subscriptions.report_digit("5")
    collector.stage.run(1.0)
    collector.caller.kpml_subscriptions.report_digit("6")
    collector.stage.run(1.9)
    before = len(collector.reports)
    collector.stage.run(0.2)
    assert len(collector.reports) == before + 1
    assert b'code="423"' in collector.reports[-1].body
    assert b'digits="56"' in collector.reports[-1].body
    assert collector.reports[-1].subscription_state.state == "active"


async def test_the_critical_timer_ends_a_one_shot():
    collector = Collector()
    collector.subscribe(kpml_request("0|00", persist="one-shot"))
    collector.caller.kpml_subscriptions.report_digit("0")
    collector.stage.run(1.2)
    assert collector.digits == "0"
    assert collector.reports[-1].subscription_state.state == "terminated"
    assert len(collector.caller.kpml_subscriptions) == 0


async def test_digits_after_a_single_notify_come_with_the_refresh():
    collector = Collector()
    body = kpml_request("x", persist="single-notify", flush=False)
    collector.subscribe(body)
    collector.caller.kpml_subscriptions.report_digit("1")
    collector.caller.kpml_subscriptions.report_digit("2")
    assert collector.digits == "1"
    collector.subscribe(body)
    assert collector.digits == "12"


@pytest.mark.parametrize(("flush", "heard"), [(False, "12"), (True, "")])
async def test_digits_from_before_are_for_a_watcher_that_wants_them(flush, heard):
    collector = Collector()
    for digit in "12":
        assert not collector.caller.kpml_subscriptions.report_digit(digit)
    collector.subscribe(kpml_request("x", flush=flush))
    assert collector.digits == heard
    # They are heard once.
    collector.subscribe(kpml_request("x", flush=False), "kpml;id=2")
    assert collector.digits == heard


async def test_a_one_shot_may_be_over_at_once_and_leaves_the_rest_to_the_next():
    collector = Collector()
    for digit in "123":
        collector.caller.kpml_subscriptions.report_digit(digit)
    body = kpml_request("xx", persist="one-shot", flush=False)
    assert collector.subscribe(body) == 200
    assert collector.digits == "12"
    assert collector.reports[-1].subscription_state.state == "terminated"
    collector.caller.kpml_subscriptions.report_digit("4")
    assert collector.subscribe(body, "kpml;id=2") == 200
    assert collector.digits == "1234"


async def test_how_long_a_key_was_held_is_told():
    collector = Collector()
    collector.subscribe(kpml_request("L#", long="20"))
    call = Call.for_leg(collector.caller)
    await call.send_digits("#", duration_ms=10)
    assert collector.digits == ""
    await call.send_digits("#", duration_ms=20)
    assert collector.digits == "#"


async def test_nothing_is_timed_after_the_call():
    collector = Collector()
    collector.subscribe(kpml_request("xxx"))
    collector.caller.kpml_subscriptions.report_digit("1")
    collector.caller.hang_up()
    collector.stage.run(10.0)
    assert b'code="487"' in collector.reports[-1].body
    assert b'code="423"' not in b"".join(one.body for one in collector.reports)


async def test_digits_can_be_dialed_before_the_answer():
    collector = Collector(up=False)
    collector.stage.bob.leg.ring()
    collector.stage.run(0.1)

    async def launch():
        return collector.caller

    outgoing = OutgoingCall(collector.caller.peer, launch)
    await outgoing.start()
    with pytest.raises(LocalProtocolError, match="does not collect"):
        outgoing.send_digits("1")
    collector.subscribe()
    outgoing.send_digits("42")
    assert collector.digits == "42"
    with pytest.raises(ConfigurationError):
        outgoing.send_digits("4x")
    assert collector.caller.state is CallState.EARLY
    collector.caller.hang_up()
    collector.stage.run(0.1)
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("event", "body", "status"),
    [
        ("dialog", None, 489),
        ("presence", None, 489),
        ("kpml", Body("application/kpml-request+xml", b"<x/>"), 400),
    ],
)
async def test_what_cannot_be_told_of_is_refused(event, body, status):
    assert Collector().subscribe(body, event) == status


async def test_there_are_only_so_many_watchers():
    collector = Collector()
    assert [collector.subscribe(event=f"kpml;id={i}") for i in range(MAXIMUM)] == [200] * MAXIMUM
    assert collector.subscribe(event="kpml;id=more") == 486


async def test_a_refresh_may_ask_for_other_digits_and_expires_0_ends_it():
    collector = Collector()
    collector.subscribe(kpml_request("1"))
    collector.subscribe(kpml_request("2"))
    assert len(collector.caller.kpml_subscriptions) == 1
    collector.caller.kpml_subscriptions.report_digit("2")
    assert collector.digits == "2"
    collector.subscribe(expires=0)
    assert not collector.caller.kpml_subscriptions.report_digit("2")


def test_what_is_no_digit_is_said():
    check_digits("12*#aD,", pauses=",")
    with pytest.raises(ConfigurationError, match="'xy'"):
        check_digits("1yx")
