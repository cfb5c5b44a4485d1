"""Work in the background ends with its account, and harms nothing else."""

from __future__ import annotations

import asyncio

from softphone.account.context import BackgroundTasks
from softphone.errors import TransportError


async def test_what_goes_wrong_is_logged_by_whose_it_is(caplog):
    chores = BackgroundTasks("sip:alice@test")

    async def fail(error):
        raise error

    caplog.set_level("INFO", "softphone.account")
    chores.spawn(fail(TransportError("gone")))
    chores.spawn(fail(ZeroDivisionError("a bug")))
    while len(chores):  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]
    assert all("sip:alice@test" in record.message for record in caplog.records)


async def test_closing_leaves_none():
    chores = BackgroundTasks("sip:alice@test")
    ended = []

    async def wait():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    chores.spawn(wait())
    await asyncio.sleep(0)
    await chores.close()
    assert ended == [True]
    assert len(chores) == 0
