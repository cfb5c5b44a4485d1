"""Directories, voicemail and chat on the page, against the lab's servers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone import Phone, TrustStore
from softphone.config import load_account
from softphone.config.directory_file import load_directories
from softphone.config.messaging_file import load_messaging
from softphone.config.voicemail_file import load_voicemail
from softphone.lab import LabConfig, LabServer
from softphone.lab.im_presence import IM_PRESENCE_DOMAIN
from softphone.lab.unity_connection import VoicemailFault
from softphone.security import KeyMaterial
from softphone.ui import mailbox
from softphone.ui.mailbox import Mailbox
from tests.support.direct import clear
from tests.support.phone_page import phone_page
from tests.support.waiting import patiently, until


def service(page, kind):
    """A service of a kind."""
    return next(each for each in page.state["services"] if each["kind"] == kind)


async def test_without_services_the_page_says_what_would_name_them():
    async with phone_page(clear("alice")) as page:
        assert page.state["services"] == []
        assert "[directory.NAME]" in await page.post("search", word="ann")
        assert "[voicemail]" in await page.post("voicemail")
        assert "[voicemail]" in await page.post("voicemail-play", id="0:1")
        assert "nobody is signed in" in await page.post("messages", peer="a@b")
        assert "nothing to sign in to" in await page.post("chat-sign-in")


async def test_people_are_found_and_the_mailbox_is_listed_marked_and_played(tmp_path, monkeypatch):
    async with LabServer(tmp_path, LabConfig(directory=True, voicemail=True)) as lab:
        config = {
            "directories": load_directories(lab.directory_file).directories,
            "voicemail": load_voicemail(lab.accounts["alice"]).config,
            "device": "card",
        }
        async with phone_page(clear("alice"), config=config) as page:
            await _search(page)
            await _listen(page, lab, monkeypatch)


async def _search(page):
    assert service(page, "directory")["lock"] is None
    found = await page.post("search", word="bob")
    assert [each["name"] for each in found["contacts"]] == ["Bob Example"]
    assert found["contacts"][0]["numbers"][0]["dialed"] == "1002"
    assert found["failures"] == []
    assert service(page, "directory")["lock"] is True
    assert (await page.post("search", word="zz"))["contacts"] == []
    assert "100 characters" in await page.post("search", word="z" * 101)


async def _listen(page, lab, monkeypatch):
    await until(lambda: page.state["voicemail"]["version"] > 0)
    assert service(page, "voicemail")["lock"] is True
    listed = await page.post("voicemail")
    assert [each["read"] for each in listed["messages"]] == [False, False, True]
    first = listed["messages"][0]
    assert await page.post("voicemail-mark", id=first["id"], read=True) == {}
    assert (await page.post("voicemail"))["messages"][0]["id"] != first["id"]
    assert "is no message" in await page.post("voicemail-mark", id="x", read=True)
    assert "there is no sound" in await page.post("voicemail-play", id=first["id"])
    monkeypatch.setattr(mailbox, "MOST_SHOWN", 2)
    assert (await page.post("voicemail"))["more"]
    lab.voicemail.faults.add(VoicemailFault.UNAVAILABLE)
    assert "503" in await page.post("voicemail")


@pytest.fixture
async def opened(tmp_path):
    """A mailbox of the page, with a sound card that plays until it is stopped."""
    async with LabServer(tmp_path, LabConfig(voicemail=True)) as lab, Phone() as phone:
        heard, secure = [], []

        class Sound:
            problem, device = "", "card"

        async def play(source, device, rate):
            heard.append((source.read(480).size, device, rate))
            await asyncio.Event().wait()

        made = Mailbox(
            load_voicemail(lab.accounts["alice"]).config,
            phone,
            Sound(),
            lambda: None,
            before_secure=lambda: secure.append(1),
            play=play,
        )
        made.start()
        made.heard, made.secure = heard, secure
        yield made
        await made.close()


async def test_a_message_is_played_by_the_sound_card_until_it_is_stopped(opened):
    listed = (await opened.show_messages({}))["messages"]
    secure = next(each["id"] for each in listed if each["secure"])
    plain = next(each["id"] for each in listed if not each["secure"])
    playing = asyncio.ensure_future(opened.play({"id": plain}))
    await until(lambda: opened.heard)
    assert opened.to_plain()["playing"] == plain
    assert opened.secure == []
    # Another one takes its place, and a secure one is kept from files of crashes first.
    other = asyncio.ensure_future(opened.play({"id": secure}))
    await patiently(playing)
    await until(lambda: len(opened.heard) == 2)
    assert opened.secure == [1, 1]
    assert opened.heard == [(480, "card", 48_000)] * 2
    await opened.stop({})
    await patiently(other)
    assert opened.to_plain()["playing"] == ""


async def test_a_mailbox_that_refuses_is_asked_again_only_when_a_person_says_so(tmp_path):
    async with LabServer(tmp_path, LabConfig(voicemail=True)) as lab:
        right = load_voicemail(lab.accounts["alice"]).config
        wrong = replace(right, password=KeyMaterial(b"wrong"))
        async with phone_page(clear("alice"), config={"voicemail": wrong}) as page:
            await until(lambda: service(page, "voicemail")["state"] == "failed")
            assert "401" in service(page, "voicemail")["why"]
            assert service(page, "voicemail")["lock"] is None
            assert await page.post("voicemail-again") == {}
            await until(lambda: service(page, "voicemail")["state"] == "failed")
        async with phone_page(clear("alice"), config={"voicemail": right}) as page:
            await until(lambda: service(page, "voicemail")["state"] == "ready")
            assert "asked already" in await page.post("voicemail-again")


async def test_a_chat_is_shown_with_its_lock_and_answered(tmp_path):
    async with LabServer(tmp_path, LabConfig(im_presence=True)) as lab, Phone() as phone:
        (one, first), (two, second) = list(lab.presence_accounts.items())[:2]
        config = {"messaging": load_messaging(first).config}
        mine, theirs = (f"{name}@{IM_PRESENCE_DOMAIN}" for name in (one, two))
        async with phone_page(clear("alice"), config=config) as page:
            other = await phone.sign_in(load_messaging(second).config)
            await until(lambda: service(page, "chat")["state"] == "signed in")
            assert service(page, "chat")["lock"] is True
            await other.send(mine, "<b>hello</b>")
            await until(lambda: any(each["unread"] for each in page.state["chat"]))
            assert page.state["chat"][0]["peer"] == theirs
            (message,) = (await page.post("messages", peer=theirs))["messages"]
            assert (message["body"], message["sent"]) == ("<b>hello</b>", False)
            assert message["sign"] == "lock"
            assert page.state["chat"][0]["unread"] == 0
            assert await page.post("send", to=theirs, text="good morning") == {}
            assert (await patiently(anext(aiter(other)))).body == "good morning"
            found = (await page.post("messages", peer=theirs))["messages"]
            assert [each["sent"] for each in found] == [False, True]
            assert "4000 characters" in await page.post("send", to=theirs, text="x" * 4001)
            assert "goes on already" in await page.post("chat-sign-in")


async def test_a_chat_that_refuses_says_why_and_is_tried_again(tmp_path):
    async with LabServer(tmp_path, LabConfig(im_presence=True)) as lab:
        config = load_messaging(next(iter(lab.presence_accounts.values()))).config
        strange = replace(config, tls=replace(config.tls, store=TrustStore()))
        async with phone_page(clear("alice"), config={"messaging": strange}, answer=_no) as page:
            await until(lambda: service(page, "chat")["state"] == "failed")
            (row,) = page.state["certificates"]
            assert row["of"] == config.jid
            assert row["wrong"]
            assert await page.post("chat-sign-in") == {}
            await until(lambda: service(page, "chat")["state"] == "failed")


async def _no(question):
    return False


async def test_an_account_without_tls_has_no_lock(tmp_path):
    async with (
        LabServer(tmp_path, LabConfig()) as lab,
        phone_page(load_account(lab.accounts["carol"]).config) as page,
    ):
        await page.ready()
        (account,) = page.state["accounts"]
        assert (account["state"], account["lock"]) == ("registered", False)
        assert account["why"] == "the signaling is not protected by TLS"
        assert page.state["certificates"] == []


async def test_an_account_that_fails_says_why_and_is_tried_again(tmp_path):
    async with LabServer(tmp_path, LabConfig()) as lab:
        config = load_account(lab.accounts["alice"]).config
        strange = replace(config, tls=replace(config.tls, ca=()))
        async with phone_page(strange, trust=TrustStore()) as page:
            await until(lambda: page.state["questions"])
            (question,) = page.state["questions"]
            assert question["service"] == "sip"
            assert await page.post("question", question=question["number"], accept=False) == {}
            await until(lambda: page.state["accounts"][0]["state"] == "failed")
            assert page.state["accounts"][0]["detail"]
            assert page.state["certificates"][0]["hint"]
            said = await page.post("dial", account=0, target="600")
            assert said == "the account is not registered"
            assert await page.post("register", account=0) == {}
            await until(lambda: page.state["questions"])
            number = page.state["questions"][0]["number"]
            assert await page.post("question", question=number, accept=True) == {}
            await until(lambda: page.state["accounts"][0]["state"] == "registered")
            assert page.state["accounts"][0]["lock"] is True
            whose = [each["whose"] for each in page.state["certificates"]]
            assert whose == ["server", "ours"]
            assert await page.post("register", account=0) == {}
            await until(lambda: page.state["accounts"][0]["state"] == "registered")
            assert await page.post("dial", account=0, target="600") == {"call": 1}
            await page.until_call("up")
            assert await page.post("register", account=0) == "a call is up"
