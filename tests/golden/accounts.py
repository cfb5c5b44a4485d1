"""Accounts with their driver and their calls, as an application has them, at a call server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from softphone.account.account import Account
from softphone.account.context import AccountDependencies
from softphone.call import Call, IncomingLeg, OutgoingCall, OutgoingLeg
from softphone.call.dial_permit import UNJUDGED
from softphone.config import AccountConfig
from softphone.config.account import CredentialConfig, QualityConfig
from softphone.errors import SoftphoneError
from softphone.net import DnsResolver
from softphone.personas import DeviceIdentity, cisco_phone, persona_named
from softphone.personas import standard as standard_phone
from softphone.security import KeyMaterial, SecurityPolicy
from softphone.sip import Body, InviteRequest, NameAddr, SipUri
from softphone.sip.auth.digest_server import DigestVerified, DigestVerifier, VerifierConfig
from softphone.sip.dialog.initial_request import ReferRequest
from softphone.sip.event_packages.cisco_remotecc import remote_request
from softphone.sip.event_packages.cisco_service_control import (
    ServiceAction,
    ServiceControl,
    service_control_body,
)
from softphone.sip.message.headers import Field
from softphone.sip.message.message import Request, format_multipart
from tests.golden.legs import MediaProbe
from tests.golden.transcript import Transcript, Watch, record
from tests.golden.virtual import HERE, THERE, Network, granted, run_virtually
from tests.support.clock import seeded_entropy

Answer = Callable[[Request], tuple[int, Sequence[Field]]]
WALL = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
AOR = f"sip:alice@{THERE}"


class Office:
    """An account that is recorded, and its server."""

    def __init__(self, network: Network, config: AccountConfig, seed: int) -> None:
        self.network = network
        self.transcript = Transcript(lambda: network.now)
        entropy = seeded_entropy(seed + 500)
        setup = AccountDependencies(
            media=network.port,
            resolver=DnsResolver(entropy=entropy),
            entropy=entropy,
            source=HERE,
            fips=False,
        )
        self.account = Account(config, setup)
        reporter = self.account._quality_reporter
        reporter._wall = lambda: WALL + timedelta(seconds=network.now)
        record(self.account._context.machine, self.transcript, "alice")
        record(network.server.endpoint, self.transcript, "server")
        MediaProbe(self.transcript, "alice", network.port)
        Watch(self.transcript, "account", lambda: list(self.account._events._events))
        self._legs: list[IncomingLeg | OutgoingLeg] = []
        self.transcript.probes.append(self._look)

    @property
    def contact(self) -> SipUri:
        """Where the account is bound to."""
        registers = [each for each in self.network.server.requests if each.method == "REGISTER"]
        uri = registers[-1].contacts[0].uri
        assert isinstance(uri, SipUri)
        return uri

    def _look(self) -> None:
        for leg in self.account._legs:
            if leg not in self._legs:
                self._legs.append(leg)
                Watch(self.transcript, f"call {len(self._legs)}", _told(leg))

    async def tried(self, what: str, work: Awaitable[object]) -> object:
        """Let the application do something, and write how it ended."""
        try:
            result = await work
        except SoftphoneError as exc:
            self.transcript.write("application", f"{what}: {self.transcript.dump.value(exc)}")
            return None
        self.transcript.write("application", f"{what}: {type(result).__name__}")
        return result

    async def call(self, *, delayed: bool = False) -> Call:
        """The server calls; the account answers after a ring."""
        self.place(delayed=delayed)
        incoming = await anext(self.account.incoming())
        incoming.ring()
        await asyncio.sleep(1)
        return await incoming.answer()

    def place(self, *, delayed: bool = False) -> OutgoingLeg:
        """The server calls the account."""
        server, flow = self.network.server, self.network.flow
        assert flow is not None
        bob = NameAddr.parse(f'"Bob" <sip:bob@{THERE}>')

        def invitation(body: Body | None) -> InviteRequest:
            return InviteRequest(
                uri=self.contact,
                local=bob,
                remote=NameAddr.parse(f"<{AOR}>"),
                to=flow,
                body=body,
                session_timer=None,
            )

        leg = OutgoingLeg(server.setup(), invitation, UNJUDGED, delayed=delayed)
        server.legs.append(leg)
        leg.send_invite()
        return leg

    def tell(self, method: str, body: Body | None, *headers: Field) -> None:
        """The server sends a request outside of calls."""
        flow, server = self.network.flow, self.network.server
        assert flow is not None
        fields = (("From", f"<sip:bob@{THERE}>"), ("To", f"<{AOR}>"), *headers)
        request = Request.build(method, self.contact, fields, body)
        with server.change() as now:
            server.endpoint.send_request(request, to=flow, now=now)

    def refer(self, body: Body) -> None:
        """The server wants something done (remote call control)."""
        flow, server = self.network.flow, self.network.server
        assert flow is not None
        request = ReferRequest(
            uri=self.contact,
            local=NameAddr.parse(f"<sip:bob@{THERE}>"),
            remote=NameAddr.parse(f"<{AOR}>"),
            to=flow,
            refer_to=NameAddr.parse("<cid:1234@192.0.2.2>"),
            subscribe=False,
            headers=(("Require", "norefersub"),),
            body=body,
        )
        with server.change() as now:
            server.endpoint.refer(request, now=now)

    def end(self) -> str:
        """The whole transcript."""
        self.transcript.probe()
        return self.transcript.text


def _told(leg: IncomingLeg | OutgoingLeg) -> Callable[[], list[object]]:
    return lambda: list(leg.event_queue._events)


async def at_work(
    config: AccountConfig,
    script: Callable[[Office], Awaitable[None]],
    *,
    seed: int,
    answer: Answer = granted,
) -> str:
    """Let an account start, run a script with it, and close it."""
    network = Network(seed=seed)
    network.server.answer = answer
    with ExitStack() as stack:
        stack.enter_context(network.installed())
        for module in (standard_phone, cisco_phone):
            stack.enter_context(patch.object(module, "__version__", "0.0"))
        office = Office(network, config, seed)
        await office.tried("start", office.account.start())
        await script(office)
        office.transcript.title("close")
        await office.tried("close", office.account.close())
    await asyncio.sleep(40)
    return office.end()


async def _calls(office: Office) -> None:
    """A call in, a call out, both held and resumed, digits, a transfer, a busy server."""
    server = office.network.server
    office.transcript.title("a call comes in, without an offer")
    first = await office.call(delayed=True)
    await office.tried("hold", first.hold())
    office.transcript.title("a call goes out beside it")
    server.answers_itself = True
    outgoing: OutgoingCall = office.account.dial("600", headers=(("Subject", "golden"),))
    second = await outgoing.answered(timeout=5)
    await office.tried("digits", second.send_digits("1,2"))
    await office.tried("hold", second.hold())
    await office.tried("resume", first.resume())
    office.transcript.title("the server hangs up, is busy, and does not answer")
    server.legs[-1].hang_up()
    await asyncio.sleep(1)
    server.answers_itself = False
    ringing: OutgoingCall = office.account.dial("700")
    work = asyncio.ensure_future(office.tried("dial", ringing.answered()))
    await asyncio.sleep(1)
    busy = server.legs[-1]
    assert isinstance(busy, IncomingLeg)
    busy.reject(486, "Busy Here")
    await work
    unanswered: OutgoingCall = office.account.dial("800")
    await office.tried("dial", unanswered.answered(timeout=3))
    office.transcript.title("a call that is refused, and one that is given up")
    office.place()
    incoming = await anext(office.account.incoming())
    incoming.reject(603)
    await asyncio.sleep(1)
    given_up = office.place()
    incoming = await anext(office.account.incoming())
    incoming.ring()
    await asyncio.sleep(1)
    given_up.cancel()
    await asyncio.sleep(1)
    first.hangup()
    await asyncio.sleep(40)


async def cisco() -> str:
    """A Cisco phone: what it registers with, what its server tells it, calls, a reset, a cut."""

    async def script(office: Office) -> None:
        await _told_by_server(office)
        office.network.server.persona = persona_named("cisco_phone")
        await _calls(office)
        office.transcript.title("reset: once no call is up it registers anew")
        registers = [r for r in office.network.server.requests if r.method == "REGISTER"]
        control = ServiceControl(ServiceAction.RESET, registers[-1].call_id)
        office.tell("NOTIFY", service_control_body(control), *SERVICE)
        await asyncio.sleep(5)
        office.transcript.title("the connection is lost")
        office.network.cut()
        await asyncio.sleep(130)

    device = DeviceIdentity("CSFALICE", mac="00112233aabb", contact="4a1b-guid", load="softphone-1")
    config = AccountConfig(
        aor=AOR, registrar=f"sips:{THERE}", persona="cisco_phone", device=device, expires=120
    )
    return await at_work(config, script, seed=70)


SERVICE: tuple[Field, ...] = (
    ("Event", "service-control"),
    ("Subscription-State", "active"),
)


async def _told_by_server(office: Office) -> None:
    """Voice messages, versions, options, remote call control, a text."""
    office.transcript.title("what the server tells outside of calls")
    summary = Body(
        "application/simple-message-summary",
        b"Messages-Waiting: yes\r\nVoice-Message: 2/1 (0/0)\r\n",
    )
    fields = (("Event", "message-summary"), ("Subscription-State", "active"))
    office.tell("NOTIFY", summary, *fields)
    stamps = (("configversionstamp", "1234-5678"), ("firmwareversionstamp", "0000-0000"))
    for control in (
        ServiceControl(ServiceAction.CHECK_VERSION, None, stamps),
        ServiceControl(ServiceAction.RESTART, "another@call"),
        ServiceControl(None),
    ):
        office.tell("NOTIFY", service_control_body(control), *SERVICE)
    office.tell("NOTIFY", Body("text/plain", b"x"), ("Event", "none"))
    office.tell("OPTIONS", None, ("Accept", "application/sdp"))
    office.tell("MESSAGE", Body("text/plain", "grüße".encode()))
    office.tell("INFO", Body("text/plain", b"outside"))
    await asyncio.sleep(1)
    for body in (
        remote_request("answercallreq", (("dialogid", "1"),)),
        remote_request("unknownreq"),
        format_multipart([remote_request("bulkupdate", (("mwi", "yes"),))], boundary="b"),
        Body("text/plain", b"no request"),
    ):
        office.refer(body)
    await asyncio.sleep(5)


async def standard() -> str:
    """A phone over UDP with a password, calls in clear, reports of their quality, no answer."""

    async def script(office: Office) -> None:
        office.network.server.policy = SecurityPolicy.clear()
        await _told_by_server(office)
        await _calls(office)
        office.transcript.title("nobody answers any more")
        office.network.up = False
        await asyncio.sleep(130)

    entropy = seeded_entropy(6)
    verifier = DigestVerifier(
        VerifierConfig("golden"), entropy=entropy, lookup=lambda *_: KeyMaterial(b"pw")
    )
    config = AccountConfig(
        aor=AOR,
        display_name="Alice",
        registrar=f"sip:{THERE};transport=udp",
        credentials=CredentialConfig("alice", KeyMaterial(b"pw")),
        quality=QualityConfig(f"sip:collector@{THERE}"),
        instance="urn:uuid:00000000-0000-1000-8000-000A95A0E128",
    )
    return await at_work(config, script, seed=80, answer=_verified(verifier))


def _verified(verifier: DigestVerifier) -> Answer:
    def answer(request: Request) -> tuple[int, Sequence[Field]]:
        if request.method not in ("REGISTER", "PUBLISH"):
            return 200, []
        verdict = verifier.verify(request, now=asyncio.get_running_loop().time())
        if isinstance(verdict, DigestVerified):
            return granted(request)
        return 401, list(verdict.headers)

    return answer


TRANSCRIPTS: dict[str, Callable[[], str]] = {
    "account-cisco": lambda: run_virtually(cisco),
    "account-standard": lambda: run_virtually(standard),
}
