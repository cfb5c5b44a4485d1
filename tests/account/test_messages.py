"""MESSAGE outside calls (RFC 3428): sent, received, bounded, never in clear against a policy."""

from __future__ import annotations

import asyncio
import socket

import pytest

from softphone.account.context import MESSAGE_BURST
from softphone.call.leg.exchange_result import LARGEST_BODY
from softphone.config import AccountConfig, PolicyConfig
from softphone.errors import CallError, ConfigurationError, TransportError
from softphone.events import MessageReceived
from softphone.lab import LabServer
from softphone.phone import Phone
from softphone.security import IdentityAssurance, SecurityLevel, SecurityShortfall, SrtpPolicy
from softphone.sip import Request, Response, parse_uri
from softphone.sip.message import parse_datagram
from tests.support.calling import account_of
from tests.support.direct import address_of, clear, secure


def received(account):
    return [each for each in account._events._events if isinstance(each, MessageReceived)]


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


async def test_a_message_reaches_another_phone(phone):
    bob, alice = await phone.register(clear("bob")), await phone.register(clear("alice"))
    await alice.send_message(address_of(bob), "hällo", headers={"X-Order": "7"})
    (event,) = received(bob)
    assert event == MessageReceived(
        "sip:alice@127.0.0.1", "text/plain;charset=UTF-8", "hällo".encode()
    )
    assert event.assurance is IdentityAssurance.CLAIMED


async def test_over_tls_it_may_be_larger(phone, tmp_path):
    bob = await phone.register(secure(tmp_path, "bob"))
    alice = await phone.register(secure(tmp_path, "alice"))
    await alice.send_message(address_of(bob), b"x" * LARGEST_BODY, content_type="text/html")
    (event,) = received(bob)
    assert (event.content_type, len(event.body)) == ("text/html", LARGEST_BODY)


async def test_a_type_that_is_not_taken_is_an_error(phone):
    bob, alice = await phone.register(clear("bob")), await phone.register(clear("alice"))
    with pytest.raises(CallError, match="the MESSAGE was not taken: 415") as refused:
        await alice.send_message(address_of(bob), "x", content_type="application/x-nothing")
    assert refused.value.status == 415
    assert received(bob) == []


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({"content_type": "x"}, "content_type: "),
        ({"body": "x" * 901}, "900 go over UDP"),
        ({"body": "x" * (LARGEST_BODY + 1)}, "16384 go over TCP or TLS"),
        ({"headers": {"Contact": "<sip:x@y>"}}, "Contact is written by softphone itself"),
        ({"target": "http://x"}, "target"),
    ],
)
async def test_what_cannot_be_sent_is_refused(phone, arguments, wrong):
    bob, alice = await phone.register(clear("bob")), await phone.register(clear("alice"))
    given = {"target": address_of(bob), "body": "x", **arguments}
    with pytest.raises(ConfigurationError, match=wrong):
        await alice.send_message(given.pop("target"), given.pop("body"), **given)
    assert received(bob) == []


async def test_an_account_that_demands_security_sends_none_in_clear(phone):
    bob = await phone.register(clear("bob"))
    policy = PolicyConfig(minimum=SecurityLevel.ENCRYPTED)
    strict = clear("alice", SrtpPolicy.REQUIRED, policy=policy)
    alice = await phone.register(strict)
    with pytest.raises(SecurityShortfall):
        await alice.send_message(address_of(bob), "secret")
    plain = await phone.register(clear("carol"))
    with pytest.raises((SecurityShortfall, TransportError)):
        await plain.send_message(address_of(bob).replace("sip:", "sips:"), "secret")
    assert received(bob) == []


async def test_closing_the_account_ends_the_wait(phone):
    alice = await phone.register(clear("alice"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        sending = asyncio.ensure_future(alice.send_message(f"sip:x@127.0.0.1:{port}", "x"))
        await asyncio.to_thread(silent.recv, 65535)
        await alice.close()
        with pytest.raises(CallError):
            await sending


class Sender:
    """Somebody with a UDP socket at `host`."""

    def __init__(self, host):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(5)
        self.host, self.port = self.socket.getsockname()
        self.count = 0

    def send(self, to, body=b"x", *fields):
        self.count += 1
        headers = [
            ("Via", f"SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{self.count};rport"),
            ("From", "<sip:mallory@evil.test>;tag=1"),
            ("To", "<sip:bob@127.0.0.1>"),
            ("Call-ID", f"{self.count}@{self.host}"),
            ("CSeq", "1 MESSAGE"),
            ("Content-Type", "text/plain"),
            *fields,
        ]
        uri = parse_uri("sip:bob@127.0.0.1")
        plain = Request.build("MESSAGE", uri, headers)
        self.socket.sendto(Request("MESSAGE", uri, plain.headers, body).encode(), to)

    def status(self):
        response = parse_datagram(self.socket.recv(65535))
        assert isinstance(response, Response)
        return response.status


@pytest.fixture
def sender():
    made = []

    def make(host="127.0.0.1"):
        made.append(Sender(host))
        return made[-1]

    yield make
    for each in made:
        each.socket.close()


async def test_too_large_and_too_many_are_refused_and_not_queued(phone, sender):
    bob, mallory = await phone.register(clear("bob")), sender()
    mallory.send(bob.listening[1:], b"x" * (LARGEST_BODY + 1))
    assert await asyncio.to_thread(mallory.status) == 413
    most = int(MESSAGE_BURST) + 20
    bob._context.messages.rate = 1e-6  # As if no time passed.
    for _ in range(most):
        mallory.send(bob.listening[1:])
    statuses = [await asyncio.to_thread(mallory.status) for _ in range(most)]
    assert statuses.count(200) == len(received(bob)) == int(MESSAGE_BURST)
    assert statuses.count(503) == 20


async def test_a_server_that_is_trusted_names_the_sender(phone, sender):
    bob = await phone.register(clear("bob", trust_identity_from=("127.0.0.66",)))
    asserted = ("P-Asserted-Identity", "<sip:carol@pbx.test>")
    for host in ("127.0.0.66", "127.0.0.1"):
        each = sender(host)
        each.send(bob.listening[1:], b"x", asserted)
        assert await asyncio.to_thread(each.status) == 200
    first, second = received(bob)
    assert (first.sender, first.assurance) == ("sip:carol@pbx.test", IdentityAssurance.ASSERTED)
    assert second.sender == "sip:mallory@evil.test"
    assert second.assurance is IdentityAssurance.CLAIMED


async def test_a_stranger_s_message_is_judged_as_its_call_is(phone, sender):
    """A listener that `accept_from` closes takes neither from anybody else."""
    config = clear("bob", accept_from=("127.0.0.66",))
    bob = await phone.register(config)
    for host, taken in (("127.0.0.66", True), ("127.0.0.1", False)):
        each = sender(host)
        each.send(bob.listening[1:])
        assert (await asyncio.to_thread(each.status) == 200) is taken
    assert len(received(bob)) == 1


async def test_with_a_server_it_goes_by_the_registered_connection(tmp_path):
    async with LabServer(tmp_path / "lab") as lab, Phone() as phone:
        alice = await account_of(lab, phone, "alice")
        # The lab takes no MESSAGE; that it answers at all shows the way.
        with pytest.raises(CallError) as refused:
            await alice.send_message("bob", "hello")
        assert refused.value.status in (403, 404, 405, 501)


def test_an_account_that_never_registers_is_checked_too():
    config = AccountConfig(aor="sip:a@h", listen="udp:127.0.0.1:0")
    with pytest.raises(ConfigurationError):
        config.target_uri("http://x")
