"""A call as the command line holds it: it goes where it is sent, and comes to an end."""

from __future__ import annotations

import asyncio
import json
import sys
import wave

from softphone import AccountConfig, Phone
from softphone.events import CallState, EarlyMediaStarted
from softphone.sip import InviteAnswered, ProvisionalReceived, ResponseReceived
from tests.peers.direct import Desk, description
from tests.peers.phones import next_event
from tests.support.calling import next_call
from tests.support.waiting import PATIENCE


def direct(user):
    return AccountConfig(aor=f"sip:{user}@127.0.0.1", listen="udp:127.0.0.1:0")


def place(account, user):
    _, host, port = account.listening
    return f"sip:{user}@{host}:{port}"


async def begin(tmp_path, *options):
    """`softphone answer` on an account that is called directly, and where."""
    file = tmp_path / "direct.toml"
    file.write_text('aor = "sip:robot@127.0.0.1"\nlisten = "udp:127.0.0.1:0"\n')
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "softphone",
        "answer",
        "--account",
        str(file),
        "--json",
        *options,
        stdout=asyncio.subprocess.PIPE,
    )
    listening = json.loads(await asyncio.wait_for(process.stdout.readline(), PATIENCE))
    return process, f"sip:robot@{listening['address'].removeprefix('udp:')}"


async def outcome(process):
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode, [json.loads(line) for line in out.splitlines()]


async def heard(call, packets):
    """Wait until so many packets have come from the far end."""
    async with asyncio.timeout(PATIENCE):
        while call.audio.statistics.packets_received < packets:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_transfer_is_followed_and_the_last_call_is_summed_up(tmp_path):
    process, robot = await begin(tmp_path)
    async with Phone() as phone:
        alice, bob = await phone.register(direct("alice")), await phone.register(direct("bob"))
        call = await alice.dial(robot).answered(timeout=PATIENCE)
        transferring = asyncio.create_task(call.transfer(place(bob, "bob")))
        followed = await (await next_call(bob)).answer()
        await asyncio.wait_for(transferring, PATIENCE)
        await heard(followed, 10)
        followed.hangup()
        code, events = await outcome(process)
    assert code == 0
    assert "transfer" in [event["event"] for event in events]
    assert events[-1]["result"] == "completed"
    assert events[-1]["reason"] == "hung up by the far end"
    assert events[-1]["audio"]["packets_sent"] > 5


async def test_a_transfer_that_leads_nowhere_leaves_the_call(tmp_path):
    process, robot = await begin(tmp_path)
    async with Phone() as phone:
        alice, bob = await phone.register(direct("alice")), await phone.register(direct("bob"))
        call = await alice.dial(robot).answered(timeout=PATIENCE)
        transferring = asyncio.create_task(call.transfer(place(bob, "bob")))
        (await next_call(bob)).reject(486)
        await asyncio.wait([transferring], timeout=PATIENCE)
        assert transferring.exception() is not None
        call.hangup()
        code, events = await outcome(process)
    assert code == 0
    assert "transfer_failed" in [event["event"] for event in events]
    assert events[-1]["result"] == "completed"


async def test_a_duration_ends_it_by_us(tmp_path):
    process, robot = await begin(tmp_path, "--duration", "0.3")
    async with Phone() as phone:
        alice = await phone.register(direct("alice"))
        call = await alice.dial(robot).answered(timeout=PATIENCE)
        await asyncio.wait_for(call.ended(), PATIENCE)
        code, events = await outcome(process)
    assert (code, events[-1]["reason"]) == (0, "hung up by us")


def write_wav(path, seconds=0.4):
    """A loud square wave."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\x00\x40\x00\xc0" * round(4000 * seconds))
    return path


async def test_the_answer_follows_the_early_media(tmp_path):
    process, robot = await begin(tmp_path, "--early-media", str(write_wav(tmp_path / "wait.wav")))
    async with Phone() as phone:
        alice = await phone.register(direct("alice"))
        async with alice.dial(robot) as outgoing:
            await next_event(outgoing, EarlyMediaStarted)
            await outgoing.answered(timeout=PATIENCE)
        code, events = await outcome(process)
    names = [event["event"] for event in events]
    assert code == 0
    assert names.index("early_media") < names.index("answered")


async def test_early_media_is_heard_before_the_answer_and_a_caller_may_give_up(tmp_path):
    # Longer than the patience of all waits here: no late test meets the answer.
    file = write_wav(tmp_path / "wait.wav", seconds=3 * PATIENCE)
    process, robot = await begin(tmp_path, "--early-media", str(file))
    async with Phone() as phone:
        alice = await phone.register(direct("alice"))
        async with alice.dial(robot) as outgoing:
            await next_event(outgoing, EarlyMediaStarted)
            async with asyncio.timeout(PATIENCE):
                block = await outgoing.early_audio.read()
                while not any(bytes(block)):
                    block = await outgoing.early_audio.read()
            assert outgoing.state is CallState.EARLY
        code, events = await outcome(process)
    assert code == 1
    assert (events[-1]["result"], events[-1]["status"]) == ("failed", 487)


async def test_without_an_offer_and_100rel_it_only_rings(tmp_path, capfd):
    process, robot = await begin(
        tmp_path, "--early-media", str(write_wav(tmp_path / "wait.wav")), "--srtp", "off"
    )
    async with Desk(supported=("replaces",)) as desk:
        usage = desk.invite(robot, None)
        assert (await desk.expect(ProvisionalReceived)).response.status == 180
        await desk.expect(InviteAnswered)
        with desk.change() as now:
            usage.acknowledge(description(), now=now)
            usage.message(None, now=now)
        await desk.expect(ResponseReceived)  # by now the call is up there
        with desk.change() as now:
            usage.bye(now=now)
        code, events = await outcome(process)
    assert (code, events[-1]["result"]) == (0, "completed")
    assert "lacks 100rel" in capfd.readouterr().err
