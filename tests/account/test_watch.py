"""Watches: when a subscription is made again, what is picked up, and what is not believed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from softphone.account.watch import PresenceWatch, Watch, pickup_target, replacement
from softphone.config import AccountConfig, WatchersConfig
from softphone.errors import CertificateError, ConfigurationError, TransportError
from softphone.events import (
    CallState,
    DialogChanged,
    Presence,
    PresenceChanged,
    WatchChanged,
    WatchedDialog,
)
from softphone.sip import Body, NotifyReceived, Request, SipUri, SubscriptionTerminated
from softphone.sip.event_packages import DIALOG_INFO, DialogInfo, print_dialog_info
from tests.support.account_context import PLAIN, account_context
from tests.support.virtual_loop import run_virtually

BOB = SipUri.parse("sip:bob@example.test")
RINGING = WatchedDialog(
    id="1",
    state=CallState.EARLY,
    direction="recipient",
    call_id="call",
    local_tag="bobs",
    remote_tag="carols",
    remote_target="sip:carol@192.0.2.3",
)


class Notifier:
    """Stands for the server of a watch: `ends` are how its subscriptions go, one after another."""

    def __init__(self, *ends):
        self.ends = list(ends)
        self.times = []
        self.refreshed = 0
        self.context = account_context()
        self.watch = Watch(BOB, lambda: (self.context, self))
        object.__setattr__(self.context.machine, "endpoint", self)

    async def first_hop(self, uri):
        self.times.append(asyncio.get_running_loop().time())
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        self.end = end
        return SimpleNamespace(flow=None, route_set=(), failover=None)

    def contact_for_flow(self, flow, user, **_):
        return None

    def subscribe(self, request, *, now):
        usage = Usage(self)
        if self.end is not None:
            loop = asyncio.get_running_loop()
            after, *how = self.end
            ended = SubscriptionTerminated(usage, *how)
            loop.call_later(after, lambda: self.watch.handle_event(ended))
        self.usage = usage
        return usage

    def notify(self, body, state="active"):
        fields = [("Subscription-State", state), ("Event", "dialog")]
        request = Request.build("NOTIFY", BOB, fields, body)
        self.watch.handle_event(NotifyReceived(self.usage, request, body))

    async def told(self):
        async with self.watch:
            return [event async for event in self.watch.events()]


class Usage:
    """A subscription: what a watch asks of it."""

    terminated = False
    dialog = SimpleNamespace(to=None, secure=False)

    def __init__(self, notifier):
        self.notifier = notifier

    def refresh(self, *, now, contact):
        self.notifier.refreshed += 1

    def unsubscribe(self, *, now):
        self.terminated = True


def waits_of(*ends):
    """What a watch waits before each further attempt, and what it tells in the end."""

    async def scene():
        notifier = Notifier(*ends)
        told = await notifier.told()
        return [event.retry_in for event in told], told[-1]

    return run_virtually(scene())


def test_failures_are_retried_ever_later_until_one_is_final():
    waits, last = waits_of(
        (0, 503, "busy"), TransportError("no way"), (0, 481, "gone"), (0, 404, "Not Found")
    )
    assert 2 <= waits[0] <= 4
    assert 4 <= waits[1] <= 8
    assert 8 <= waits[2] <= 16
    assert waits[3] is None
    assert (last.status, last.reason, last.active) == (404, "Not Found", False)


@pytest.mark.parametrize("reason", ["rejected", "noresource", "invariant", "Rejected"])
def test_what_the_notifier_calls_final_is_final(reason):
    assert waits_of((5, 0, reason))[0] == [None]


def test_a_certificate_that_is_refused_is_not_tried_again():
    waits, last = waits_of(CertificateError("another name"))
    assert waits == [None]
    assert last.reason == "another name"


def test_the_notifier_says_when_to_come_again_within_a_day():
    waits, _ = waits_of((0, 0, "probation", 900.0), (0, 0, "giveup", 1e9), (0, 403, "no"))
    assert waits == [900.0, 86400.0, None]


def test_a_subscription_that_lasted_is_no_failure():
    waits, _ = waits_of((0, 503, ""), (0, 503, ""), (3600, 0, "timeout"), (0, 403, ""))
    assert waits[2] < 2.0 + 1e-9


async def test_states_are_told_and_lost_with_the_subscription():
    notifier = Notifier(None)
    async with notifier.watch as watch:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        notifier.notify(None, state="pending")
        assert not watch.active
        notifier.notify(print_dialog_info(DialogInfo("sip:bob@h", 0, True, (RINGING,))))
        assert watch.dialogs == (RINGING,)
        assert await watch.ringing() == RINGING
        notifier.notify(Body("text/plain", b"nothing of the kind"))
        notifier.notify(Body(DIALOG_INFO, b"<broken"))
        assert watch.dialogs == (RINGING,)
    assert watch.dialogs == ()
    assert notifier.usage.terminated
    told = [event async for event in watch.events()]
    assert told == [WatchChanged(watch.user, True), DialogChanged(watch.user, RINGING)]


async def test_gaps_are_asked_for_only_now_and_then():
    notifier = Notifier(None)
    async with notifier.watch:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for version in range(0, 40, 2):
            notifier.notify(print_dialog_info(DialogInfo("sip:bob@h", version, False, ())))
    assert 1 <= notifier.refreshed <= 3


async def test_a_watch_that_has_not_begun_has_nothing():
    watch = Notifier(None).watch
    watch.refresh()
    watch.close()
    assert await watch.ringing(timeout=0.01) is None


def test_the_far_end_is_asked_to_replace_its_early_dialog():
    assert replacement(RINGING) == "call;to-tag=carols;from-tag=bobs;early-only"
    context = account_context()
    assert pickup_target(context, BOB, RINGING) == (RINGING.remote_target, replacement(RINGING))


@pytest.mark.parametrize(
    "change",
    [
        {"state": CallState.CONFIRMED},
        {"direction": "initiator"},
        {"call_id": ""},
        {"local_tag": ""},
        {"remote_tag": ""},
        {"remote_target": ""},
        {"call_id": "a\r\nX: y"},
        {"call_id": "a;to-tag=b"},
        {"local_tag": "a;x=y"},
        {"remote_tag": "a b"},
    ],
)
def test_too_little_and_nonsense_are_not_put_into_a_header_field(change):
    dialog = replace(RINGING, **change)
    assert replacement(dialog) is None
    with pytest.raises(ConfigurationError, match="feature code"):
        pickup_target(account_context(), BOB, dialog)


def test_else_the_feature_code_is_dialed():
    context = account_context(replace(PLAIN, pickup="*8{user}"))
    assert pickup_target(context, BOB, None) == ("*8bob", None)
    assert pickup_target(account_context(replace(PLAIN, pickup="*8")), BOB, None) == ("*8", None)


def test_watchers_are_listed_by_user_and_host():
    watchers = WatchersConfig(calls=True, pickup=("sip:bob@Example.test",))
    assert watchers.may_pick_up(SipUri.parse("sips:bob@example.test:5061"))
    assert not watchers.may_pick_up(SipUri.parse("sip:carol@example.test"))
    assert not watchers.may_pick_up(SipUri.parse("sip:bob@example.com"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"pickup": ("sip:bob@h",)}, "calls = true"),
        ({"calls": True, "pickup": ("sip:h",)}, "names no user"),
        ({"calls": True, "pickup": ("bob",)}, "not a SIP URI|not a sip"),
    ],
)
def test_watchers_that_make_no_sense_are_refused(options, why):
    with pytest.raises(ConfigurationError, match=why):
        WatchersConfig(**options)


@pytest.mark.parametrize("code", ["", "{", "*8{name}", "*8{user}@h", "*8 {user}"])
def test_a_code_that_cannot_be_dialed_is_refused(code):
    with pytest.raises(ConfigurationError):
        AccountConfig(aor="sip:a@h", registrar="sips:h", pickup=code)


async def test_presence_is_told_when_it_changes():
    notifier = Notifier(None)
    watch = notifier.watch = PresenceWatch(BOB, lambda: (notifier.context, notifier))
    async with watch:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert watch.presence is None
        for basic in ("open", "open", "closed"):
            data = (
                '<presence xmlns="urn:ietf:params:xml:ns:pidf"><tuple id="1"><status>'
                f"<basic>{basic}</basic></status></tuple></presence>"
            )
            notifier.notify(Body("application/pidf+xml", data.encode()))
        assert watch.presence == Presence(False)
    assert watch.presence is None
    told = [event.presence async for event in watch.events() if isinstance(event, PresenceChanged)]
    assert told == [Presence(True), Presence(False)]
