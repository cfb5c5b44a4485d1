"""Early media of two phones of one user behind Kamailio: the one that does not answer gives way."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from softphone.errors import Canceled
from softphone.events import CallState, EarlyMediaStarted, EndedBy
from softphone.media.audio import ToneSource
from tests.peers.direct import next_call, tone_level_of
from tests.peers.phones import AUDIBLE_DBM0, hears_soon, next_event
from tests.peers.test_kamailio_registrar import line_of
from tests.support.waiting import PATIENCE, patiently

__all__ = ["line_of"]


@pytest.mark.feature("early media")
@pytest.mark.parametrize("both", [False, True])
async def test_a_fork_with_early_media_gives_way_to_the_one_that_answers(kamailio, line_of, both):
    user = f"forked-{both}".lower()
    bots = [await line_of(user, instance=uuid.uuid4().urn) for _ in range(2)]
    caller = await line_of(f"forking-{both}".lower())
    async with caller.account.dial(user) as outgoing:
        waiting, answers = [await next_call(bot.account) for bot in bots]
        audio = await patiently(waiting.early_media())
        audio.play(ToneSource(660.0))
        early = await next_event(outgoing, EarlyMediaStarted)
        while await tone_level_of(outgoing.early_audio, 660.0) <= AUDIBLE_DBM0:
            pass
        assert outgoing.state is waiting.state is CallState.EARLY
        if both:
            (await patiently(answers.early_media())).play(ToneSource(440.0))
        answering = asyncio.create_task(answers.answer())
        call = await outgoing.answered(timeout=PATIENCE)
        ours = await patiently(answering)
        ours.audio.play(ToneSource(440.0))
        assert await hears_soon(call, 440.0)
        assert call.security.hop_level is early.security.hop_level
        assert (await patiently(waiting.ended)).by is EndedBy.REMOTE
        with pytest.raises(Canceled):
            await waiting.answer()
        ours.audio.play(None)
        assert ours.audio.statistics.authentication_failures == 0
