"""The page "Embedding": its program is called and stopped, and what the far end sees of that."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from softphone import Phone, load_account
from softphone.errors import NoAnswer
from softphone.events import EndedBy
from softphone.lab import LabServer
from tests.docs.test_blocks import PROJECT, beside_a_lab, blocks_of, environment

__all__ = ["beside_a_lab"]

PAGE = PROJECT / "docs" / "guides" / "embedding.md"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_program_is_stopped_in_a_call_and_ends_cleanly(beside_a_lab, number):
    source = next(each["source"] for each in blocks_of(PAGE) if "signal.SIGTERM" in each["source"])
    (beside_a_lab / "program.py").write_text(source)
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(
        sys.executable, "program.py", env=environment(), stdout=pipe, stderr=pipe
    )
    try:
        assert await program.stdout.readline() == b"ready\n"
        async with Phone() as phone:
            alice = await phone.register(load_account("lab/alice.toml").config)
            call = await alice.dial("bob").answered(timeout=60)
            await call.audio.read(1600)
            program.send_signal(number)
            ended = await asyncio.wait_for(call.ended(), 20)
    finally:
        if program.returncode is None and sys.exc_info()[0] is not None:
            program.kill()
        printed, errors = await program.communicate()
    assert (ended.by, ended.status) == (EndedBy.REMOTE, 0)
    assert program.returncode == 0, errors
    assert b"Traceback" not in errors
    assert printed == b"ended: local 0\n"


async def test_a_call_that_rings_when_the_phone_is_left_gets_480(tmp_path):
    async with LabServer(tmp_path) as lab, Phone() as phone:
        alice = await phone.register(load_account(lab.accounts["alice"]).config)
        async with Phone() as left:
            bob = await left.register(load_account(lab.accounts["bob"]).config)
            dialing = asyncio.create_task(alice.dial("bob").answered(timeout=60))
            incoming = await anext(bob.incoming())
            incoming.ring()
        with pytest.raises(NoAnswer) as refused:
            await dialing
        ended = await incoming.ended
    assert refused.value.status == 480
    assert (ended.by, ended.status) == (EndedBy.LOCAL, 0)
    assert "| `local` | 0; the far end gets a BYE, or 480 while" in PAGE.read_text()
