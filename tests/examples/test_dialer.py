"""The dialer with answering machine detection."""

from __future__ import annotations

import asyncio
import csv
import io
import wave

import numpy as np

from softphone.media.audio import tone_level
from tests.support.calling import answer_one
from tests.support.sounds import samples, silence, speech, tone

MESSAGE_HZ = 700.0


def wav(path, pcm):
    """A WAV file of 16-bit samples at 8 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(pcm.astype("<i2").tobytes())
    return path


async def play_and_hear(account, pcm):
    """Answer the next call, say `pcm`, and return all that is heard until the caller hangs up."""
    call = await answer_one(account)
    call.audio.use_rates(read_hz=8000, write_hz=8000)
    await call.audio.write(pcm)
    heard = [block.pcm async for block in call.audio]
    return np.concatenate(heard)


def message_in(pcm):
    """The seconds of it that are the message."""
    pieces = [pcm[at : at + 800] for at in range(0, pcm.size - 800, 800)]
    return sum(tone_level(piece, MESSAGE_HZ, 8000) > -25.0 for piece in pieces) / 10


async def test_people_and_machines_hear_the_message_at_their_time(lab, account_of, run, tmp_path):
    message = wav(tmp_path / "message.wav", samples(tone(MESSAGE_HZ, seconds=1.0)))
    person, machine = await account_of("bob"), await account_of("dave")
    person_says = samples(speech(0.8), silence(6.0))
    beep = tone(1000.0, seconds=0.4)
    machine_says = samples(speech(4.0), silence(0.4), beep, silence(6.0))
    called = [
        asyncio.create_task(play_and_hear(person, person_says)),
        asyncio.create_task(play_and_hear(machine, machine_says)),
    ]
    numbers = ["bob", "dave", "nobody"]
    async with run("dialer.py", lab.accounts["alice"], "--message", message, *numbers) as dialer:
        assert await dialer.ended() == 0
    rows = list(csv.DictReader(io.StringIO("\n".join(dialer.printed))))
    outcome = {row["number"]: row["outcome"] for row in rows}
    assert outcome["bob"] == "human, message played"
    assert outcome["dave"] == "machine, message played"
    assert outcome["nobody"].startswith("failed")
    heard_by_person, heard_by_machine = await asyncio.gather(*called)
    assert 0.8 <= message_in(heard_by_person) <= 1.2
    assert 0.8 <= message_in(heard_by_machine) <= 1.2
    # Not over the machine's greeting: what it records begins after its beep.
    assert message_in(heard_by_machine[: 8000 * 4]) == 0.0
