"""A small site behind the sign-in, and a browser's requests to it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib.resources import files

import aiohttp
from aiohttp import web

from softphone.monitoring import PageAccess
from softphone.web import BadRequest, SiteContent, WebSite

COOKIE = "softphone-page"


class Changes(list):
    """What was changed, by POST."""

    def change(self, given):
        if "bad" in given:
            raise BadRequest("that cannot be")
        self.append(given)

    async def change_later(self, given):
        await asyncio.sleep(0)
        self.change(given)
        return {"changed": len(self)}


async def hello(request):
    return web.Response(text="hello")


@asynccontextmanager
async def site(changes=None, on_sign_in=lambda: None, get=None, confirm=None, **access):
    page = files("softphone.web").joinpath("__init__.py")
    made = Changes() if changes is None else changes
    content = SiteContent(
        files={"index.js": _Named(page, "index.js")},
        index="index.js",
        get={"hello": hello} | (get or {}),
        post={"change": made.change, "later": made.change_later},
    )
    served = WebSite(
        content, PageAccess(**access), what="the page", on_sign_in=on_sign_in, confirm=confirm
    )
    async with served:
        yield served


class _Named:
    """A file under another name."""

    def __init__(self, file, name):
        self.name, self._file = name, file

    def read_text(self, encoding):
        return self._file.read_text(encoding)


@asynccontextmanager
async def browser(**settings):
    """A client that follows no redirect by itself, and keeps the cookies of addresses, too."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, **settings) as session:
        yield session


async def ask(session, method, url, **how):
    """The status, the headers and the text of an answer."""
    async with session.request(method, url, allow_redirects=False, **how) as answer:
        return answer.status, answer.headers, await answer.text()


async def sign_in(session, served, address=None):
    """Sign in by a code; the address of the root."""
    status, headers, _ = await ask(session, "GET", address or served.address)
    assert status == 303
    return served.url.rstrip("/") + headers["Location"]
