"""The page "Embedding": its program is called and stopped, and what the far end sees of that."""

from __future__ import annotations

import asyncio
import inspect
import re
import signal
import socket
import sys

import pytest

from softphone import (
    Call,
    IncomingCall,
    OutgoingCall,
    Phone,
    RegistrationState,
    load_account,
)
from softphone.errors import (
    AuthenticationFailed,
    NoAnswer,
    RegistrationRefused,
    RegistrationTimeout,
    TransportError,
)
from softphone.events import EndedBy
from softphone.lab import LabConfig, LabServer
from tests.docs.test_blocks import PROJECT, beside_a_lab, blocks_of, environment
from tests.support.waiting import PATIENCE

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
            ended = await asyncio.wait_for(call.ended(), PATIENCE)
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


class Pauses:
    """Stands for `asyncio` and `random` in the sample: a pause lets `meanwhile` happen."""

    def __init__(self, meanwhile=None):
        self.waited, self.meanwhile = [], meanwhile

    def uniform(self, low, high):
        return high

    async def sleep(self, seconds):
        self.waited.append(seconds)
        if self.meanwhile is not None and len(self.waited) == 2:
            await self.meanwhile()


def registering(pauses):
    """`register_when_possible` as the page has it."""
    sources = [each["source"] for each in blocks_of(PAGE)]
    source = next(each for each in sources if "def register_when_possible" in each)
    names: dict[str, object] = {}
    exec(source.partition("async def main")[0], names)
    names |= {"asyncio": pauses, "random": pauses}
    return names["register_when_possible"]


async def test_a_service_that_starts_before_its_server_is_registered_once_it_is_there(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        config = LabConfig(tls_port=probe.getsockname()[1])
    async with LabServer(tmp_path, config) as lab:
        account_file = load_account(lab.accounts["alice"])
    later = LabServer(tmp_path, config)
    pauses = Pauses(later.__aenter__)
    try:
        async with Phone() as phone:
            account = await registering(pauses)(phone, account_file.config)
            assert account.registration is RegistrationState.REGISTERED
    finally:
        await later.__aexit__(None, None, None)
    assert pauses.waited == [1.0, 2.0]


class Refusing:
    """A phone whose registrations fail with these errors, one after the other."""

    def __init__(self, *errors):
        self.errors = iter(errors)

    async def register(self, config):
        raise next(self.errors)


async def test_the_service_waits_as_the_server_asks_and_gives_up_what_will_not_pass():
    pauses = Pauses()
    passing = [RegistrationTimeout("silence"), *([TransportError("away")] * 6)]
    passing.append(RegistrationRefused("busy", status=503, retry_after=30.0))
    with pytest.raises(AuthenticationFailed):
        await registering(pauses)(Refusing(*passing, AuthenticationFailed("no")), None)
    assert pauses.waited == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 90.0]
    with pytest.raises(RegistrationRefused):
        await registering(pauses)(Refusing(RegistrationRefused("no", status=403)), None)


@pytest.mark.parametrize("kind", [IncomingCall, OutgoingCall, Call])
def test_the_table_of_methods_names_what_is_there(kind):
    """Each name is a member of its class, and `await` stands before what has to be awaited."""
    table = PAGE.read_text().partition("### What a window's buttons call\n")[2].partition("###")[0]
    section, named = "", set()
    for row in (line.split("|")[1:4] for line in table.splitlines() if line.startswith("|")):
        section = row[0].strip() or section
        if section in (f"`{kind.__name__}`", "all three"):
            named |= set(re.findall(r"`(await )?(\w+)(\([^`]*\))?`", row[2]))
    assert len(named) > 5
    for awaited, name, called in named:
        member = getattr(kind, name)
        assert callable(member) == bool(called), name
        if called:
            assert inspect.iscoroutinefunction(member) == bool(awaited), name
