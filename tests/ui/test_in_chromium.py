"""The page in a real browser: what a person sees, presses and hears read out."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from softphone import Phone, TrustStore, load_account
from softphone.config.directory_file import load_directories
from softphone.lab import LabConfig, LabServer
from softphone.monitoring import PageAccess
from softphone.security import SrtpPolicy
from softphone.ui import PageConfig, PhonePage
from tests.support.browser_tab import PATIENCE, tab
from tests.support.calling import answer_one
from tests.support.direct import address_of, clear

MARKUP = "<img src=x onerror=alert(1)>"
PRESS = "[...document.querySelectorAll('{} button')].find((b) => b.textContent === '{}').click()"
MOVED = """(() => {
  const one = (number) => ({ number, host: "h", port: 1, service: "s", names: [] });
  const now = state, two = { ...now, questions: [one(901), one(902)] };
  const all = () => [...document.querySelectorAll("#questions button")];
  const disabled = () => all().map((each) => each.disabled);
  show(two);
  const came = disabled();
  for (const each of all()) each.disabled = false;
  show(two);
  const stayed = disabled();
  show({ ...now, questions: [one(902)] });
  const moved = disabled();
  show(now);
  return [came, stayed, moved];
})()"""
"""Shows two questions, the same ones again, and the second alone; whether buttons are disabled."""
TEXT = "document.querySelector('{}')?.textContent"


async def test_a_person_sees_locks_and_reasons_and_calls_in_chromium(tmp_path):
    lab_config = LabConfig(directory=True)
    async with LabServer(tmp_path / "lab", lab_config) as lab, Phone() as phone:
        alice = load_account(lab.accounts["alice"]).config
        strange = load_account(lab.accounts["dave"]).config
        strange = replace(strange, tls=replace(strange.tls, ca=()))
        open_to_all = clear("here", SrtpPolicy.OPTIONAL)
        config = PageConfig(
            (alice, open_to_all, strange), load_directories(lab.directory_file).directories
        )
        bob = await phone.register(load_account(lab.accounts["bob"]).config)
        stranger = await phone.register(clear("stranger", display_name=MARKUP))
        async with (
            PhonePage(config, PageAccess(), trust=TrustStore()) as page,
            tab(tmp_path) as seen,
        ):
            await seen.do("Page.navigate", url=page.address)
            await _looks_at_an_idle_page(seen)
            await _refuses_a_certificate(seen)
            await _answers(seen, page, bob)
            await _sees_a_call_in_clear(seen, page, stranger)
            await _dials_by_keyboard(seen, bob)


async def _fits(seen):
    """Each width and scheme has a picture, and nothing sticks out."""
    for width, dark in ((360, False), (360, True), (1100, True)):
        assert len(await seen.picture(width, dark=dark)) > 10_000
        assert await seen.run("document.documentElement.scrollWidth") == width


async def _looks_at_an_idle_page(seen):
    await seen.until(f"{TEXT.format('#accounts li')}?.includes('registered, encrypted')")
    assert "code" not in await seen.run("location.href")
    assert await seen.run("document.cookie") == ""
    none = "[...document.querySelectorAll('[data-none]')].filter((e) => !e.hidden).length"
    assert await seen.run(none) == 2  # no call, no chat; certificates are there
    # Each icon is one of softphone.icons, and is drawn; the FIPS sign is for FIPS mode.
    found = (
        "[...document.querySelectorAll('use')].every((u) => find(u.getAttribute('href').slice(1)))"
    )
    assert await seen.run(found) is True
    assert await seen.run("document.querySelector('#accounts use').getBBox().width") > 0
    sign = (
        "show({ ...state, fips: %s }), document.querySelector('#fips-sign').getClientRects().length"
    )
    assert [await seen.run(sign % on) for on in ("true", "false")] == [1, 0]
    assert "No sound here" in await seen.run(TEXT.format("#sound"))
    # Everything that can be pressed or filled in has a name for who does not see it.
    nameless = (
        "[...document.querySelectorAll('button,input,select,textarea')].filter((e) => "
        "!(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).length"
    )
    assert await seen.run(nameless) == 0
    await _fits(seen)


async def _refuses_a_certificate(seen):
    await seen.until("!document.getElementById('questions').hidden")
    assert "SHA-256" in await seen.run(TEXT.format("#questions"))
    await _fits(seen)
    # A double click answers one question.
    assert await seen.run(MOVED) == [[True] * 4, [False] * 4, [True] * 2]
    await seen.until("!document.querySelector('#questions button').disabled")
    await seen.run(PRESS.format("#questions", "Refuse"))
    await seen.until(f"{TEXT.format('#certificates')}.includes('What to do')")
    await seen.until(f"{TEXT.format('#accounts')}.includes('failed')")
    await seen.until("document.getElementById('questions').hidden")


async def _answers(seen, page, bob):
    async with bob.dial("alice") as outgoing:
        await seen.until("!!document.querySelector('article.ringing')")
        # It is read out at once, with how secure it is.
        said = await seen.run(TEXT.format("#ringing"))
        assert "is calling you: Security not known yet." in said
        # The directory is asked while it rings.
        await seen.until(f"{TEXT.format('article.ringing h3')} === 'Bob Example'")
        await seen.run(PRESS.format("article.ringing", "Answer"))
        await asyncio.wait_for(outgoing.answered(), PATIENCE)
        await seen.until("!!document.querySelector('article.up .security.good')")
        assert "by its word to the far end" in await seen.run(TEXT.format("article.up .why"))
        await seen.run(PRESS.format("article.up", "SIP ladder"))
        await seen.until("document.getElementById('ladder').open")
        shown = await seen.run(TEXT.format("#ladder-text"))
        assert "INVITE" in shown
        await seen.run(PRESS.format("article.up", "Hold"))
        await seen.until("!!document.querySelector('article.held')")
        # It grows while it is open.
        await seen.until(f"{TEXT.format('#ladder-text')}.length > {len(shown)}")
        await seen.run("document.getElementById('ladder').close()")
    await seen.until("!!document.querySelector('article.over')")


async def _sees_a_call_in_clear(seen, page, stranger):
    own = page.state()["accounts"][1]
    assert own["state"] == "listening"
    here = next(each for each in page._phone.accounts if each.listening is not None)
    async with stranger.dial(address_of(here)) as outgoing:
        await seen.until("!!document.querySelector('article.ringing')")
        assert await seen.run(TEXT.format("article.ringing h3")) == MARKUP
        assert await seen.run("document.querySelectorAll('img').length") == 0
        assert "by its own word" in await seen.run(TEXT.format("article.ringing"))
        await seen.run(PRESS.format("article.ringing", "Answer"))
        await asyncio.wait_for(outgoing.answered(), PATIENCE)
        await seen.until("!!document.querySelector('article.up .security.bad')")
        assert "Not encrypted" in await seen.run(TEXT.format("article.up .security"))
        reasons = await seen.run(TEXT.format("article.up .reasons"))
        assert "the audio stream is in clear: turn SRTP on" in reasons
        await _fits(seen)
    await seen.until("!document.querySelector('article.up')")


async def _dials_by_keyboard(seen, bob):
    """A number is typed, Enter calls, and the focus stays in its field while states come."""
    answering = asyncio.ensure_future(answer_one(bob))
    await seen.run("document.getElementById('target').focus()")
    await seen.do("Input.insertText", text="bob")
    for kind in ("keyDown", "keyUp"):
        await seen.do("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r")
    call = await asyncio.wait_for(answering, PATIENCE)
    await seen.until("!!document.querySelector('article.up')")
    assert await seen.run("document.activeElement.id") == "target"
    await seen.until("document.getElementById('target').value === ''")
    call.hangup()
    await seen.until("!document.querySelector('article.up')")
