"""Stand-ins of services, and accounts whose calls they talk in."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from softphone.agents.realtime import RealtimeAgent, RealtimeConfig, RealtimeService
from softphone.security import KeyMaterial
from tests.agents.conftest import Serving
from tests.support.certificates import raw_server_context
from tests.support.realtime_service import start_service

KEY = "sk-of-the-tests-7f3a91"


@pytest.fixture
async def services():
    """`await services(stand_in, ...)`: it serves at its `url`; over TLS with `credential`."""
    async with AsyncExitStack() as stack:

        async def make(stand_in, *, credential=None, **options):
            context = None if credential is None else raw_server_context(credential)

            def keep(runner):
                stack.push_async_callback(runner.cleanup)

            await start_service(stand_in, keep, ssl_context=context, **options)
            return stand_in

        yield make


def realtime_config(url, service="openai", **given):
    """The configuration for a stand-in."""
    key = KeyMaterial(KEY.encode())
    if service == "gemini":
        given = {"model": "a-model", **given}
    return RealtimeConfig(service=RealtimeService(service), key=key, url=url, **given)


@pytest.fixture
async def talk(account_of):
    """`await talk(url, ...)`: the service talks in bob's calls."""
    async with AsyncExitStack() as stack:

        async def begin(url, *, policy=None, media=None, **given):
            account = await account_of("bob", **(media or {}), policy=policy)
            reports: list = []
            made = RealtimeAgent(account, realtime_config(url, **given), report=reports.append)
            task = asyncio.ensure_future(made.serve())

            async def end() -> None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

            stack.push_async_callback(end)
            return Serving(account, made, reports)

        yield begin
