"""The page of a phone, and a browser's requests to it; its state is held to the schema."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path

from jsonschema import Draft202012Validator

from softphone.monitoring import PageAccess
from softphone.ui import PageConfig, PhonePage
from tests.support.waiting import until
from tests.support.website import ask, browser, sign_in

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "page-state.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA)


class Visitor:
    """A browser that is signed in to a page."""

    def __init__(self, page, session, root):
        self.page, self.session, self.root = page, session, root

    @property
    def state(self):
        """What the page is told now, as the schema has it."""
        found = json.loads(json.dumps(self.page.state()))
        assert list(VALIDATOR.iter_errors(found)) == []
        return found

    @property
    def call(self):
        """The newest call."""
        return self.state["calls"][0]

    async def post(self, path, **body):
        """What an action answers: its JSON, {} for nothing, the text of a refusal."""
        own = {"Origin": self.page.url.rstrip("/")}
        status, _, text = await ask(self.session, "POST", self.root + path, json=body, headers=own)
        assert status in (200, 204, 400), (status, text)
        return text.strip() if status == 400 else json.loads(text or "{}")

    async def until_call(self, state):
        """Wait until the newest call is in a state; gives it."""
        await until(lambda: self.state["calls"] and self.call["state"] == state)
        return self.call

    async def ready(self, account=0):
        """Wait until an account can be used."""
        await until(lambda: self.state["accounts"][account]["usable"])


@asynccontextmanager
async def phone_page(*accounts, config=None, **more):
    """A page for these accounts, without a sound card, and who is signed in to it."""
    settings = PageConfig(accounts, **({"device": None} | (config or {})))
    async with PhonePage(settings, PageAccess(), **more) as page, browser() as session:
        yield Visitor(page, session, await sign_in(session, page))
