"""A connection that comes back may resume its session; the chain is judged again each time."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from softphone.errors import CertificateExpired, CertificateRevoked, CertificateUntrusted
from softphone.lab import Authority, Validity
from softphone.net import Driver, DriverConfig
from softphone.net.stream.kept_sessions import (
    LONGEST_AGE,
    AcceptedChains,
    AcceptedHandshake,
    KeptSession,
    KeptSessions,
    session_of,
)
from softphone.sans_io import Target, Transport
from softphone.security import ClientCertificates, RevocationMode
from softphone.trust import (
    Pin,
    SessionOffer,
    TlsSettings,
    client_context,
    der_of,
    fingerprint_of,
    offering,
)
from tests.support.certificates import (
    HOST,
    alice,
    authority,
    foreign,
    raw_server_context,
    server,
    settings,
    store,
    tls_target,
)
from tests.support.recorder import Got, Recorder, Up, client_driver, until

REFUSED = f"a resumed session with {HOST} is refused: "
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MINUTES_30 = timedelta(minutes=30)
TLS_1_2 = ssl.TLSVersion.TLSv1_2


class Clock:
    """The time of day, which a test moves."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = datetime.now(UTC) if now is None else now

    def __call__(self) -> datetime:
        return self.now


class Place:
    """A server of plain `ssl`: it speaks first, by which its tickets have arrived.

    One that is `mute` closes each connection at once.
    """

    mute = False

    def __init__(self, context: ssl.SSLContext, port: int = 0) -> None:
        self.context, self.port = context, port
        self.resumed: list[bool] = []
        self.clients: list[bytes | None] = []
        self.said: list[tuple[bytes | None, bytes]] = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(
            self.serve, "127.0.0.1", self.port, ssl=self.context
        )
        self.address = self.server.sockets[0].getsockname()[:2]
        return self

    async def serve(self, reader, writer):
        tls = writer.get_extra_info("ssl_object")
        self.resumed.append(tls.session_reused)
        self.clients.append(tls.getpeercert(binary_form=True))
        if self.mute:
            writer.close()
            return
        writer.write(b"OPTIONS")
        with suppress(OSError):
            said = await reader.read(16)
            self.said.append((tls.getpeercert(binary_form=True), said))
            await reader.read()
        writer.close()

    async def __aexit__(self, *exc_info):
        self.server.close()
        await self.server.wait_closed()


def place(folder, issued=None, *, version=None, port=0, tickets=2):
    context = raw_server_context((issued or server()).write(folder, "place"))
    context.num_tickets = tickets
    if version is not None:
        context.maximum_version = version
    return Place(context, port)


async def visit(near, recorder, target):
    """Connect, wait for the server's words, be cut; returns the identity that was accepted."""
    heard = len(recorder.received())
    flow = await near.open_flow(target)
    await until(lambda: len(recorder.received()) > heard)
    near.close_flow(flow)
    await until(lambda: not near.flows)
    return flow.identity


def kept_by(near) -> KeptSessions:
    return near._tls._sessions


@asynccontextmanager
async def pair(tls, far, **more):
    ours = Recorder()
    async with far, client_driver(ours, tls, **more) as near:
        yield SimpleNamespace(near=near, ours=ours, far=far, target=tls_target(far.address))


def resuming(folder, issued=None, **more) -> TlsSettings:
    return settings(folder, issued, "own", resume_sessions=True, **more)


async def test_a_connection_that_comes_back_resumes_again_and_again(tmp_path):
    tls = resuming(tmp_path, alice())
    far = place(tmp_path)
    ask_clients(far.context)
    async with pair(tls, far) as both:
        seen = [await visit(both.near, both.ours, both.target) for _ in range(4)]
        assert both.near.counters["sessions_resumed"] == 3
        assert len(kept_by(both.near)) == 1
    assert far.resumed == [False, True, True, True]
    assert None not in far.clients
    assert len(set(seen)) == 1


async def test_a_pinned_server_is_resumed_and_its_pin_judged_again(tmp_path):
    pin = f"sha256:{fingerprint_of(server().certificate)}"
    far = place(tmp_path)
    async with pair(resuming(tmp_path, pin=pin), far) as both:
        for _ in range(2):
            identity = await visit(both.near, both.ours, both.target)
            assert identity.verdict == "pin"
        assert both.near.counters["sessions_resumed"] == 1


async def test_by_default_nothing_is_kept(tmp_path):
    async with pair(settings(tmp_path, None), place(tmp_path)) as both:
        for _ in range(2):
            await visit(both.near, both.ours, both.target)
            assert len(kept_by(both.near)) == 0
        assert type(client_context(settings(tmp_path, None))) is ssl.SSLContext
    assert both.far.resumed == [False, False]


async def test_in_tls_1_2_nothing_is_kept(tmp_path):
    far = place(tmp_path, version=TLS_1_2)
    async with pair(resuming(tmp_path), far) as both:
        for _ in range(2):
            await visit(both.near, both.ours, both.target)
            assert len(kept_by(both.near)) == 0
    assert far.resumed == [False, False]


async def test_a_server_without_tickets_and_one_that_forgot_them_do_full_handshakes(tmp_path):
    tls = resuming(tmp_path)
    async with pair(tls, place(tmp_path, tickets=0)) as both:
        await visit(both.near, both.ours, both.target)
        assert len(kept_by(both.near)) == 0
    ours, first = Recorder(), place(tmp_path)
    async with client_driver(ours, tls) as near:
        async with first:
            await visit(near, ours, tls_target(first.address))
        assert len(kept_by(near)) == 1
        async with place(tmp_path, port=first.address[1]) as second:
            await visit(near, ours, tls_target(first.address))
        assert second.resumed == [False]
        assert near.counters["sessions_resumed"] == 0
        imposter = foreign().server(HOST)
        async with place(tmp_path, imposter, port=first.address[1]):
            with pytest.raises(CertificateUntrusted):
                await near.open_flow(tls_target(first.address))
        assert len(kept_by(near)) == 0


class Answers:
    """A fetcher whose revocation list a test replaces."""

    def __init__(self, made: Authority) -> None:
        self.made = made
        self.current = made.revocation_list()

    async def __call__(self, wanted, within):
        return dict.fromkeys(wanted, self.current)

    def drop_answers(self, fetches):
        """Nothing is kept here."""


async def test_a_server_that_was_revoked_meanwhile_is_refused(tmp_path, caplog):
    caplog.set_level("INFO", "softphone.net")
    made = Authority("declaring CA", crl_url="http://pki.example.test/crl")
    issued = made.server(HOST)
    answers, clock = Answers(made), Clock()
    tls = TlsSettings(store=store(made), resume_sessions=True, revocation=RevocationMode.HARD)
    far = place(tmp_path, issued)
    async with pair(tls, far, fetcher=answers, wall=clock) as both:
        for _ in range(2):
            await visit(both.near, both.ours, both.target)
        made.revoke(issued)
        answers.current = made.revocation_list()
        clock.now += timedelta(minutes=6)  # a verdict is kept for five
        with pytest.raises(CertificateRevoked):
            await both.near.open_flow(both.target)
        assert len(kept_by(both.near)) == 0
        assert both.near.counters["sessions_resumed"] == 1
    assert REFUSED in caplog.text


async def test_a_certificate_that_has_expired_meanwhile_is_refused(tmp_path, caplog):
    caplog.set_level("INFO", "softphone.net")
    made = authority().server(HOST, validity=Validity(ends=MINUTES_30))
    clock = Clock()
    far = place(tmp_path, made)
    async with pair(resuming(tmp_path), far, wall=clock) as both:
        await visit(both.near, both.ours, both.target)
        clock.now += timedelta(minutes=31)
        with pytest.raises(CertificateExpired):
            await both.near.open_flow(both.target)
        assert len(kept_by(both.near)) == 0
        assert both.near.counters["sessions_resumed"] == 0
    assert REFUSED in caplog.text


async def test_a_server_that_renewed_its_certificate_is_accepted_at_once(tmp_path, caplog):
    """The old one has expired: its session is refused, and the full handshake shows the new one."""
    caplog.set_level("INFO", "softphone.net")
    old = authority().server(HOST, validity=Validity(ends=MINUTES_30))
    clock, far = Clock(), place(tmp_path, old)
    async with pair(resuming(tmp_path), far, wall=clock) as both:
        await visit(both.near, both.ours, both.target)
        renewed = server().write(tmp_path, "renewed")
        far.context.load_cert_chain(renewed.certificate, renewed.key)
        clock.now += timedelta(minutes=31)
        identity = await visit(both.near, both.ours, both.target)
        assert identity.fingerprint == fingerprint_of(server().certificate)
        assert len(kept_by(both.near)) == 1
        assert both.near.counters["sessions_resumed"] == 0
    assert REFUSED in caplog.text


async def test_a_session_is_kept_no_longer_than_an_hour_after_its_full_handshake(tmp_path):
    clock, far = Clock(), place(tmp_path)
    async with pair(resuming(tmp_path), far, wall=clock) as both:
        for minutes in (0, 25, 25, 9, 2, 59):
            clock.now += timedelta(minutes=minutes)
            await visit(both.near, both.ours, both.target)
        clock.now -= timedelta(hours=2)
        await visit(both.near, both.ours, both.target)
    assert far.resumed == [False, True, True, True, False, True, False]


async def test_new_settings_forget_all_sessions(tmp_path):
    far = place(tmp_path)
    tls = resuming(tmp_path)
    async with pair(tls, far) as both:
        near, ours, target = both.near, both.ours, both.target
        await visit(near, ours, target)
        near.replace_settings("", resuming(tmp_path, alice()))
        assert len(kept_by(near)) == 0
        await visit(near, ours, target)
        # One that is open meanwhile keeps nothing: its context is not used any more.
        flow = await near.open_flow(target)
        near.replace_settings("", tls)
        near.close_flow(flow)
        await until(lambda: not near.flows)
        assert len(kept_by(near)) == 0
        wrong = replace(tls, pin="sha256:" + "0" * 64)
        await visit(near, ours, target)
        near.replace_settings("", wrong)
        with pytest.raises(CertificateUntrusted):
            await near.open_flow(target)
    assert far.resumed[:4] == [False, False, True, False]
    assert not any(far.resumed[4:])


async def test_a_new_pin_in_the_store_makes_a_new_context_and_resumes_nothing(tmp_path):
    far = place(tmp_path)
    tls = resuming(tmp_path)
    async with pair(tls, far) as both:
        await visit(both.near, both.ours, both.target)
        tls.store.add_pin(Pin(tls.service, HOST, both.target.port, der_of(alice().certificate)))
        await visit(both.near, both.ours, both.target)
        await visit(both.near, both.ours, both.target)
    assert far.resumed == [False, False, True]


async def test_connections_at_once_never_swap_sessions(tmp_path):
    """A server knows a resumed client by its ticket: each says who it is, and the ticket agrees."""
    issued = {name: authority().client(f"sip:{name}@example.test") for name in ("alice", "bob")}
    tls = {
        name: settings(tmp_path, each, name, resume_sessions=True) for name, each in issued.items()
    }
    shown = {der_of(each.certificate): name for name, each in issued.items()}
    ours, far = Recorder(), place(tmp_path)
    ask_clients(far.context)
    async with far, Driver(ours, on_event=ours.on_event, tls=tls) as near:
        targets = {name: replace(tls_target(far.address), credential=name) for name in issued}
        for turn in range(1, 5):
            flows = await asyncio.gather(*map(near.open_flow, targets.values()))
            with near.change():
                for name, flow in zip(targets, flows, strict=True):
                    ours.send(name.encode(), flow)
            await until(lambda count=turn: len(far.said) == len(ours.seen(Got)) == 2 * count)
            for flow in flows:
                near.close_flow(flow)
            await until(lambda: not near.flows)
    assert sum(far.resumed) == 6
    assert all(shown[certificate] == said.decode() for certificate, said in far.said)


async def test_what_goes_wrong_with_a_session_leaves_no_connection_open(tmp_path, monkeypatch):
    """A ticket may be longer than Python copies: its session is not kept, and that is all."""
    fails = property(lambda tls: (_ for _ in ()).throw(ValueError("i2d() failed")))
    async with pair(resuming(tmp_path), place(tmp_path)) as both:
        monkeypatch.setattr(ssl.SSLObject, "session", fails)
        await visit(both.near, both.ours, both.target)
        assert len(kept_by(both.near)) == 0
        monkeypatch.undo()
        await visit(both.near, both.ours, both.target)
        assert len(kept_by(both.near)) == 1


async def test_a_server_that_cuts_whom_it_resumes_gets_a_full_handshake_next(tmp_path):
    far = place(tmp_path)
    async with pair(resuming(tmp_path), far) as both:
        await visit(both.near, both.ours, both.target)
        far.mute = True
        for _ in range(2):
            await both.near.open_flow(both.target)
            await until(lambda: not both.near.flows)
        assert far.resumed == [False, True, False]


async def test_a_session_is_offered_once_where_the_server_gives_no_new_one(tmp_path):
    far = place(tmp_path)
    async with pair(resuming(tmp_path), far) as both:
        await visit(both.near, both.ours, both.target)
        far.context.num_tickets = 0
        for _ in range(2):
            await visit(both.near, both.ours, both.target)
    assert far.resumed == [False, True, False]


def ask_clients(context):
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=der_of(authority().certificate))


async def sessions_of(folder, tls, count) -> tuple[ssl.SSLContext, list[KeptSession]]:
    """Sessions that a server has given, and the context that they belong to."""
    async with pair(tls, place(folder)) as both:
        found = []
        for _ in range(count):
            await visit(both.near, both.ours, both.target)
            found += kept_by(both.near)._kept.values()
            kept_by(both.near).clear()
    return found[0].context, found


async def test_the_session_of_a_task_is_its_own_on_one_context(tmp_path):
    context, found = await sessions_of(tmp_path, resuming(tmp_path), 4)
    assert {each.context for each in found} == {context}

    async def connect(offer):
        with offering(offer):
            await asyncio.sleep(0)  # others set theirs meanwhile
            return [
                context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=HOST)
                for _ in range(2)
            ]

    offers = [each.offer() for each in found]
    made = await asyncio.gather(*map(connect, [*offers, None]))
    for each, (first, second) in zip(found, made[:-1], strict=True):
        assert first.session.id == each.session.id
        assert second.session is None  # an offer is for one connection
    assert [tls.session for tls in made[-1]] == [None, None]
    other = client_context(resuming(tmp_path))
    with offering(found[0].offer()):
        tls = other.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=HOST)
        assert tls.session is None  # nor for another context
        given = context.wrap_bio(
            ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=HOST, session=found[1].session
        )
        assert given.session.id == found[1].session.id


async def test_nothing_of_a_session_is_in_a_repr(tmp_path):
    _, (kept,) = await sessions_of(tmp_path, resuming(tmp_path), 1)
    chain = str(kept.accepted.chain[0])[2:30]
    for shown in (repr(kept), repr(kept.offer()), repr(kept.accepted)):
        assert chain not in shown
        assert "Session object" not in shown.replace("SessionOffer object", "")


def number_of(kept: KeptSessions, targets, context) -> int:
    return sum(kept.take(each, context, wall=NOW) is not None for each in targets)


def kept_at(context, *, begun=NOW, until=NOW + timedelta(minutes=1)):
    return KeptSession(None, context, AcceptedHandshake((b"leaf",), begun, begun), until)


def test_they_are_bounded_in_number_and_the_oldest_is_dropped():
    context, kept = object(), KeptSessions(entries=3)
    targets = [Target(Transport.TLS, HOST, 5061, HOST, f"{n}") for n in range(5)]
    for target in [*targets[:3], targets[0], *targets[3:]]:
        kept.keep(target, kept_at(context))
    assert len(kept) == 3
    assert number_of(kept, targets[1:3], context) == 0
    assert number_of(kept, [targets[0], *targets[3:]], context) == 3
    assert number_of(kept, targets, context) == 0  # each is for one use


@pytest.mark.parametrize(
    ("begun", "until"),
    [
        (NOW - timedelta(seconds=10), NOW),
        (NOW + timedelta(seconds=1), NOW + timedelta(minutes=1)),
    ],
    ids=["too old", "clock set back"],
)
def test_they_are_bounded_in_age(begun, until):
    context, kept = object(), KeptSessions()
    target = Target(Transport.TLS, HOST, 5061, HOST)
    kept.keep(target, kept_at(context, begun=begun, until=until))
    assert kept.take(target, context, wall=NOW) is None
    assert len(kept) == 0


def test_those_that_are_over_are_dropped_when_others_come():
    context, kept = object(), KeptSessions()
    targets = [Target(Transport.TLS, HOST, 5061, HOST, f"{n}") for n in range(4)]
    for number, target in enumerate(targets):
        begun = NOW + timedelta(seconds=45 * number)
        kept.keep(target, kept_at(context, begun=begun, until=begun + timedelta(minutes=1)))
    assert len(kept) == 2


def test_no_other_context_gets_a_session():
    kept = KeptSessions()
    target = Target(Transport.TLS, HOST, 5061, HOST)
    kept.keep(target, kept_at(object()))
    assert kept.take(target, object(), wall=NOW) is None
    assert len(kept) == 0


@pytest.mark.parametrize(("hint", "minutes"), [(7200, 60 - 45), (300, 5), (0, 0)])
def test_the_servers_hint_and_the_hour_both_end_it(hint, minutes):
    session = SimpleNamespace(has_ticket=True, ticket_lifetime_hint=hint, id=b"1")
    tls = SimpleNamespace(session=session, version=lambda: "TLSv1.3")
    accepted = AcceptedHandshake((b"leaf",), NOW - timedelta(minutes=45), NOW)
    kept = session_of(tls, object(), accepted)
    assert kept.until == NOW + timedelta(minutes=minutes)
    assert timedelta(hours=1) >= LONGEST_AGE


def far_driver(recorder, **more):
    return Driver(recorder, on_event=recorder.on_event, config=DriverConfig(**more))


def answering() -> Recorder:
    """A server that answers whatever it hears, by which its ticket has arrived, too."""
    theirs = Recorder()
    theirs.react = lambda event: (
        theirs.send(b"200 OK", event.flow) if isinstance(event, Got) else None
    )
    return theirs


async def ask(near, ours, target):
    heard = len(ours.received())
    flow = await near.open_flow(target)
    with near.change():
        ours.send(b"REGISTER", flow)
    await until(lambda: len(ours.received()) > heard)
    near.close_flow(flow)
    await until(lambda: not near.flows)


@pytest.mark.parametrize("demand", list(ClientCertificates))
async def test_a_listener_of_ours_resumes_and_knows_the_client_again(tmp_path, demand):
    theirs, ours = answering(), Recorder()
    listening = settings(
        tmp_path, server(), "server", client_certificates=demand, resume_sessions=True
    )
    async with (
        far_driver(theirs) as far,
        client_driver(ours, resuming(tmp_path, alice())) as near,
    ):
        target = tls_target(await far.listen(Transport.TLS, tls=listening))
        for _ in range(3):
            await ask(near, ours, target)
        assert near.counters["sessions_resumed"] == 2
        judged = demand is not ClientCertificates.NONE
        assert far.counters["sessions_resumed"] == (2 if judged else 0)
        identities = [each.flow.identity for each in theirs.seen(Up)]
    assert len(identities) == 3
    assert len(set(identities)) == 1
    assert (identities[0] is not None) == judged


async def test_a_client_without_a_certificate_resumes_where_none_is_needed(tmp_path):
    theirs, ours = answering(), Recorder()
    optional = ClientCertificates.OPTIONAL
    listening = settings(
        tmp_path, server(), "server", client_certificates=optional, resume_sessions=True
    )
    async with far_driver(theirs) as far, client_driver(ours, resuming(tmp_path)) as near:
        target = tls_target(await far.listen(Transport.TLS, tls=listening))
        for _ in range(2):
            await ask(near, ours, target)
        assert near.counters["sessions_resumed"] == 1
    assert [each.flow.identity for each in theirs.seen(Up)] == [None, None]


@asynccontextmanager
async def listening_pair(folder, issued, listening, **more):
    """A listener of ours, and a client with a certificate that has resumed there once."""
    theirs, ours, clock = answering(), Recorder(), Clock()
    async with (
        far_driver(theirs, wall=clock, **more) as far,
        client_driver(ours, resuming(folder, issued)) as near,
    ):
        address = await far.listen(Transport.TLS, tls=listening)
        target = tls_target(address)
        for _ in range(2):
            await ask(near, ours, target)
        assert len(theirs.seen(Up)) == 2
        yield SimpleNamespace(far=far, near=near, ours=ours, clock=clock, target=target)


async def refusal_of(both) -> type[Exception]:
    """Connect once more, resuming; return why the listener refuses it."""
    await both.near.open_flow(both.target)
    await until(lambda: both.far.refusals)
    await until(lambda: not both.near.flows)
    assert both.near.counters["sessions_resumed"] == 2
    return type(both.far.refusals[-1][1])


async def test_a_listener_refuses_a_resumed_client_that_has_expired(tmp_path):
    issued = authority().client("sip:alice@example.test", validity=Validity(ends=MINUTES_30))
    listening = settings(tmp_path, server(), "server", resume_sessions=True)
    async with listening_pair(tmp_path, issued, listening) as both:
        both.clock.now += timedelta(minutes=31)
        assert await refusal_of(both) is CertificateExpired


async def test_a_listener_resumes_no_client_an_hour_after_its_full_handshake(tmp_path):
    listening = settings(tmp_path, server(), "server", resume_sessions=True)
    async with listening_pair(tmp_path, alice(), listening) as both:
        both.clock.now += timedelta(minutes=61)
        assert await refusal_of(both) is CertificateUntrusted
        await ask(both.near, both.ours, both.target)  # in a full handshake
        assert both.near.counters["sessions_resumed"] == 2


async def test_a_listener_refuses_a_resumed_client_that_was_revoked(tmp_path):
    made = Authority("declaring CA", crl_url="http://pki.example.test/crl")
    issued, answers = made.client("sip:alice@example.test"), Answers(made)
    listening = TlsSettings(
        store=store(made),
        credential=settings(tmp_path, server(), "server").credential,
        resume_sessions=True,
        revocation=RevocationMode.HARD,
    )
    async with listening_pair(tmp_path, issued, listening, fetcher=answers) as both:
        made.revoke(issued)
        answers.current = made.revocation_list()
        both.clock.now += timedelta(minutes=6)  # a verdict is kept for five
        assert await refusal_of(both) is CertificateRevoked


def resumed_client(leaf, version="TLSv1.3"):
    return SimpleNamespace(version=lambda: version, getpeercert=lambda binary_form: leaf)


def test_a_listener_resumes_no_client_whose_certificate_it_has_not_accepted():
    clock = Clock(NOW)
    required = AcceptedChains(optional=False, wall=clock, entries=2)
    for leaf in (b"a", b"b"):
        required.keep((leaf, b"root"))
    assert required.chain_of(resumed_client(b"a")) == (b"a", b"root")  # and is kept for that
    for leaf in (b"c", b"a"):
        required.keep((leaf, b"root"))
    assert required.chain_of(resumed_client(b"c")) == (b"c", b"root")
    for refused in (
        resumed_client(b"b"),  # the oldest is dropped
        resumed_client(b"x"),
        resumed_client(None),
        resumed_client(b"c", "TLSv1.2"),
    ):
        with pytest.raises(CertificateUntrusted, match="connect anew"):
            required.chain_of(refused)
    for moved in (timedelta(hours=1), timedelta(seconds=-1)):
        clock.now = NOW + moved
        with pytest.raises(CertificateUntrusted, match="connect anew"):
            required.chain_of(resumed_client(b"c"))
    optional = AcceptedChains(optional=True, wall=clock)
    assert optional.chain_of(resumed_client(None)) == ()
    with pytest.raises(CertificateUntrusted):
        optional.chain_of(resumed_client(b"x"))


@pytest.mark.parametrize("known", ["no offer", "another chain"])
async def test_a_resumed_session_of_which_nothing_is_known_is_refused(tmp_path, monkeypatch, known):
    """As if OpenSSL had resumed one by itself, or the certificate were not that of the chain."""
    far = place(tmp_path)
    async with pair(resuming(tmp_path), far) as both:
        await visit(both.near, both.ours, both.target)
        ((target, kept),) = kept_by(both.near)._kept.items()
        if known == "no offer":
            monkeypatch.setattr(SessionOffer, "was_taken_by", lambda *_: None)
            with pytest.raises(CertificateUntrusted, match="connect anew"):
                await both.near.open_flow(both.target)
        else:
            accepted = replace(kept.accepted, chain=(der_of(alice().certificate),))
            kept_by(both.near).keep(target, replace(kept, accepted=accepted))
            await visit(both.near, both.ours, both.target)  # a full handshake decides
        assert both.near.counters["sessions_resumed"] == 0
