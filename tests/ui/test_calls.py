"""Calls of the page: over verified TLS and in clear, each action, and what is refused."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from softphone import Phone
from softphone.config import DialPolicyConfig
from softphone.errors import CallError, Declined, MediaError
from softphone.events import DigitReceived, HoldChanged, TransferRequested
from softphone.security import SrtpPolicy
from softphone.ui import call_list
from tests.support.calling import answer_one, next_call
from tests.support.direct import address_of, clear, secure
from tests.support.phone_page import phone_page
from tests.support.waiting import PATIENCE, patiently, until


class Card:
    """A sound card: silence, and what is to be played is counted."""

    def __init__(self, name):
        self.name, self.clock_rate_hz = name, 48_000
        self.ended, self.heard, self.dropped_samples = False, 0, 0

    def read(self, samples):
        return np.zeros(samples, dtype=np.int16)

    def write(self, block):
        self.heard += block.pcm.size

    def close(self):
        self.ended = True


def ours(page):
    """The account of a page."""
    (account,) = page.page._phone.accounts
    return account


async def test_a_call_rings_with_its_lock_and_is_answered_held_and_hung_up(tmp_path):
    async with phone_page(secure(tmp_path, "alice")) as page, Phone() as phone:
        await page.ready()
        assert page.state["accounts"][0]["state"] == "listening"
        bob = await phone.register(secure(tmp_path, "bob"))
        async with bob.dial(address_of(ours(page))) as outgoing:
            call = await page.until_call("ringing")
            assert call["incoming"]
            assert call["lock"] is None
            assert call["title"] == "Security not known yet"
            assert call["address"] == "sip:bob@127.0.0.1"
            assert call["assurance"] == "verified"
            assert await page.post("answer", call=1) == {}
            far = await patiently(outgoing.answered())
            call = await page.until_call("up")
            assert (call["lock"], call["title"], call["reasons"]) == (True, "Encrypted", [])
            assert call["why"].startswith("encrypted end to end")
            heard = far.events()
            assert await page.post("hold", call=1) == {}
            await page.until_call("held")
            assert await page.post("resume", call=1) == {}
            await page.until_call("up")
            assert await page.post("mute", call=1, muted=True) == {}
            assert page.call["muted"]
            assert await page.post("digits", call=1, digits="1#") == {}
            assert [each.digit for each in await digits(heard, 2)] == ["1", "#"]
            ladder = await page.post("ladder", call=1)
            assert "INVITE" in ladder["ladder"]
            assert "a=crypto:" in ladder["messages"]
            assert "inline:***" in ladder["messages"]
            assert await page.post("hangup", call=1) == {}
            await patiently(far.ended())
        call = await page.until_call("over")
        assert (call["note"], call["lock"]) == ("ended here", True)
        assert await page.post("answer", call=1) == "the call does not ring any more"
        assert await page.post("hold", call=1) == "the call is not up"


async def digits(events, count):
    """The first digits among events, which has a hold among them."""
    found, holds = [], []
    async for event in events:
        found += [event] if isinstance(event, DigitReceived) else []
        holds += [event] if isinstance(event, HoldChanged) else []
        if len(found) == count:
            assert holds
            return found
    raise AssertionError("the call has ended")


async def test_a_call_in_clear_has_no_lock_and_says_why():
    alice = clear("alice", SrtpPolicy.OPTIONAL)
    async with phone_page(alice) as page, Phone() as phone:
        await page.ready()
        bob = await phone.register(clear("bob"))
        answering = asyncio.ensure_future(answer_one(bob))
        assert await page.post("dial", account=0, target=address_of(bob)) == {"call": 1}
        far = await patiently(answering)
        call = await page.until_call("up")
        assert (call["incoming"], call["lock"], call["title"]) == (False, False, "Not encrypted")
        texts = [each["text"] for each in call["reasons"]]
        assert "the audio stream is in clear" in texts
        assert all(each["hint"] for each in call["reasons"])
        far.hangup()
        assert (await page.until_call("over"))["note"] == "the other side ended it"


async def test_calls_are_declined_missed_and_given_up():
    async with phone_page(clear("alice")) as page, Phone() as phone:
        await page.ready()
        bob = await phone.register(clear("bob"))
        async with bob.dial(address_of(ours(page))) as outgoing:
            await page.until_call("ringing")
            assert await page.post("reject", call=1) == {}
            with pytest.raises(Declined):
                await patiently(outgoing.answered())
        async with bob.dial(address_of(ours(page))):
            await page.until_call("ringing")
        assert (await page.until_call("over"))["note"] == "missed"
        await page.post("dial", account=0, target=address_of(bob))
        incoming = await next_call(bob)
        incoming.ring()
        await page.until_call("alerting")
        assert await page.post("hangup", call=3) == {}
        await patiently(incoming.ended)
        async with bob.dial(address_of(ours(page))) as outgoing:
            await page.until_call("ringing")
            assert await page.post("hangup", call=4) == {}
            with pytest.raises(Declined):
                await patiently(outgoing.answered())


async def test_the_second_call_holds_the_first_and_both_are_connected():
    async with phone_page(clear("alice")) as page, Phone() as phone:
        await page.ready()
        bob, dave = [await phone.register(clear(name)) for name in ("bob", "dave")]
        answering = [asyncio.ensure_future(answer_one(each)) for each in (bob, dave)]
        await page.post("dial", account=0, target=address_of(bob))
        far_bob = await patiently(answering[0])
        await page.until_call("up")
        await page.post("dial", account=0, target=address_of(dave))
        await patiently(answering[1])
        await page.until_call("up")
        assert [each["state"] for each in page.state["calls"]] == ["up", "held"]
        assert await page.post("transfer", call=1, other=1) == "a call is not transferred to itself"
        transferring = asyncio.ensure_future(page.post("transfer", call=1, other=2))
        requested = await first(far_bob.events(), TransferRequested)
        assert requested.replaces
        answering = asyncio.ensure_future(answer_one(dave))
        assert await bob.accept_transfer(far_bob).answered(timeout=PATIENCE)
        assert await patiently(transferring) == {}
        await patiently(answering)
        await until(lambda: {each["state"] for each in page.state["calls"]} == {"over"})


async def first(events, kind):
    """The first event of a kind."""
    async for event in events:
        if isinstance(event, kind):
            return event
    raise AssertionError("the call has ended")


async def test_a_transfer_that_is_refused_is_told_and_the_call_goes_on():
    async with phone_page(clear("alice")) as page, Phone() as phone:
        await page.ready()
        bob = await phone.register(clear("bob"))
        answering = asyncio.ensure_future(answer_one(bob))
        await page.post("dial", account=0, target=address_of(bob))
        far = await patiently(answering)
        await page.until_call("up")
        transferring = asyncio.ensure_future(page.post("transfer", call=1, target="sip:x@h"))
        await first(far.events(), TransferRequested)
        far.reject_transfer()
        assert "603" in await patiently(transferring)
        assert page.call["note"].startswith("not transferred")
        assert page.call["state"] == "up"


@pytest.mark.parametrize("accepted", [True, False], ids=["go there", "stay"])
async def test_the_far_end_asks_to_go_elsewhere_and_a_person_decides(accepted):
    async with phone_page(clear("alice")) as page, Phone() as phone:
        await page.ready()
        bob, dave = [await phone.register(clear(name)) for name in ("bob", "dave")]
        answering = asyncio.ensure_future(answer_one(bob))
        await page.post("dial", account=0, target=address_of(bob))
        far = await patiently(answering)
        await page.until_call("up")
        transferring = asyncio.ensure_future(far.transfer(address_of(dave)))
        await until(lambda: page.call["transfer_to"])
        assert "dave" in page.call["transfer_to"]
        if not accepted:
            assert await page.post("reject-transfer", call=1) == {}
            with pytest.raises(CallError):
                await patiently(transferring)
            assert page.call["state"] == "up"
            return
        answering = asyncio.ensure_future(answer_one(dave))
        assert await page.post("accept-transfer", call=1) == {"call": 2}
        await patiently(answering)
        await patiently(transferring)
        assert (await page.until_call("up"))["number"] == 2
        await until(lambda: page.state["calls"][1]["state"] == "over")
        assert await page.post("accept-transfer", call=2) != {}


async def test_a_call_that_replaces_ours_is_answered_by_itself():
    async with phone_page(clear("alice")) as page, Phone() as phone:
        await page.ready()
        bob, dave = [await phone.register(clear(name)) for name in ("bob", "dave")]
        answering = asyncio.ensure_future(answer_one(bob))
        await page.post("dial", account=0, target=address_of(bob))
        far = await patiently(answering)
        other = asyncio.ensure_future(answer_one(dave))
        second = await bob.dial(address_of(dave)).answered(timeout=PATIENCE)
        third = await patiently(other)
        moving = asyncio.ensure_future(second.transfer(far))
        await first(third.events(), TransferRequested)
        assert await dave.accept_transfer(third).answered(timeout=PATIENCE)
        await patiently(moving)
        await until(lambda: [each["state"] for each in page.state["calls"]] == ["up", "over"])


async def test_the_dial_policy_judges_here_as_everywhere():
    policy = DialPolicyConfig(country="49")
    async with phone_page(clear("alice", dial_policy=policy)) as page:
        await page.ready()
        said = await page.post("dial", account=0, target="+49900123456@127.0.0.1")
        assert "premium" in said
        assert page.state["calls"] == []
        await until(lambda: page.state["notes"])
        assert "was not called" in page.state["notes"][0]["text"]


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("dial", {"account": 0}, "target: expected a text"),
        ("dial", {"account": 0, "target": "   "}, "target: expected a text"),
        ("dial", {"account": 0, "target": 600}, "target: expected a text"),
        ("dial", {"account": 0, "target": "6" * 257}, "256 characters at most"),
        ("dial", {"account": 0, "target": "sip:"}, "sip:"),
        ("dial", {"account": True, "target": "600"}, "account: expected a number"),
        ("dial", {"account": -1, "target": "600"}, "account: expected a number"),
        ("dial", {"account": 10**12, "target": "600"}, "account: expected a number"),
        ("dial", {"account": 1, "target": "600"}, "there is no such account"),
        ("dial", {"account": 0, "target": "6", "srtp": "off"}, "a field that nobody expects"),
        ("answer", {"call": 7}, "there is no such call any more"),
        ("answer", {}, "call: expected a number"),
        ("mute", {"call": 7, "muted": 1}, "there is no such call any more"),
        ("register", {"account": 3}, "there is no such account"),
    ],
)
async def test_what_is_no_request_of_the_page_is_refused(path, body, why):
    async with phone_page(clear("alice")) as page:
        await page.ready()
        assert why in await page.post(path, **body)
        assert page.state["calls"] == []


async def test_digits_and_flags_are_checked_in_a_call_and_calls_are_bounded(monkeypatch):
    monkeypatch.setattr(call_list, "MOST_CALLS", 1)
    monkeypatch.setattr(call_list, "MOST_ENDED", 1)
    async with phone_page(clear("alice")) as page, Phone() as phone:
        await page.ready()
        bob, dave = [await phone.register(clear(name)) for name in ("bob", "dave")]
        for number in (1, 2, 3):
            answering = asyncio.ensure_future(answer_one(bob))
            assert await page.post("dial", account=0, target=address_of(bob)) == {"call": number}
            await patiently(answering)
            await page.until_call("up")
            assert "expected 0-9" in await page.post("digits", call=number, digits="12x")
            assert "64 characters" in await page.post("digits", call=number, digits="1" * 65)
            assert "true or false" in await page.post("mute", call=number, muted=1)
            assert await page.post("dial", account=0, target="600") == "1 calls at most"
            with pytest.raises(CallError, match="486"):
                await dave.dial(address_of(ours(page))).answered(timeout=PATIENCE)
            await page.post("hangup", call=number)
            await page.until_call("over")
        assert [each["number"] for each in page.state["calls"]] == [3]


async def test_one_call_at_a_time_has_the_sound_card_and_nobody_after_the_last():
    cards = []

    def opened(name):
        cards.append(Card(name))
        return cards[-1]

    async with (
        phone_page(clear("alice"), config={"device": "card"}, open_device=opened) as page,
        Phone() as phone,
    ):
        await page.ready()
        assert not page.state["sound"]["usable"]  # this machine has none: nothing was opened yet
        bob, dave = [await phone.register(clear(name)) for name in ("bob", "dave")]
        fars = []
        for other in (bob, dave):
            answering = asyncio.ensure_future(answer_one(other))
            await page.post("dial", account=0, target=address_of(other))
            fars.append(await patiently(answering))
            await page.until_call("up")
            await until(lambda: cards and page.page._sound._call is not None)
        assert page.state["sound"] == {"usable": True, "problem": ""}
        (card,) = cards
        await until(lambda: card.heard)
        held = page.page._calls._entries[1].call
        assert page.page._sound._call is not held
        await page.post("hangup", call=2)
        await page.until_call("over")
        assert not card.ended
        await page.post("resume", call=1)
        assert page.page._sound._call is held
        await page.post("hangup", call=1)
        await until(lambda: card.ended)


async def test_a_sound_card_that_fails_is_told_and_the_call_goes_on():
    def broken(name):
        raise MediaError("the sound device 'card' cannot be opened")

    async with (
        phone_page(clear("alice"), config={"device": "card"}, open_device=broken) as page,
        Phone() as phone,
    ):
        await page.ready()
        bob = await phone.register(clear("bob"))
        answering = asyncio.ensure_future(answer_one(bob))
        await page.post("dial", account=0, target=address_of(bob))
        await patiently(answering)
        await page.until_call("up")
        await until(lambda: "cannot be opened" in page.state["sound"]["problem"])


async def test_what_has_changed_is_told_at_once_and_together():
    async with phone_page(clear("alice")) as page, Phone() as phone:
        await page.ready()
        bob = await phone.register(clear("bob"))
        async with page.session.get(page.root + "events") as stream:
            begun = await patiently(event_of(stream))
            assert begun["calls"] == []
            async with bob.dial(address_of(ours(page))):
                told = await patiently(event_of(stream))
                assert [each["state"] for each in told["calls"]] == ["ringing"]
            told = await patiently(event_of(stream))
            assert [each["state"] for each in told["calls"]] == ["over"]


async def event_of(stream):
    """The next state that a stream of events tells."""
    text = (await stream.content.readuntil(b"\n\n")).decode()
    name, data = text.strip().split("\n", 1)
    assert name == "event: state"
    return json.loads(data.removeprefix("data: "))
