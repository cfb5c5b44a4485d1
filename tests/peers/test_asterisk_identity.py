"""Who is at the other end, by a real Asterisk 22: connected line, and signed numbers."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from softphone.config import StirConfig
from softphone.errors import CallError
from softphone.events import PeerChanged
from softphone.lab import Authority
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from tests.peers.phones import Wire, account, hears_soon
from tests.support.stir import Repository, StirAuthority, spc
from tests.support.waiting import PATIENCE

NUMBER = "15550101003"


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
async def phone(wire):
    async with Phone(tap=wire) as made:
        yield made


@pytest.fixture
def line_of(asterisk, authority, client_certificate, phone):
    """`await line_of("olaf")`: an account registered over TLS, or in clear over UDP."""

    async def register(user, transport="tls", **more):
        secure = transport == "tls"
        config = account(
            user,
            asterisk.mtls if secure else asterisk.udp,
            transport,
            ca=authority.certificate if secure else None,
            client=client_certificate(user) if secure else None,
            password=f"{user}pw",
        )
        return await phone.register(replace(config, **more))

    return register


async def change_of(call, name: str) -> PeerChanged:
    """The event that the far end has this name."""
    async with asyncio.timeout(PATIENCE):
        async for event in call.events():
            if isinstance(event, PeerChanged) and event.name == name:
                return event
    raise AssertionError(f"nobody said that the far end is {name}")


@asynccontextmanager
async def answering(line):
    """Answer the next call of a line; the call."""
    calls = line.incoming()
    answered: asyncio.Future = asyncio.get_running_loop().create_future()

    async def answer():
        async for incoming in calls:
            answered.set_result(await incoming.answer())
            return

    task = asyncio.create_task(answer())
    try:
        yield answered
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.feature("connected identity")
@pytest.mark.parametrize(("caller", "callee"), [("olaf", "paul"), ("paul", "olaf")])
async def test_the_name_follows_a_transfer_as_asterisk_tells_it(line_of, wire, caller, callee):
    mine, theirs, third = [await line_of(user) for user in (caller, callee, "ruth")]
    async with (
        answering(theirs) as first,
        answering(third) as second,
        mine.dial(callee) as outgoing,
    ):
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.peer.uri.user in ("2001", "2002")
        assert call.peer.display_name == callee.capitalize()
        wire.messages.clear()
        call.audio.play(ToneSource(440.0))
        assert await hears_soon(await first, 440.0)  # from now on Asterisk has bridged them
        async with asyncio.timeout(PATIENCE):
            with suppress(CallError):
                await (await first).transfer("ruth")
            await second
        changed = await change_of(call, "Ruth")
        assert changed.source == "p-asserted-identity"
        assert (changed.name_before, call.peer.uri.user) == (callee.capitalize(), "2003")
        told = [text for sent, text in wire.messages if not sent and "2003" in text]
        assert any(text.startswith("UPDATE") and "\r\n\r\n" in text for text in told)


@pytest.mark.feature("connected identity")
async def test_the_name_is_that_of_who_picks_the_call_up(line_of):
    mine, theirs, third = [await line_of(user) for user in ("olaf", "paul", "ruth")]
    calls = theirs.incoming()
    async with mine.dial("paul") as outgoing:
        await outgoing.start()
        async with asyncio.timeout(PATIENCE):
            ringing = await anext(calls)
            ringing.ring()
            async with third.dial("*8paul") as pickup:
                call, taken = await asyncio.gather(outgoing.answered(), pickup.answered())
                changed = await change_of(call, "Ruth")
                assert (changed.name_before, call.peer.uri.user) == ("Paul", "2003")
                await ringing.ended
                taken.hangup()


async def test_in_clear_asterisks_names_change_nothing(line_of, wire):
    mine, theirs = await line_of("saul", "udp"), await line_of("paul")
    async with answering(theirs), mine.dial("paul") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert any("P-Asserted-Identity: " in text for sent, text in wire.messages if not sent)
        assert (call.peer.uri.user, call.peer.display_name) == ("paul", None)


@pytest.mark.feature("signed caller (STIR)")
async def test_a_number_that_asterisk_signs_is_attested(asterisk, line_of, tmp_path):
    sti, web = StirAuthority(), Authority("web CA")
    carrier = sti.carrier(spc("709J"))
    async with Repository(tmp_path, web, carrier.pem) as repository:
        sign_with(asterisk, carrier, repository.url, {NUMBER: "A", "15550101004": "B"})
        stir = StirConfig(
            anchors=(sti.write(tmp_path),),
            https_ca=(web.write(tmp_path, "web"),),
            allow_networks=("127.0.0.0/8",),
        )
        called = await line_of("15550102000", stir=stir)
        caller, calls = await line_of("alice"), called.incoming()
        for number, level in ((NUMBER, "A"), ("15550101004", "B"), ("15550101005", None)):
            async with caller.dial(f"signed-{number}") as outgoing:
                await outgoing.start()
                async with asyncio.timeout(PATIENCE):
                    incoming = await anext(calls)
                found = await incoming.attested()
                assert (found.level, incoming.peer.uri.user) == (level, number), found
                if level is None:
                    assert found.reason == "the call has no Identity header field"
                else:
                    assert found.authorities == ("SPC 709J",)
                incoming.reject()
        assert repository.connections == 1


def sign_with(asterisk, carrier, url: str, levels: dict[str, str]) -> None:
    """Have Asterisk sign calls from some numbers."""
    key = asterisk.folder / "etc" / f"carrier{time.monotonic_ns()}.pem"
    key.touch(mode=0o600)
    key.write_bytes(carrier.key_pem())
    shared = [f"private_key_file=/mnt/etc/{key.name}", f"public_cert_url={url}"]
    lines = ["[attestation]", "attest_level=C", *shared]
    lines += ["[signing]", "type=profile", "endpoint_behavior=attest"]
    for number, level in levels.items():
        lines += [f"[{number}]", "type=tn", f"attest_level={level}", *shared]
    (asterisk.folder / "etc" / "stir_shaken.conf").write_text("\n".join([*lines, ""]))
    asterisk.command("module reload res_stir_shaken.so")
