"""Who is in a call, how it ends, and what its members are told."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from softphone.call import EventQueue
from softphone.errors import CallError, LocalProtocolError
from softphone.events import CallEnded, CallState, DigitReceived, EndedBy
from softphone.lab.calls import bridged_call
from softphone.lab.calls.bridged_call import HIDDEN, BridgedCall
from softphone.media.audio import ToneSource
from softphone.security import SecurityLevel
from softphone.sip import NameAddr, SipUri
from tests.support.calling import account_of, connect, eventually, level_heard, until
from tests.support.waiting import PATIENCE

ENCRYPTED, CLEAR = SecurityLevel.ENCRYPTED, SecurityLevel.NOT_SECURE
HUNG_UP = CallEnded(EndedBy.REMOTE)


class Negotiated:
    held = False
    video = None


class Secured:
    def __init__(self, level):
        self.hop_level = level


class FakeLeg:
    """A leg of a given level; `troubles` are raised by its re-INVITEs, in order."""

    def __init__(self, level, *troubles):
        self.security = Secured(level)
        self.negotiation = Negotiated()
        self.state = CallState.CONFIRMED
        self.stream = None
        self.flow = None
        self.usage = None
        self.event_queue = EventQueue()
        self.media_backend = None
        self.ended = asyncio.get_running_loop().create_future()
        self.troubles = list(troubles)
        self.heard = []
        self.named = []
        self.hung_up = False

    async def renegotiate(self, *, held, headers):
        await asyncio.sleep(0)
        if self.troubles:
            raise self.troubles.pop(0)
        self.heard.append(headers[0][1])
        self.named += [value for name, value in headers if name == "P-Asserted-Identity"]

    def hang_up(self, status=0, text="", *, q850_cause=0, headers=()):
        self.hung_up = True
        self.told_why = (status, text, q850_cause, headers)


async def settle():
    for _ in range(30):
        await asyncio.sleep(0)


def told(leg):
    return ["NotAuthenticated" not in word and "Encrypted" in word for word in leg.heard]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(bridged_call, "PAUSE", 0.0)


async def test_everybody_is_told_the_lowest_level_once():
    talk, secure, clear = BridgedCall(), FakeLeg(ENCRYPTED), FakeLeg(CLEAR)
    talk.add_member("alice", secure)
    talk.add_member("carol", clear)
    talk.announce()
    talk.announce()
    await settle()
    assert talk.level is CLEAR
    assert told(secure) == told(clear) == [False]


async def test_what_a_member_has_heard_already_is_not_said_again():
    talk, caller = BridgedCall(), FakeLeg(ENCRYPTED)
    talk.add_member("alice", caller, announced=ENCRYPTED)
    talk.add_member("bob", FakeLeg(ENCRYPTED))
    talk.announce()
    await settle()
    assert caller.heard == []


async def test_a_member_in_the_middle_of_another_change_is_told_after_it():
    busy = [LocalProtocolError("another change is under way")] * 3
    talk, leg = BridgedCall(), FakeLeg(ENCRYPTED, *busy)
    talk.add_member("alice", leg, announced=ENCRYPTED)
    talk.add_member("carol", FakeLeg(CLEAR))
    talk.announce()
    await settle()
    assert told(leg) == [False]


async def test_a_level_that_changes_while_it_is_told_is_told_again():
    talk, leg, clear = BridgedCall(), FakeLeg(ENCRYPTED), FakeLeg(CLEAR)
    talk.add_member("alice", leg, announced=ENCRYPTED)
    talk.add_member("bob", FakeLeg(ENCRYPTED), announced=ENCRYPTED)
    talk.add_member("carol", clear, announced=CLEAR)
    talk.announce()
    await asyncio.sleep(0)
    clear.ended.set_result(HUNG_UP)
    await settle()
    assert told(leg)[-1] is True


async def test_a_phone_that_refuses_the_word_is_not_pestered():
    talk, leg = BridgedCall(), FakeLeg(ENCRYPTED, CallError("no", status=488))
    talk.add_member("alice", leg, announced=ENCRYPTED)
    talk.add_member("carol", FakeLeg(CLEAR))
    talk.announce()
    await settle()
    talk.announce()
    await settle()
    assert leg.heard == []


@pytest.mark.parametrize(
    ("ended", "passed"),
    [
        (HUNG_UP, (0, "", 0, ())),
        (CallEnded(EndedBy.REMOTE, 200, "done", 16), (200, "done", 16, ())),
        (
            CallEnded(EndedBy.REMOTE, headers=(("X-Rating", "5"), ("Via", "here"))),
            (0, "", 0, (("X-Rating", "5"),)),
        ),
        (CallEnded(EndedBy.TIMEOUT, 408, "no session refresh"), (0, "", 0, ())),
    ],
)
async def test_the_last_member_is_told_what_the_far_end_said_and_no_more(ended, passed):
    talk, stays, leaves = BridgedCall(), FakeLeg(ENCRYPTED), FakeLeg(ENCRYPTED)
    talk.add_member("alice", stays)
    talk.add_member("bob", leaves)
    leaves.ended.set_result(ended)
    await settle()
    assert stays.told_why == passed


async def test_a_member_who_wants_to_stay_unknown_is_named_to_nobody():
    talk = BridgedCall(address_of=lambda name: NameAddr(name, SipUri("sip", name, None, "pbx")))
    alice, bob, frank = legs = [FakeLeg(ENCRYPTED) for _ in range(3)]
    talk.add_member("alice", alice, known_peer="bob", shown_as=HIDDEN)
    talk.add_member("bob", bob, known_peer=HIDDEN)
    talk.add_member("frank", frank)
    talk.announce()
    await settle()
    assert talk.shown_name(alice) == HIDDEN
    talk.release_leg(bob)
    await settle()
    assert frank.named == ['"conference" <sip:conference@pbx>']  # and no name after it
    assert not any("alice" in value for leg in legs for value in leg.named)
    other = BridgedCall(address_of=talk._address_of)
    talk.move_leg(alice, other)
    assert other.shown_name(alice) == HIDDEN


async def test_each_member_is_told_who_the_other_end_is_when_that_is_another():
    def address_of(name):
        return NameAddr(name, SipUri("sip", name, None, "pbx"))

    talk = BridgedCall(address_of=address_of)
    legs = [FakeLeg(ENCRYPTED) for _ in range(3)]
    alice, bob, frank = legs
    talk.add_member("alice", alice, announced=ENCRYPTED, known_peer="bob")
    talk.add_member("bob", bob, announced=ENCRYPTED, known_peer="alice")
    talk.announce()
    await settle()
    assert [leg.named for leg in legs] == [[], [], []]
    talk.add_member("frank", frank, announced=ENCRYPTED, known_peer="alice")
    talk.announce()
    await settle()
    several = '"conference" <sip:conference@pbx>'
    assert [leg.named for leg in legs] == [[several]] * 3
    assert talk.shown_name(bob) == "bob"
    talk.release_leg(bob)
    await settle()
    assert alice.named[1:] == ['"frank" <sip:frank@pbx>']
    assert frank.named[1:] == ['"alice" <sip:alice@pbx>']
    with talk.kept_open():
        frank.ended.set_result(HUNG_UP)
        await settle()
        assert len(alice.named) == 2  # nobody is there to be named
        talk.connect_service("600", ToneSource(440.0), None)
    await settle()
    assert alice.named[2:] == ['"600" <sip:600@pbx>']
    assert (talk.shown_name(frank), alice.hung_up) == ("", False)


async def test_the_last_member_is_hung_up():
    talk, one, other = BridgedCall(), FakeLeg(ENCRYPTED), FakeLeg(ENCRYPTED)
    talk.add_member("alice", one)
    talk.add_member("bob", other)
    one.ended.set_result(HUNG_UP)
    await settle()
    assert other.hung_up
    assert talk.members == ("bob",)


async def test_a_user_that_calls_itself_is_two_members():
    talk, one, other = BridgedCall(), FakeLeg(ENCRYPTED), FakeLeg(ENCRYPTED)
    talk.add_member("alice", one)
    talk.add_member("alice", other)
    assert talk.members == ("alice", "alice")
    other.ended.set_result(HUNG_UP)
    await settle()
    assert one.hung_up


@pytest.mark.parametrize("order", list(itertools.permutations("abc")), ids="".join)
async def test_three_parties_may_leave_in_any_order(lab, phone, order):
    accounts = [await account_of(lab, phone, name) for name in ("alice", "bob", "carol")]
    first, second = await connect(accounts[0], accounts[1], "bob")
    third = await accounts[2].dial("*5alice").answered(timeout=PATIENCE)
    calls = dict(zip("abc", (first, second, third), strict=True))
    await until(first, lambda state: not state.lock)
    leaver, stayer, last = order
    calls[leaver].hangup()
    if leaver == "c":
        await until(first, lambda state: state.lock)
    calls[stayer].audio.play(ToneSource(700.0))
    assert await level_heard(calls[last], 700.0) > -25
    calls[stayer].hangup()
    await asyncio.wait_for(calls[last].ended(), PATIENCE)
    await eventually(lambda: not lab.calls)


async def test_digits_go_through_to_everybody_else(lab, phone):
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    first, second = await connect(alice, bob, "bob")
    await until(first, lambda state: state.lock)
    await first.send_digits("4#")
    heard = []
    async with asyncio.timeout(PATIENCE):
        async for event in second.events():
            if isinstance(event, DigitReceived):
                heard.append(event.digit)
            if len(heard) == 2:
                break
    assert heard == ["4", "#"]


async def test_hold_by_a_member_leaves_the_others_talking(lab, phone):
    alice, bob, carol = [await account_of(lab, phone, name) for name in ("alice", "bob", "carol")]
    first, second = await connect(alice, bob, "bob")
    third = await carol.dial("*5alice").answered(timeout=PATIENCE)
    await until(first, lambda state: not state.lock)
    await first.hold()
    second.audio.play(ToneSource(700.0))
    assert await level_heard(third, 700.0) > -25
    await first.resume()
    assert await level_heard(first, 700.0) > -25


async def test_a_held_phone_hears_of_the_level_and_stays_held(lab, phone):
    alice, bob, carol = [await account_of(lab, phone, name) for name in ("alice", "bob", "carol")]
    first, _ = await connect(alice, bob, "bob")
    await until(first, lambda state: state.lock)
    await first.hold()
    await carol.dial("*5bob").answered(timeout=PATIENCE)
    await until(first, lambda state: not state.lock)
    assert first.held
    assert not first.audio.direction.receives


async def test_words_that_cross_a_hold_arrive_after_it(lab, phone):
    alice, bob, carol = [await account_of(lab, phone, name) for name in ("alice", "bob", "carol")]
    first, second = await connect(alice, bob, "bob")
    await until(first, lambda state: state.lock)
    await until(second, lambda state: state.lock)
    joining = asyncio.create_task(carol.dial("*5alice").answered(timeout=PATIENCE))
    for _ in range(3):
        await first.hold()
        await first.resume()
    await joining
    await until(first, lambda state: not state.lock)
    await until(second, lambda state: not state.lock)
