"""The page of a phone calls, answers and plays for its own person only, and asks before one more.

Attackers: another site in the same browser, a name that leads to loopback (DNS rebinding), another
user of the machine, who has stolen the next address; and a far end whose name is markup.
"""

from __future__ import annotations

import asyncio
import re
from importlib.resources import files

import pytest

from softphone.ui.phone_page import FILES, LARGEST_BODY
from softphone.web import web_site
from tests.support.direct import clear
from tests.support.phone_page import phone_page
from tests.support.waiting import patiently, until
from tests.support.website import COOKIE, ask, browser, sign_in, site

FOREIGN = (
    {"Host": "attacker.example:{port}"},
    {"Host": "127.0.0.1"},
    {"Origin": "null"},
    {"Origin": "http://attacker.example"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


async def test_no_action_and_no_event_is_for_another_page_or_user(monkeypatch):
    async with phone_page(clear("alice")) as page, browser() as other:
        await page.ready()
        done = []
        actions = page.page.site._content.post
        assert {"dial", "answer", "question", "voicemail-play", "send", "ladder"} <= actions.keys()
        for name in actions:
            monkeypatch.setitem(actions, name, done.append)
        own = {"Origin": page.page.url.rstrip("/")}
        for name in (*actions, "events", "", "phone.js"):
            method = "POST" if name in actions else "GET"
            body = {"json": {"call": 1}} if method == "POST" else {}
            for fields in FOREIGN:
                headers = {
                    key: value.format(port=page.page.site.port) for key, value in fields.items()
                }
                refused = await ask(
                    page.session, method, page.root + name, headers=own | headers, **body
                )
                assert refused[0] == 403, (name, fields)
            for headers in (own, own | {"Cookie": f"{COOKIE}={'0' * 48}"}):
                refused = await ask(other, method, page.root + name, headers=headers, **body)
                assert refused[0] == 403, name
        assert (await ask(page.session, "POST", page.root + "dial", json={}))[0] == 403  # no Origin
        assert done == []
        assert await page.post("dial") == {}
        assert done == [{}]


async def test_a_request_is_bounded():
    async with phone_page(clear("alice")) as page:
        own = {"Origin": page.page.url.rstrip("/")}
        body = {"to": "a@b", "text": "x" * LARGEST_BODY}
        large = await ask(page.session, "POST", page.root + "send", json=body, headers=own)
        assert large[0] == 413


async def test_one_more_browser_is_let_in_by_a_yes_only_and_not_for_ever(monkeypatch):
    asked, answers = [], [False, None, True]

    async def confirm():
        asked.append(1)
        answer = answers[len(asked) - 1]
        return await asyncio.Event().wait() if answer is None else answer

    async with site(confirm=confirm) as served, browser() as owner, browser() as other:
        root = await sign_in(owner, served)
        assert asked == []
        monkeypatch.setattr(web_site, "CONFIRM_PATIENCE", 0.05)
        for _ in range(2):  # a no, and nobody at the terminal
            stolen = served.address
            status, headers, _ = await ask(other, "GET", stolen)
            assert (status, "Set-Cookie" in headers) == (403, False)
            assert served.address != stolen
            assert (await ask(other, "GET", root))[0] == 403
        assert await sign_in(other, served) == root
        assert len(asked) == 3
        # A code that is wrong disturbs nobody.
        assert (await ask(other, "GET", served.url + "?code=" + "0" * 48))[0] == 403
        assert len(asked) == 3


async def test_nobody_gets_in_while_the_person_is_being_asked():
    asking, answer = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def confirm():
        asking.set()
        return await answer

    async with site(confirm=confirm) as served, browser() as owner, browser() as other:
        root = await sign_in(owner, served)
        used = served.address
        waiting = asyncio.ensure_future(ask(other, "GET", used))
        await patiently(asking.wait())
        async with browser() as third:
            assert (await ask(third, "GET", used))[0] == 403
            assert (await ask(third, "GET", root))[0] == 403
        answer.set_result(True)
        assert (await patiently(waiting))[0] == 303
        await until(lambda: served.sign_in.browsers == 2)


def test_the_page_writes_no_text_as_markup_and_loads_nothing_from_elsewhere():
    folder = files("softphone.ui").joinpath("static")
    for name in FILES:
        text = folder.joinpath(name).read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
        assert not re.search(r"\son\w+=|\sstyle=|javascript:|<style", text), name


@pytest.mark.parametrize("field", ["Content-Security-Policy", "Referrer-Policy"])
async def test_the_page_is_sent_under_a_strict_policy(field):
    async with phone_page(clear("alice")) as page:
        _, headers, _ = await ask(page.session, "GET", page.root)
        wanted = {
            "Content-Security-Policy": "default-src 'none'",
            "Referrer-Policy": "no-referrer",
        }
        assert wanted[field] in headers[field]
        assert "unsafe" not in headers[field]
        assert headers["X-Frame-Options"] == "DENY"
