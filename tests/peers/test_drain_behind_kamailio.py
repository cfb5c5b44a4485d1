"""Two bots of one user behind Kamailio: one is drained while callers come in, and none is lost."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress

import pytest

from softphone.errors import SoftphoneError
from softphone.events import EndedBy, RegistrationState
from softphone.media.audio import ToneSource
from tests.peers.phones import AUDIBLE_DBM0, level_heard
from tests.peers.test_kamailio_registrar import line_of
from tests.support.waiting import PATIENCE, patiently, until

__all__ = ["line_of"]

CALLERS = 6


def serve(line):
    """Answer the calls of a line, side by side; gives those that are up, and the task."""
    calls = []

    async def take(incoming):
        with suppress(SoftphoneError):  # another bot was faster
            calls.append(await incoming.answer())

    async def answer():
        async with asyncio.TaskGroup() as answers:
            async for incoming in line.account.incoming():
                answers.create_task(take(incoming))

    return calls, asyncio.create_task(answer())


@pytest.mark.parametrize("order", ["first", "last"])
async def test_no_caller_is_lost_when_one_of_two_bots_is_drained(kamailio, line_of, order):
    user = f"bot-{order}"
    bots = [await line_of(user, instance=uuid.uuid4().urn) for _ in range(2)]
    leaving, staying = bots
    caller = await line_of(f"caller-{order}")
    # Both ring, and the one that is going to leave answers.
    left_calls, left_task = serve(leaving)
    theirs = await caller.account.dial(user).answered(timeout=PATIENCE)
    kept_calls, kept_task = serve(staying)
    try:
        draining = asyncio.create_task(leaving.account.drain(timeout=PATIENCE, unregister=order))
        # Callers come in from the first moment of the drain on: while the binding is going, too.
        late = await patiently(
            asyncio.gather(
                *(caller.account.dial(user).answered(timeout=PATIENCE) for _ in range(CALLERS))
            )
        )
        assert len(late) == CALLERS
        await until(lambda: len(kept_calls) >= CALLERS)
        if order == "first":
            assert leaving.account.registration is RegistrationState.UNREGISTERED
        # The call on the bot that leaves goes on, in sound and in signaling.
        (ours,) = left_calls
        ours.audio.play(ToneSource(440.0))
        assert await level_heard(theirs, 440.0) > AUDIBLE_DBM0
        await ours.hold()
        await ours.resume()
        for call in (theirs, *late):
            call.hangup()
        assert await patiently(draining)
        assert (await patiently(ours.ended())).by is EndedBy.REMOTE
        assert leaving.account.registration is RegistrationState.UNREGISTERED
        assert staying.account.registration is RegistrationState.REGISTERED
    finally:
        left_task.cancel()
        kept_task.cancel()
