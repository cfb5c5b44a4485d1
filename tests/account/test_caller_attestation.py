"""Callers' signed numbers, on real sockets: told beside the ringing, and by what was fetched."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import cache

import pytest

from softphone import Phone
from softphone.account import Account, TrustContext, caller_attestation
from softphone.config import (
    AccountConfig,
    LimitsConfig,
    MediaPreferences,
    StirConfig,
    load_account,
)
from softphone.errors import ConfigurationError
from softphone.events import CallEnded, CallerAttested
from softphone.lab import Authority
from softphone.security import SecurityLevel, SrtpPolicy
from tests.support.stir import CALLED, CALLER, Repository, StirAuthority, identity
from tests.support.virtual_loop import run_virtually
from tests.support.waiting import patiently, until

INVITE = """\
INVITE sip:+15550102000@127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{number}-{cseq}
Max-Forwards: 70
From: "Carol" <sip:{caller}@127.0.0.1>;tag=c{number}
To: <sip:+{called}@127.0.0.1>
Call-ID: call{number}@127.0.0.1
CSeq: {cseq} INVITE
Contact: <sip:carol@127.0.0.1:{port}>
{identities}Content-Type: application/sdp
Content-Length: {length}

{body}"""
OFFER = """\
v=0
o=- 9 9 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 40000 RTP/AVP 0
"""


@cache
def web() -> Authority:
    return Authority("web CA")


@cache
def sti() -> StirAuthority:
    return StirAuthority()


class Caller(asyncio.DatagramProtocol):
    """A carrier's gateway that sends INVITEs, and keeps what comes back."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self._number = self._cseq = 0

    def connection_made(self, transport) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, address) -> None:
        self.received.append(data.decode().partition("\r\n")[0])

    def send(self, text: str) -> None:
        self._transport.sendto(text.replace("\n", "\r\n").encode())

    def call(
        self,
        *identities: str,
        caller: str = f"+{CALLER}",
        called: str = CALLED,
        again: bool = False,
    ) -> None:
        """Send an INVITE; `again`: of the call before, as after a challenge or by another path."""
        self._number, self._cseq = (
            (self._number, self._cseq + 1) if again else (self._number + 1, 1)
        )
        body = OFFER.replace("\n", "\r\n")
        text = INVITE.format(
            port=self.port,
            number=self._number,
            cseq=self._cseq,
            caller=caller,
            called=called,
            identities="".join(f"Identity: {each}\n" for each in identities),
            length=len(body),
            body="",
        )
        self._transport.sendto(text.replace("\n", "\r\n").encode() + body.encode())

    def cancel(self) -> None:
        text = INVITE.format(
            port=self.port,
            number=self._number,
            cseq=self._cseq,
            caller=f"+{CALLER}",
            called=CALLED,
            identities="",
            length=0,
            body="",
        )
        text = text.replace("INVITE", "CANCEL").replace("Content-Type: application/sdp\n", "")
        self.send(text)


@dataclass
class Scene:
    """A phone that verifies its callers, one who calls it, and a repository."""

    repository: Repository
    caller: Caller
    calls: object
    account: Account

    def token(self, **changes) -> str:
        return identity(carrier(), **{"issued": time.time(), "url": self.repository.url, **changes})


@cache
def carrier():
    return sti().carrier()


@asynccontextmanager
async def scene(folder, account=None, **stir):
    settings = {
        "anchors": (sti().write(folder),),
        "https_ca": (web().write(folder, "web"),),
        "allow_networks": ("127.0.0.0/8",),
        **stir,
    }
    config = AccountConfig(
        aor="sip:bob@127.0.0.1",
        listen="udp:127.0.0.1:0",
        stir=StirConfig(**settings),
        **(account or {}),
    )
    async with Repository(folder, web(), carrier().pem) as repository, Phone() as phone:
        account = await phone.register(config)
        _, host, port = account.listening
        loop = asyncio.get_running_loop()
        transport, caller = await loop.create_datagram_endpoint(
            Caller, local_addr=("127.0.0.1", 0), remote_addr=(host, port)
        )
        with closing(transport):
            yield Scene(repository, caller, account.incoming(), account)


@pytest.mark.parametrize("level", ["A", "B", "C"])
async def test_the_attestation_is_told_and_raises_no_level(tmp_path, level):
    async with scene(tmp_path) as at:
        at.caller.call("no passport", at.token(level=level))
        incoming = await anext(at.calls)
        assert incoming.attestation is None
        before = incoming.security
        found = await incoming.attested()
        assert (found.level, found.number, found.reason) == (level, CALLER, "")
        assert found is incoming.attestation
        assert incoming.security == before
        assert incoming.security.level is not SecurityLevel.ENCRYPTED
        incoming.reject()
        events = [event async for event in incoming.events()]
        (event,) = [each for each in events if isinstance(each, CallerAttested)]
        assert (event.level, event.authorities) == (level, ("SPC 1234",))
        assert isinstance(events[-1], CallEnded)


async def test_one_certificate_is_fetched_for_many_calls(tmp_path):
    async with scene(tmp_path) as at:
        for _ in range(3):
            at.caller.call(at.token())
            assert (await (await anext(at.calls)).attested()).level == "A"
        assert at.repository.connections == 1


async def test_a_token_that_comes_again_for_another_call_is_a_replay(tmp_path):
    async with scene(tmp_path) as at:
        token = at.token()
        at.caller.call(token)
        assert (await (await anext(at.calls)).attested()).level == "A"
        at.caller.call(token)
        found = await (await anext(at.calls)).attested()
        assert (found.level, found.number) == (None, "")
        assert found.reason == "it was used before, for another call: a replay"


async def test_an_invite_that_is_sent_again_brings_the_same_token(tmp_path):
    async with scene(tmp_path) as at:
        token = at.token()
        at.caller.call(token)
        first = await anext(at.calls)
        assert (await first.attested()).level == "A"
        first.reject(503)
        at.caller.call(token, again=True)
        second = await anext(at.calls)
        assert (await second.attested()).level == "A"
        second._leg.accept()
        at.caller.call(token, again=True)
        third = await anext(at.calls)
        assert "that call was answered: a replay" in (await third.attested()).reason


async def test_a_new_configuration_forgets_no_token(tmp_path):
    async with scene(tmp_path) as at:
        token = at.token()
        at.caller.call(token)
        assert (await (await anext(at.calls)).attested()).level == "A"
        await at.account.reconfigure(at.account.config, TrustContext())
        at.caller.call(token)
        assert "a replay" in (await (await anext(at.calls)).attested()).reason


@pytest.mark.parametrize(
    ("token", "call", "why"),
    [
        ({"issued": 1_000_000}, {}, "not fresh"),
        ({}, {"caller": "+15559999999"}, "another caller's number"),
        ({}, {"caller": "carol"}, "shows no number"),
        ({"called": "15557777777"}, {}, "another number"),
    ],
)
async def test_what_does_not_fit_the_call_costs_no_fetch(tmp_path, token, call, why):
    async with scene(tmp_path) as at:
        at.caller.call(at.token(**token), **call)
        found = await (await anext(at.calls)).attested()
        assert found.level is None
        assert why in found.reason
        assert at.repository.connections == 0


async def test_without_a_token_the_reason_is_told(tmp_path):
    async with scene(tmp_path) as at:
        at.caller.call()
        found = await (await anext(at.calls)).attested()
        assert found.reason == "the call has no Identity header field"


async def test_own_numbers_take_the_place_of_to(tmp_path):
    async with scene(tmp_path, numbers=("+15550107777",)) as at:
        at.caller.call(at.token())
        assert (await (await anext(at.calls)).attested()).level is None
        at.caller.call(at.token(called="15550107777"))
        assert (await (await anext(at.calls)).attested()).level == "A"


async def test_by_default_no_certificate_comes_from_loopback(tmp_path):
    async with scene(tmp_path, allow_networks=()) as at:
        at.caller.call(at.token())
        found = await (await anext(at.calls)).attested()
        assert "127.0.0.1, which is no public address" in found.reason
        assert at.repository.connections == 0


async def test_a_carrier_of_other_anchors_is_not_believed(tmp_path):
    (tmp_path / "other").mkdir()
    other = StirAuthority().write(tmp_path / "other")
    async with scene(tmp_path, anchors=(other,)) as at:
        at.caller.call(at.token())
        assert "none of our anchors" in (await (await anext(at.calls)).attested()).reason


async def test_a_silent_repository_delays_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(caller_attestation, "PATIENCE", 0.2)
    async with scene(tmp_path) as at:
        at.repository.silent = True
        at.caller.call(at.token())
        incoming = await anext(at.calls)
        incoming.ring()  # before anything is fetched
        found = await incoming.attested()
        assert found.reason == "its certificate did not come within 0.2 s"


def test_a_silent_repository_is_given_up_after_2_s_while_it_rings(tmp_path):
    async def play():
        async with scene(tmp_path) as at:
            at.repository.silent = True
            at.caller.call(at.token())
            incoming = await anext(at.calls)
            incoming.ring()
            began = asyncio.get_running_loop().time()
            await until(lambda: any("180" in line for line in at.caller.received))
            rang = asyncio.get_running_loop().time() - began
            found = await incoming.attested()
            return rang, asyncio.get_running_loop().time() - began, found.reason

    rang, took, reason = run_virtually(play())
    assert rang < 0.5
    assert took == pytest.approx(2.0, abs=0.3)
    assert "within 2 s" in reason


@pytest.mark.parametrize(
    ("account", "status"),
    [
        ({"accept_from": ("192.0.2.0/24",)}, "403"),
        ({"media": MediaPreferences(srtp=SrtpPolicy.REQUIRED)}, "488"),
    ],
    ids=["allow-list", "policy"],
)
async def test_a_call_that_is_refused_costs_no_fetch(tmp_path, account, status):
    async with scene(tmp_path, account) as at:
        at.caller.call(at.token())
        await until(lambda: f"SIP/2.0 {status}" in "".join(at.caller.received))
        assert at.repository.connections == 0


async def test_a_call_too_many_costs_no_fetch(tmp_path):
    async with scene(tmp_path, {"limits": LimitsConfig(calls=1)}) as at:
        at.caller.call(at.token())
        first = await anext(at.calls)
        assert (await patiently(first.attested())).level == "A"
        at.caller.call(at.token(url=f"{at.repository.url}x"))  # nobody has it yet
        await until(lambda: "SIP/2.0 486" in "".join(at.caller.received))
        assert at.repository.connections == 1


async def test_a_call_that_has_ended_ends_its_fetch(tmp_path):
    async with scene(tmp_path) as at:
        at.repository.silent = True
        at.caller.call(at.token())
        incoming = await anext(at.calls)
        at.caller.cancel()
        await incoming.ended
        assert await incoming.attested() is None


async def test_without_the_table_nothing_is_verified(tmp_path):
    async with Phone() as phone:
        account = await phone.register(
            AccountConfig(aor="sip:bob@127.0.0.1", listen="udp:127.0.0.1:0")
        )
        _, host, port = account.listening
        transport, caller = await asyncio.get_running_loop().create_datagram_endpoint(
            Caller, local_addr=("127.0.0.1", 0), remote_addr=(host, port)
        )
        with closing(transport):
            caller.call("junk")
            assert await (await anext(account.incoming())).attested() is None


def test_the_table_is_read_from_the_account_file(tmp_path):
    sti().write(tmp_path)
    (tmp_path / "a.toml").write_text(
        'aor = "sip:bob@127.0.0.1"\nlisten = "udp:127.0.0.1:0"\n'
        '[stir]\nanchors = "sti.pem"\nhttps_ca = ["system", "sti.pem"]\nfreshness = 30\n'
        'numbers = ["+15550102000"]\nallow_networks = ["127.0.0.0/8"]\n'
    )
    stir = load_account(tmp_path / "a.toml").config.stir
    anchor = tmp_path / "sti.pem"
    assert stir == StirConfig(
        (anchor,), ("system", anchor), ("+15550102000",), 30.0, ("127.0.0.0/8",)
    )


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("", r"stir\.anchors: give at least one"),
        ('anchors = "none.pem"', r"stir\.anchors: there is no"),
        ('anchors = "sti.pem"\nfreshness = 0.5', r"stir\.freshness: 0\.5 is not"),
        ('anchors = "sti.pem"\nnumbers = ["bob"]', r"stir\.numbers: 'bob' is no number"),
        ('anchors = "sti.pem"\nallow_networks = ["x"]', r"stir\.allow_networks: 'x' is neither"),
        ('anchors = "sti.pem"\nurl = "x"', r"stir\.url: there is no such key"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path, lines, why):
    sti().write(tmp_path)
    head = 'aor = "sip:bob@127.0.0.1"\nlisten = "udp:127.0.0.1:0"\n[stir]\n'
    (tmp_path / "a.toml").write_text(head + lines)
    with pytest.raises(ConfigurationError, match=rf"a\.toml:[0-9]: {why}"):
        load_account(tmp_path / "a.toml")


@pytest.mark.parametrize("key", ["anchors", "https_ca"])
def test_a_text_is_no_list_of_authorities(key):
    with pytest.raises(ConfigurationError, match=rf"stir\.{key}: give"):
        StirConfig(**{"anchors": ("a.pem",), key: "a.pem"})


async def test_anchors_that_cannot_be_read_are_refused_before_anything_is_sent(tmp_path):
    (tmp_path / "a.pem").write_text("no certificate")
    config = AccountConfig(
        aor="sip:bob@127.0.0.1",
        listen="udp:127.0.0.1:0",
        stir=StirConfig((tmp_path / "a.pem",)),
    )
    async with Phone() as phone:
        with pytest.raises(ConfigurationError, match="no certificate"):
            await phone.register(config)
