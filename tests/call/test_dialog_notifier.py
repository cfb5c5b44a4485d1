"""Watchers are told of calls: all changes of a turn at once, names to trusted ones only."""

from __future__ import annotations

import asyncio

import pytest

from softphone.call import DialogNotifier
from softphone.call.dialog_notifier import MAXIMUM_WATCHERS
from softphone.events import CallState, WatchedDialog
from softphone.sip import EventHandlers, Request
from softphone.sip.event_packages import parse_dialog_info
from tests.support.lone import Lone


class Leg:
    """Stands for a call's leg."""

    on_state = None
    state = CallState.TRYING

    def become(self, state):
        self.state = state
        if self.on_state is not None:
            self.on_state()


class Scene:
    """A notifier on an endpoint, and the watchers that the test plays."""

    def __init__(self):
        self.lone = Lone()
        self.handlers = EventHandlers()
        self.notifier = DialogNotifier("sip:us@h", self.run, self.handlers, self.view)
        self.calls = 0

    def run(self, command):
        command(self.lone.now)
        self.lone.drain()

    def view(self, id_, leg):
        return WatchedDialog(
            id=id_, state=leg.state, call_id="c", local_tag="l", remote_tag="r", remote_target="t"
        )

    def subscribe(self, *, trusted=True, expires=600):
        self.calls += 1
        headers = ("Event: dialog", f"Expires: {expires}")
        self.lone.say(self.lone.request("SUBSCRIBE", headers=headers, call_id=f"w{self.calls}"))
        subscription = self.lone.take("SubscribeReceived").subscription
        self.notifier.subscribe(subscription, trusted=trusted)
        return subscription

    def told(self):
        """The documents of the NOTIFYs since the last call."""
        sent, self.lone.out = self.lone.out, []
        notifies = [each for each in sent if isinstance(each, Request)]
        for each in notifies:
            self.lone.say(self.lone.response(each, 200))
        self.lone.out = []
        return [parse_dialog_info(each.body) for each in notifies if each.body]


async def turn():
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_call_is_told_from_its_beginning_to_its_end():
    scene, leg = Scene(), Leg()
    scene.subscribe()
    assert scene.told()[0].dialogs == ()
    scene.notifier.track_leg(leg)
    leg.become(CallState.EARLY)
    await turn()
    (info,) = scene.told()
    assert (info.version, info.full) == (1, True)
    assert [each.state for each in info.dialogs] == [CallState.EARLY]
    leg.become(CallState.TERMINATED)
    await turn()
    (info,) = scene.told()
    assert [each.state for each in info.dialogs] == [CallState.TERMINATED]
    assert leg.on_state is None
    scene.notifier.track_leg(Leg())
    await turn()
    assert [each.state for each in scene.told()[0].dialogs] == [CallState.TRYING]


async def test_who_comes_later_is_told_what_is_there():
    scene, leg = Scene(), Leg()
    scene.notifier.track_leg(leg)
    gone = Leg()
    scene.notifier.track_leg(gone)
    gone.become(CallState.TERMINATED)
    scene.subscribe()
    assert len(scene.told()[0].dialogs) == 1


@pytest.mark.parametrize("trusted", [True, False])
async def test_names_of_dialogs_are_for_trusted_watchers(trusted):
    scene = Scene()
    scene.notifier.track_leg(Leg())
    scene.subscribe(trusted=trusted)
    (dialog,) = scene.told()[0].dialogs
    names = (dialog.call_id, dialog.local_tag, dialog.remote_tag, dialog.remote_target)
    assert names == (("c", "l", "r", "t") if trusted else ("", "", "", ""))


async def test_a_refresh_brings_the_full_state_and_a_farewell_ends_it():
    scene = Scene()
    subscription = scene.subscribe()
    scene.told()
    scene.lone.say(refresh(scene, subscription, 2, 600))
    scene.handlers.handle_event(scene.lone.take("SubscriptionRefreshed"))
    scene.lone.drain()
    assert [info.version for info in scene.told()] == [1]
    assert scene.notifier.is_watched_by("far")
    assert not scene.notifier.is_watched_by("near")
    scene.lone.say(refresh(scene, subscription, 3, 0))
    scene.handlers.handle_event(scene.lone.take("SubscriptionTerminated"))
    assert len(scene.notifier) == 0
    assert not scene.notifier.is_watched_by("far")


def refresh(scene, subscription, cseq, expires):
    return scene.lone.request(
        "SUBSCRIBE",
        cseq=cseq,
        call_id="w1",
        to_tag=subscription.dialog.local.tag,
        headers=("Event: dialog", f"Expires: {expires}"),
    )


async def test_the_number_of_watchers_is_bounded():
    scene = Scene()
    for _ in range(MAXIMUM_WATCHERS):
        scene.subscribe()
        scene.told()
    assert len(scene.notifier) == MAXIMUM_WATCHERS
    scene.subscribe()
    assert scene.lone.heard() == [503]


async def test_a_watcher_that_does_not_answer_is_forgotten():
    scene = Scene()
    scene.subscribe()
    scene.lone.wait(40)
    scene.notifier.track_leg(Leg())
    await turn()
    assert len(scene.notifier) == 0


async def test_the_end_of_the_account_is_told():
    scene = Scene()
    scene.subscribe()
    scene.told()
    scene.notifier.close()
    state = scene.lone.last().subscription_state
    assert (state.state, state.reason) == ("terminated", "deactivated")
    assert len(scene.notifier) == 0
