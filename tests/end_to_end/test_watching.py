"""Watching other users' calls and picking them up: through the lab, and from phone to phone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.config import WatchersConfig, load_account
from softphone.errors import CallError, ConfigurationError
from softphone.events import CallState, DialogChanged, Presence, RegistrationState, WatchChanged
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.security import SecurityLevel
from tests.support.calling import account_of, connect, eventually, level_heard, next_call
from tests.support.direct import address_of, clear, secure
from tests.support.waiting import PATIENCE


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


class Seen:
    """What a watch has told: the states of calls, and of itself."""

    def __init__(self, watch):
        self.events = []
        self._task = asyncio.create_task(self._follow(watch))

    async def _follow(self, watch):
        async for event in watch.events():
            self.events.append(event)

    @property
    def dialogs(self):
        return [each.dialog for each in self.events if isinstance(each, DialogChanged)]

    @property
    def states(self):
        return [dialog.state for dialog in self.dialogs]

    @property
    def watch(self):
        return [each for each in self.events if isinstance(each, WatchChanged)]

    async def until(self, state):
        await eventually(lambda: state in self.states)
        return next(dialog for dialog in self.dialogs if dialog.state is state)


async def test_a_watcher_sees_a_call_ring_be_answered_and_end(lab, phone):
    alice, bob, dave = [await account_of(lab, phone, name) for name in ("alice", "bob", "dave")]
    async with dave.watch("bob") as watch:
        seen = Seen(watch)
        await eventually(lambda: watch.active)
        assert watch.dialogs == ()
        answered = asyncio.create_task(alice.dial("bob").answered(timeout=PATIENCE))
        incoming = await next_call(bob)
        incoming.ring()
        rang = await seen.until(CallState.EARLY)
        await incoming.answer()
        call = await answered
        assert (rang.direction, rang.remote_uri) == ("recipient", "sip:alice@127.0.0.1")
        answered = await seen.until(CallState.CONFIRMED)
        assert answered.id == rang.id
        assert [dialog.id for dialog in watch.dialogs] == [rang.id]
        call.hangup()
        await seen.until(CallState.TERMINATED)
        assert watch.dialogs == ()
    assert seen.watch[0] == WatchChanged(watch.user, True)


async def test_a_caller_is_seen_as_the_one_who_called(lab, phone):
    alice, bob, dave = [await account_of(lab, phone, name) for name in ("alice", "bob", "dave")]
    async with dave.watch("alice") as watch:
        seen = Seen(watch)
        await connect(alice, bob, "bob")
        answered = await seen.until(CallState.CONFIRMED)
        assert answered.direction == "initiator"


async def test_a_ringing_call_is_picked_up_and_both_are_heard(lab, phone):
    alice, bob, dave = [await account_of(lab, phone, name) for name in ("alice", "bob", "dave")]
    async with dave.watch("bob") as watch:
        answered = asyncio.create_task(alice.dial("bob").answered(timeout=PATIENCE))
        ringing = await next_call(bob)
        ringing.ring()
        await eventually(lambda: any(d.state is CallState.EARLY for d in watch.dialogs))
        dialog = await watch.ringing()
        call = await dave.pick_up("bob", dialog).answered(timeout=PATIENCE)
        other = await asyncio.wait_for(answered, PATIENCE)
        await asyncio.wait_for(ringing.ended, PATIENCE)
        assert call.security.hop_level is SecurityLevel.ENCRYPTED
        call.audio.play(ToneSource(700.0, 8000))
        await heard(other, 700.0)
        other.audio.play(ToneSource(900.0, 8000))
        await heard(call, 900.0)
        call.hangup()
        await asyncio.wait_for(other.ended(), PATIENCE)


async def test_who_does_not_watch_picks_nothing_up(lab, phone):
    alice, bob, dave = [await account_of(lab, phone, name) for name in ("alice", "bob", "dave")]
    async with alice.dial("bob") as outgoing:
        answered = asyncio.ensure_future(outgoing.answered(timeout=PATIENCE))
        ringing = await next_call(bob)
        ringing.ring()
        async with dave.watch("bob") as watch:
            await eventually(lambda: any(d.state is CallState.EARLY for d in watch.dialogs))
            (dialog,) = watch.dialogs
        # The subscription has ended when the INVITE comes, on the same connection.
        with pytest.raises(CallError) as caught:
            await dave.pick_up("bob", dialog).answered(timeout=PATIENCE)
        assert caught.value.status == 403
        assert ringing.unanswered
        answered.cancel()


async def test_an_answered_call_is_not_picked_up(lab, phone):
    alice, bob, dave = [await account_of(lab, phone, name) for name in ("alice", "bob", "dave")]
    async with dave.watch("bob") as watch:
        call, _ = await connect(alice, bob, "bob")
        await eventually(lambda: any(d.state is CallState.CONFIRMED for d in watch.dialogs))
        assert await watch.ringing() is None
        early = replace(watch.dialogs[0], state=CallState.EARLY)
        with pytest.raises(CallError) as caught:
            await dave.pick_up("bob", early).answered(timeout=PATIENCE)
        assert caught.value.status == 486
        assert call.state is CallState.CONFIRMED


async def test_a_watch_of_nobody_ends_and_says_why(lab, phone):
    alice = await account_of(lab, phone, "alice")
    async with alice.watch("nobody") as watch:
        told = [event async for event in watch.events()]
        assert told == [WatchChanged(watch.user, False, 404, "Not Found")]
        assert await watch.ringing() is None


async def test_a_watch_outlives_the_connection(lab, phone):
    alice, bob, dave = [await account_of(lab, phone, name) for name in ("alice", "bob", "dave")]
    async with dave.watch("bob") as watch:
        await eventually(lambda: watch.active)
        lab.cut_connection("dave")
        await eventually(lambda: dave.registration is not RegistrationState.REGISTERED)
        await eventually(lambda: dave.registration is RegistrationState.REGISTERED)
        await connect(alice, bob, "bob")
        await eventually(lambda: any(d.state is CallState.CONFIRMED for d in watch.dialogs))


async def heard(call, frequency):
    """Wait until a tone is heard."""
    async with asyncio.timeout(PATIENCE):
        while await level_heard(call, frequency) < -30:
            pass


# From phone to phone


@pytest.mark.parametrize("listed", [True, False])
async def test_call_id_and_tags_are_for_listed_watchers_only(phone, listed):
    pickup = ("sip:carol@127.0.0.1",) if listed else ("sip:carol@192.0.2.1",)
    watchers = WatchersConfig(calls=True, pickup=pickup)
    alice, carol = [await phone.register(clear(name)) for name in ("alice", "carol")]
    bob = await phone.register(clear("bob", accept_from=("127.0.0.1",), watchers=watchers))
    async with carol.watch(address_of(bob)) as watch:
        await eventually(lambda: watch.active)
        answered = asyncio.create_task(alice.dial(address_of(bob)).answered(timeout=PATIENCE))
        incoming = await next_call(bob)
        incoming.ring()
        await eventually(lambda: any(d.state is CallState.EARLY for d in watch.dialogs))
        (dialog,) = watch.dialogs
        assert (dialog.direction, dialog.remote_uri) == ("recipient", "sip:alice@127.0.0.1")
        names = (dialog.call_id, dialog.local_tag, dialog.remote_tag, dialog.remote_target)
        assert all(names) if listed else not any(names)
        if listed:
            assert dialog.call_id == incoming.id
            assert dialog.call_id not in repr(dialog)
        else:
            with pytest.raises(ConfigurationError, match="feature code"):
                carol.pick_up(address_of(bob), dialog)
        incoming.reject()
        await eventually(lambda: not watch.dialogs)
        with pytest.raises(CallError):
            await answered


async def test_a_stranger_is_refused(phone):
    watchers = WatchersConfig(calls=True)
    carol = await phone.register(clear("carol"))
    bob = await phone.register(clear("bob", watchers=watchers))
    async with carol.watch(address_of(bob)) as watch:
        assert [(e.status, e.retry_in) async for e in watch.events()] == [(403, None)]


async def test_who_has_a_verified_certificate_may_watch_but_not_name_dialogs(phone, tmp_path):
    watchers = WatchersConfig(calls=True, pickup=("sip:carol@127.0.0.1",))
    alice, carol = [await phone.register(secure(tmp_path, name)) for name in ("alice", "carol")]
    bob = await phone.register(secure(tmp_path, "bob", watchers=watchers))
    async with carol.watch(address_of(bob)) as watch:
        await connect(alice, bob, address_of(bob))
        await eventually(lambda: any(d.state is CallState.CONFIRMED for d in watch.dialogs))
        (dialog,) = watch.dialogs
        assert not any((dialog.call_id, dialog.local_tag, dialog.remote_tag))


async def test_nobody_watches_where_it_is_not_configured(phone):
    carol = await phone.register(clear("carol"))
    bob = await phone.register(clear("bob", accept_from=("127.0.0.1",)))
    async with carol.watch(address_of(bob)) as watch:
        assert [e.status async for e in watch.events()] == [489]


async def test_a_feature_code_is_dialed_where_too_little_is_told(lab, phone):
    config = load_account(lab.accounts["alice"]).config
    alice = await phone.register(replace(config, pickup="60{user}"))
    async with alice.pick_up("0") as outgoing:
        assert str(outgoing.peer.uri) == "sip:600@127.0.0.1"
        await outgoing.answered(timeout=PATIENCE)


# Presence


async def test_published_presence_follows_calls_until_the_account_leaves(lab, phone):
    config = replace(load_account(lab.accounts["bob"]).config, publish_presence=True)
    bob = await phone.register(config)
    alice = await account_of(lab, phone, "alice")
    async with alice.watch_presence("bob") as watch:
        await eventually(lambda: watch.presence == Presence(True))
        async with bob.dial("600") as outgoing:
            await outgoing.answered(timeout=PATIENCE)
            await eventually(lambda: watch.presence == Presence(True, on_the_phone=True))
        await eventually(lambda: watch.presence == Presence(True))
        await phone.close(bob)
        await eventually(lambda: watch.presence == Presence(False))


async def test_who_has_published_nothing_is_not_available(lab, phone):
    dave = await account_of(lab, phone, "dave")
    async with dave.watch_presence("alice") as watch:
        await eventually(lambda: watch.presence == Presence(False))
