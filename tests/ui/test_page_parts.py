"""What the parts of the page make of events and failures that a lab rarely has."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from softphone import Call, Phone, SoundDeviceInfo
from softphone.contacts import Contacts, UdsConfig
from softphone.errors import (
    CallError,
    CertificateUnknown,
    ConfigurationError,
    DirectoryError,
    SignInRefused,
)
from softphone.events import (
    CallRefused,
    CertificateKept,
    FlowLost,
    FlowRestored,
    MessageReceived,
    MessageWaiting,
    RegistrationChanged,
    RegistrationState,
    TrunkState,
)
from softphone.messaging.message import (
    EncryptionScope,
    Message,
    MessageDirection,
    MessageSecurity,
)
from softphone.monitoring import PageAccess
from softphone.ui import PageConfig, PhonePage, account_list, call_sound, chat
from softphone.ui.account_list import AccountEntry, AccountList
from softphone.ui.call_sound import NO_CARD, CallSound
from softphone.ui.chat import Chat
from softphone.ui.directory import Directory
from softphone.web import BadRequest
from tests.support.calling import answer_one
from tests.support.direct import address_of, clear
from tests.support.phone_page import phone_page
from tests.support.waiting import patiently, until


def nothing(*_):
    """Stands where a function is wanted."""


def scripted(*events):
    """An account that tells these events, and has no connection."""

    async def told():
        for event in events:
            yield event

    return SimpleNamespace(events=told, certificate_expiries={})


async def followed(*events):
    """What the page says after these events of an account: its entry, and the notes."""
    notes = []
    accounts = AccountList([clear("alice")], None, nothing, notes.append)
    entry = AccountEntry(clear("alice"))
    await accounts._follow_events(entry, scripted(*events))
    return entry, notes


async def test_what_happens_to_an_account_is_told():
    failed = RegistrationChanged(RegistrationState.FAILED, 403, "Forbidden")
    assert (await followed(failed))[0].detail == "403 Forbidden"
    restored = RegistrationChanged(RegistrationState.REGISTERED, 200, "OK")
    assert (await followed(failed, restored))[0].detail == ""
    assert (await followed(FlowLost("reset", 2.0)))[0].detail == "connection lost: reset"
    for hint, waiting in ((True, 1), (False, 0)):
        assert (await followed(MessageWaiting(hint)))[0].waiting == waiting
    assert (await followed(MessageWaiting(True, new=3)))[0].waiting == 3


async def test_what_a_person_should_know_is_noted_and_no_more():
    long = b"x" * 9000
    entry, notes = await followed(
        CallRefused("sip:x@h", 488, "its offer is in clear"),
        CertificateKept("SEP1", "CAPF is not reached"),
        MessageReceived("sip:y@h", "text/plain", b"hello \xff"),
        MessageReceived("sip:y@h", "text/plain", long),
        FlowRestored(),
    )
    assert notes[:3] == [
        "a call of sip:x@h was refused: its offer is in clear",
        "the certificate of SEP1 was not renewed: CAPF is not reached",
        "a message of sip:y@h (claimed): hello \N{REPLACEMENT CHARACTER}",
    ]
    assert [len(each) for each in notes[3:]] == [account_list.LONGEST_NOTE]
    assert entry.detail == ""


def test_an_account_of_a_trunk_shows_its_server():
    entry = AccountEntry(clear("alice"))
    assert entry.state == "registering"
    entry.account = SimpleNamespace(trunk=TrunkState.READY, signaling=None)
    assert entry.to_plain(0)["state"] == "trunk ready"
    assert entry.certificates(0.0) == []


async def test_a_hold_that_the_far_end_refuses_is_told_and_the_sound_stays(monkeypatch):
    async def refused(self, **_):
        raise CallError("488 Not Acceptable Here", status=488)

    async with phone_page(clear("alice")) as page, Phone() as phone:
        await page.ready()
        bob, dave = [await phone.register(clear(name)) for name in ("bob", "dave")]
        answering = [asyncio.ensure_future(answer_one(each)) for each in (bob, dave)]
        await page.post("dial", account=0, target=address_of(bob))
        await patiently(answering[0])
        await page.until_call("up")
        monkeypatch.setattr(Call, "hold", refused)
        given = []
        monkeypatch.setattr(page.page._sound, "give_to", _noting(given))
        assert "488" in await page.post("hold", call=1)
        assert len(given) == 1
        await page.post("dial", account=0, target=address_of(dave))
        await patiently(answering[1])
        await page.until_call("up")
        first = page.state["calls"][1]
        assert first["state"] == "up"
        assert first["note"].startswith("could not be put on hold")


def _noting(given):
    async def give_to(call):
        given.append(call)

    return give_to


@pytest.mark.parametrize(
    ("channels", "problem"), [((1, 2), ""), ((0, 2), NO_CARD), (None, NO_CARD)]
)
async def test_a_sound_card_is_looked_for_before_the_first_call(monkeypatch, channels, problem):
    card = () if channels is None else (SoundDeviceInfo(0, "card", "ALSA", *channels, 48_000),)
    monkeypatch.setattr(call_sound, "list_sound_devices", lambda: card)
    sound = CallSound("default", open_device=nothing)
    await sound.look()
    assert sound.problem == problem
    silent = CallSound(None, open_device=nothing)
    await silent.look()
    assert silent.problem == call_sound.NOT_WANTED
    silent.take_from(None)
    silent.close()


async def test_a_directory_that_fails_says_so_beside_one_that_answers():
    class Failing:
        name = "two"

        async def search(self, word, limit):
            raise CertificateUnknown("nobody knows who issued it")

    class Empty(Failing):
        name = "one"

        async def search(self, word, limit):
            return ()

    configs = [UdsConfig(name, "h.example.test") for name in ("one", "two")]
    phone = SimpleNamespace(open_directories=lambda _: Contacts((Empty(), Failing())))
    directory = Directory(configs, phone, nothing)
    directory.start()
    found = await directory.search({"word": "ann"})
    assert found["contacts"] == []
    assert [each.partition(":")[0] for each in found["failures"]] == ["two"]
    assert [each["lock"] for each in directory.services()] == [True, None]
    assert [name for name, _ in directory.refused()] == ["two"]
    directory._failures["two"] = DirectoryError("it is down")
    assert directory.refused() == []


class Client:
    """A chat client with messages of many peers; nobody is on the roster."""

    mechanism, is_up, peers, counters = "SCRAM-SHA-256", False, (), Counter()

    def __init__(self, messages):
        self._messages = messages

    def __aiter__(self):
        return self._given()

    async def _given(self):
        for message in self._messages:
            yield message
        await asyncio.Event().wait()

    def history(self, peer):
        return tuple(each for each in self._messages if each.peer == peer)


def message(number):
    peer = f"user{number}@h"
    security = MessageSecurity(EncryptionScope.CLIENT_TO_CLIENT)
    at = datetime(2026, 11, 29, tzinfo=UTC)
    return Message(str(number), peer, peer, "hello", at, MessageDirection.RECEIVED, security)


async def test_conversations_are_bounded_and_the_newest_comes_first(monkeypatch):
    monkeypatch.setattr(chat, "MOST_PEERS", 3)
    client = Client([message(number) for number in (1, 2, 3, 4, 2)])

    async def sign_in(config):
        return client

    phone = SimpleNamespace(sign_in=sign_in)
    talk = Chat(SimpleNamespace(jid="me@h"), phone, nothing)
    talk.start()
    await until(lambda: talk._received.get("user2@h") == 2)
    assert [each["peer"] for each in talk.peers()] == ["user2@h", "user4@h", "user3@h"]
    assert talk.peers()[0]["unread"] == 2
    # The connection is down for the moment: nothing is locked.
    service = talk.service()
    assert (service["state"], service["lock"]) == ("reconnecting", None)
    (shown, _) = (await talk.show_messages({"peer": "user2@h"}))["messages"]
    assert shown["sign"] == "key"
    assert talk.peers()[0]["unread"] == 0
    await talk.close()


async def test_a_chat_that_ends_says_why():
    async def refused(config):
        raise SignInRefused("the password is wrong")

    talk = Chat(SimpleNamespace(jid="me@h"), SimpleNamespace(sign_in=refused), nothing)
    talk.start()
    await until(lambda: talk.error is not None)
    assert talk.service()["state"] == "failed"
    assert "the password is wrong" in talk.service()["why"]
    assert talk.peers() == []
    with pytest.raises(BadRequest, match="nobody is signed in"):
        await talk.send({"to": "a@h", "text": "x"})


async def test_a_page_needs_an_account_and_a_free_port():
    with pytest.raises(ConfigurationError, match="needs an account"):
        PageConfig(())
    async with phone_page(clear("alice")) as page:
        taken = PageAccess(port=page.page.site.port)
        with pytest.raises(ConfigurationError, match="cannot be served"):
            async with PhonePage(PageConfig((clear("bob"),), device=None), taken):
                raise AssertionError("two have one port")
