"""A user signs in on the page, in a real browser: inside with locks, outside through the edge."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from softphone.lab import LabServer
from softphone.monitoring import PageAccess
from softphone.net.dns import DnsResolver, ResolverConfig
from softphone.phone.user_sign_in import UserSignInCallbacks
from softphone.security import KeyMaterial
from softphone.trust.fips import random_bytes
from softphone.ui import PageConfig, PhonePage
from tests.support.browser_tab import PATIENCE, tab
from tests.support.im_presence import Given
from tests.support.phone_page import VALIDATOR
from tests.support.user_sign_in import EVERYTHING, config_of, password_of, resolver_of

TEXT = "document.querySelector('{}')?.textContent"
LOCKS = "[...document.querySelectorAll('#services li svg use')].map((e) => e.getAttribute('href'))"
ROWS = "[...document.querySelectorAll('#services li')].map((e) => e.textContent)"


async def _fits(seen):
    for width, dark in ((360, False), (1100, True)):
        assert len(await seen.picture(width, dark=dark)) > 10_000
        assert await seen.run("document.documentElement.scrollWidth") == width


def page_of(config, resolver, callbacks):
    return PhonePage(
        PageConfig(device=None, user=config),
        PageAccess(),
        trust=config.discovery.tls.store,
        callbacks=callbacks,
        resolver=resolver,
    )


async def test_a_person_signs_in_from_an_address_inside_and_outside(tmp_path):
    everything = replace(EVERYTHING, edge=True)
    async with LabServer(tmp_path / "lab", everything) as lab, tab(tmp_path) as seen:
        lab.im_presence.entropy = Given(lab.im_presence.entropy)
        await _inside(seen, lab, tmp_path)
        assert set(lab.registered) == set()
        await _outside(seen, lab, tmp_path)


async def _inside(seen, lab, folder):
    enrolling, told = asyncio.Event(), asyncio.Event()

    async def string(device):
        enrolling.set()
        await told.wait()
        return KeyMaterial(lab.capf.strings[device].encode())

    callbacks = UserSignInCallbacks(authentication_string=string)
    config = config_of(lab, folder)
    async with page_of(config, resolver_of(lab), callbacks) as page:
        await seen.do("Page.navigate", url=page.address)
        await asyncio.wait_for(enrolling.wait(), PATIENCE)
        # While it goes on: the steps so far, and which services are up already.
        await seen.until(f"{TEXT.format('#sign-in-state')} === 'alice@example.test: signing in'")
        await seen.until(f"{TEXT.format('#steps')}?.includes('home cluster')")
        await seen.until(f"{ROWS}.some((e) => e.startsWith('phone: signing in'))")
        assert VALIDATOR.is_valid(page.state())
        told.set()
        await seen.until(f"{TEXT.format('#sign-in-state')} === 'alice@example.test: signed in'")
        await seen.until(f"{LOCKS}.length === 4 && {LOCKS}.every((e) => e === '#lock')")
        rows = await seen.run(ROWS)
        assert [each.partition(":")[0].split()[0] for each in rows] == [
            "phone",
            "chat",
            "directory",
            "voicemail",
        ]
        assert all("signed in, encrypted, at " in each for each in rows), rows
        assert "by CISCO-VTG-TOKEN" in rows[1]
        assert "Disable_IM_History: applies: true" in await seen.run(TEXT.format("#steps"))
        assert "registered, encrypted" in await seen.run(TEXT.format("#accounts li"))
        assert VALIDATOR.is_valid(page.state())
        await _shows_no_secret(seen, page, lab, "alice")
        await _fits(seen)
        await _loses_the_chat(seen, lab)


async def _shows_no_secret(seen, page, lab, user):
    """Nothing that signed the user in is on the page, nor in what it was told."""
    # Session keys, to find the domain and to sign in, and a one-time password that was taken.
    given = lab.im_presence.entropy.made
    assert len(given) >= 3
    assert lab.im_presence.streams.mechanisms[-1] == "CISCO-VTG-TOKEN"
    password = password_of(lab, user).reveal().decode()
    said = str(page.state()) + await seen.run("document.documentElement.outerHTML")
    secrets = (password, *lab.capf.strings.values(), *given, *lab.edge.web.tickets)
    assert [each for each in secrets if each in said] == []
    given.clear()


async def _loses_the_chat(seen, lab):
    """The password is changed there: the chat is lost for good, and the others stay."""
    node = lab.im_presence
    node.passwords = {**node.passwords, "alice": KeyMaterial(b"another")}
    node.end_sessions()
    node.streams.cut()
    await seen.until(f"{ROWS}[1]?.includes(': lost')")
    assert await seen.run(LOCKS) == [
        "#lock",
        "#unknown",
        "#lock",
        "#lock",
    ]
    assert "user or password is wrong" in (await seen.run(ROWS))[1]
    assert "not signed in to: chat" in await seen.run(TEXT.format("#sign-in-why"))


async def _outside(seen, lab, folder):
    servers = ResolverConfig(nameservers=(lab.outside_dns.address,), hosts_file="/nonexistent")
    config = config_of(lab, folder, "carol")
    resolver = DnsResolver(servers, entropy=random_bytes)
    async with page_of(config, resolver, UserSignInCallbacks()) as page:
        await seen.do("Page.navigate", url=page.address)
        await seen.until(f"{TEXT.format('#sign-in-state')} === 'carol@example.test: signed in'")
        # The edge is verified, and decrypts: nobody gets a lock.
        await seen.until(f"{LOCKS}.filter((e) => e === '#lock-open').length === 4")
        assert "#lock" not in await seen.run(LOCKS)
        rows = await seen.run(ROWS)
        assert len(rows) == 4
        for each in rows:
            assert "encrypted as far as the edge server" in each
        assert "the edge server decrypts" in await seen.run(TEXT.format("#accounts li"))
        assert VALIDATOR.is_valid(page.state())
        assert set(lab.registered) == {"carol"}
        assert lab.edge.web.tickets
        await _shows_no_secret(seen, page, lab, "carol")
        await _fits(seen)
