from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from softphone.errors import (
    CertificateExpired,
    CertificateUnknown,
    CertificateUntrusted,
    ConfigurationError,
    IdentityMismatch,
    TransportError,
    TransportTimeout,
)
from softphone.lab import Authority, CertificateNames, Validity
from softphone.net.http import RevocationFetcher
from softphone.net.limits import TransportLimits
from softphone.net.stream import (
    CertificateGate,
    HandshakeSlots,
    StreamConnection,
    connect_socket,
    dialer,
    verified_chain,
)
from softphone.net.stream.tls_handshake import handshake_error
from softphone.sans_io import Target, Transport
from softphone.security import Relaxation, TlsVersion
from softphone.trust import (
    FetchFailed,
    Pin,
    Service,
    TlsSettings,
    TrustStore,
    der_of,
    fingerprint_of,
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
from tests.support.recorder import Down, Recorder, Up, client_driver, until
from tests.support.virtual_loop import run_virtually


class Stranger:
    """A TLS server that is not ours; it keeps every byte of application data it sees."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.seen: list[bytes] = []
        self.connections = 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        self.address = self.server.sockets[0].getsockname()[:2]
        return self

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while data := await reader.read(1024):
                self.seen.append(data)
        except OSError:
            self.seen.append(b"")
        writer.close()

    async def __aexit__(self, *exc_info):
        self.server.close()
        await self.server.wait_closed()


def stranger(folder, issued) -> Stranger:
    return Stranger(raw_server_context(issued.write(folder, "stranger")))


async def refused(folder, issued, error, tls=None, **more):
    """Connect to a stranger with this certificate: refused, and not one byte of ours was seen."""
    ours = Recorder()
    async with (
        stranger(folder, issued) as far,
        client_driver(ours, tls or settings(folder, alice(), "alice"), **more) as near,
    ):
        target = tls_target(far.address)
        with near.change():
            ours.send(b"REGISTER sip:secret", target)
        await until(lambda: ours.seen(Down))
        failure = near.failure_of(target)
        assert type(failure) is error
        assert ours.seen(Up) == []
        assert far.seen in ([], [b""])
    return str(failure)


async def accepted(folder, issued, tls, **more):
    ours = Recorder()
    async with stranger(folder, issued) as far, client_driver(ours, tls, **more) as near:
        flow = await near.open_flow(tls_target(far.address))
    return flow


async def test_a_server_of_our_authority_is_known_by_its_names(tmp_path):
    flow = await accepted(tmp_path, server(), settings(tmp_path, None))
    assert flow.identity.names == (f"dns:{HOST}", "ip:127.0.0.1", f"cn:{HOST}")
    assert flow.identity.fingerprint == fingerprint_of(server().certificate)
    assert flow.identity.protocol == "TLSv1.3"
    assert flow.identity.verdict == "chain"


async def test_the_host_is_the_reference_when_no_server_name_is_given(tmp_path):
    ours = Recorder()
    async with (
        stranger(tmp_path, server()) as far,
        client_driver(ours, settings(tmp_path, None)) as near,
    ):
        flow = await near.open_flow(Target(Transport.TLS, *far.address))
    assert flow.identity is not None


async def test_a_server_behind_an_intermediate_is_accepted(tmp_path):
    issued = authority().intermediate("middle").server(HOST)
    assert (await accepted(tmp_path, issued, settings(tmp_path, None))).identity is not None


async def test_a_server_of_another_authority_sees_nothing_of_us(tmp_path):
    issued = foreign().server(HOST)
    assert HOST in await refused(tmp_path, issued, CertificateUnknown)


async def test_another_name_is_refused_with_the_names_that_are_there(tmp_path):
    issued = authority().server("other.example.test")
    sentence = await refused(tmp_path, issued, IdentityMismatch)
    assert "dns:other.example.test" in sentence


async def test_an_expired_server_is_refused(tmp_path):
    issued = authority().server(HOST, validity=Validity.expired())
    await refused(tmp_path, issued, CertificateExpired)


async def test_a_server_of_the_future_is_refused(tmp_path):
    issued = authority().server(HOST, validity=Validity.future())
    await refused(tmp_path, issued, CertificateExpired)


async def test_the_gate_has_a_clock_of_its_own(tmp_path):
    later = datetime.now(UTC) + timedelta(days=60)
    await refused(tmp_path, server(), CertificateExpired, wall=lambda: later)


async def test_tls_1_3_can_be_demanded(tmp_path):
    context = raw_server_context(server().write(tmp_path, "old"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    ours = Recorder()
    demanding = settings(tmp_path, None, minimum=TlsVersion.TLS_1_3)
    async with Stranger(context) as far, client_driver(ours, demanding) as near:
        with pytest.raises(TransportError):
            await near.open_flow(tls_target(far.address))
    async with Stranger(context) as far, client_driver(ours, settings(tmp_path, None)) as near:
        flow = await near.open_flow(tls_target(far.address))
    assert flow.identity.protocol == "TLSv1.2"


async def test_a_pin_by_fingerprint_takes_the_place_of_authority_and_name(tmp_path):
    issued = foreign().server("whatever.test")
    pin = f"sha256:{fingerprint_of(issued.certificate)}"
    flow = await accepted(tmp_path, issued, TlsSettings(store=TrustStore(), pin=pin))
    assert flow.identity.verdict == "pin"


async def test_a_pin_admits_no_other_certificate_of_the_same_authority(tmp_path):
    pin = f"sha256:{fingerprint_of(authority().server(HOST).certificate)}"
    sentence = await refused(
        tmp_path, server(), CertificateUntrusted, settings(tmp_path, alice(), "alice", pin=pin)
    )
    assert fingerprint_of(server().certificate) in sentence


async def test_an_expired_pin_fails(tmp_path):
    issued = foreign().server(HOST, validity=Validity.expired())
    pin = f"sha256:{fingerprint_of(issued.certificate)}"
    await refused(tmp_path, issued, CertificateExpired, TlsSettings(store=TrustStore(), pin=pin))


async def test_a_pin_that_is_no_fingerprint_is_a_configuration_error(tmp_path):
    await refused(tmp_path, server(), ConfigurationError, settings(tmp_path, None, pin="sha256:x"))


async def test_a_stored_pin_counts_only_at_its_own_place(tmp_path):
    issued = foreign().server("whatever.test")
    ours = Recorder()
    trust = TrustStore()
    async with (
        stranger(tmp_path, issued) as far,
        stranger(tmp_path, issued) as elsewhere,
        client_driver(ours, TlsSettings(store=trust)) as near,
    ):
        with pytest.raises(CertificateUntrusted):
            await near.open_flow(tls_target(far.address))
        trust.add_pin(Pin(Service.SIP, *far.address, der_of(issued.certificate)))
        flow = await near.open_flow(tls_target(far.address))
        assert flow.identity.verdict == "pin"
        with pytest.raises(CertificateUntrusted):
            await near.open_flow(tls_target(elsewhere.address))


async def test_a_new_anchor_counts_for_the_next_connection(tmp_path):
    trust = store(foreign())
    ours = Recorder()
    async with (
        stranger(tmp_path, server()) as far,
        client_driver(ours, TlsSettings(store=trust)) as near,
    ):
        with pytest.raises(CertificateUntrusted):
            await near.open_flow(tls_target(far.address))
        trust.add_anchor(authority().certificate)
        assert await near.open_flow(tls_target(far.address))


async def test_an_unknown_credential_is_a_configuration_error(tmp_path):
    async with client_driver(Recorder(), settings(tmp_path, None)) as near:
        with pytest.raises(ConfigurationError, match="nobody"):
            await near.open_flow(Target(Transport.TLS, "127.0.0.1", 1, HOST, "nobody"))


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (ConnectionAbortedError("taking longer"), TransportTimeout, "3 s (is that a port for TLS"),
        (ConnectionResetError(), TransportError, "closed the connection"),
        (ssl.SSLError(1, "[SSL] something"), TransportError, "no TLS with peer"),
    ],
)
def test_a_failed_handshake_is_told_in_our_words(raised, expected, words):
    failure = handshake_error(raised, "peer", timeout=3.0)
    assert type(failure) is expected
    assert words in str(failure)


async def test_an_authority_without_key_identifiers_is_accepted_with_a_reservation(
    tmp_path, caplog
):
    lax = Authority("lax CA", key_identifiers=False)
    issued = lax.server(HOST, CertificateNames(dns=(HOST,)))
    caplog.set_level("INFO", "softphone.trust")
    flow = await accepted(tmp_path, issued, TlsSettings(store=store(lax)))
    assert flow.identity.verdict == "chain"
    assert "no authority key identifier" in caplog.text


class Session:
    """What a TLS session says of its peer, in the two ways of asking."""

    def __init__(self, leaf, chain, *, public):
        self.leaf = leaf
        if public:
            self.get_verified_chain = lambda: chain
        else:
            wrapped = None if chain is None else [Wrapped(each) for each in chain]
            self._sslobj = SimpleNamespace(get_verified_chain=lambda: wrapped)

    def getpeercert(self, *, binary_form):
        assert binary_form
        return self.leaf


class Wrapped:
    def __init__(self, der):
        self.der = der

    def public_bytes(self, form):
        assert form == 2
        return self.der


@pytest.mark.parametrize("public", [False, True], ids=["3.11", "3.13"])
def test_the_verified_chain_is_read_in_both_ways(public):
    assert verified_chain(Session(b"leaf", [b"leaf", b"ca"], public=public)) == (b"leaf", b"ca")
    assert verified_chain(Session(None, None, public=public)) == ()


@pytest.mark.parametrize("public", [False, True], ids=["3.11", "3.13"])
@pytest.mark.parametrize("chain", [None, [], [b"other", b"ca"]])
def test_a_chain_of_another_certificate_is_refused(public, chain):
    with pytest.raises(CertificateUntrusted, match="not the one verified"):
        verified_chain(Session(b"leaf", chain, public=public))


async def test_a_pinned_certificate_is_learned_once(tmp_path, monkeypatch):
    dialed = []

    async def connect(address, within, source, dscp):
        dialed.append(address)
        return await connect_socket(address, within, source, dscp)

    monkeypatch.setattr(dialer, "connect_socket", connect)
    issued = foreign().server("whatever.test")
    pin = f"sha256:{fingerprint_of(issued.certificate)}"
    ours = Recorder()
    async with (
        stranger(tmp_path, issued) as far,
        client_driver(ours, TlsSettings(store=TrustStore(), pin=pin)) as near,
    ):
        target = tls_target(far.address)
        flow = await near.open_flow(target)
        assert len(dialed) == 2
        near.close_flow(flow)
        await until(lambda: ours.seen(Down))
        await near.open_flow(target)
        assert len(dialed) == 3


async def test_the_probe_for_a_pin_shows_no_certificate_of_ours(tmp_path):
    issued = foreign().server("whatever.test")
    pin = f"sha256:{fingerprint_of(authority().certificate)}"
    shown = []
    context = raw_server_context(issued.write(tmp_path, "curious"))
    context.load_verify_locations(cadata=der_of(authority().certificate))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # the server is through before the client

    async def look(reader, writer):
        shown.append(writer.get_extra_info("peercert"))
        writer.close()

    curious = await asyncio.start_server(look, "127.0.0.1", 0, ssl=context)
    tls = settings(tmp_path, alice(), "alice", pin=pin)
    async with curious, client_driver(Recorder(), tls) as near:
        with pytest.raises(CertificateUntrusted, match="does not show the pinned"):
            await near.open_flow(tls_target(curious.sockets[0].getsockname()))
        await until(lambda: shown)
    assert shown in ([None], [{}])


class Fetching:
    """A fetcher that answers what it is told, keeps count, and is told to forget."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = 0
        self.forgotten = []

    async def __call__(self, wanted, within):
        self.asked += 1
        return dict.fromkeys(wanted, self.answer())

    def drop_answers(self, fetches):
        self.forgotten += fetches


def declaring():
    return Authority("declaring CA", crl_url="http://pki.example.test/crl")


async def connections(folder, made, fetching, *, times=3, **more):
    """Connect several times; gives the words on revocation and what was counted."""
    words = []
    tls = TlsSettings(store=store(made), **more)
    async with (
        stranger(folder, made.server(HOST)) as far,
        client_driver(Recorder(), tls, fetcher=fetching) as near,
    ):
        for _ in range(times):
            flow = await near.open_flow(tls_target(far.address))
            words.append(flow.identity.revocation)
            near.close_flow(flow)
            await until(lambda: not near.flows)
        return words, dict(near.counters)


async def test_a_chain_that_was_judged_is_not_judged_again_for_a_while(tmp_path):
    made = declaring()
    fetching = Fetching(made.revocation_list)
    words, counted = await connections(tmp_path, made, fetching)
    assert words == ["good"] * 3
    assert fetching.asked == 1
    assert counted == {"verdicts_kept": 2}


async def test_who_could_not_be_asked_is_asked_again_and_counted(tmp_path, caplog):
    caplog.set_level("INFO", "softphone.trust")
    fetching = Fetching(lambda: FetchFailed("it does not answer"))
    words, counted = await connections(tmp_path, declaring(), fetching)
    assert words == ["unreachable"] * 3
    assert fetching.asked == 3
    assert counted == {"revocation_unreachable": 3}
    assert "it does not answer" in caplog.text


async def test_a_forged_answer_is_forgotten_and_refuses(tmp_path):
    fetching = Fetching(declaring().revocation_list)
    with pytest.raises(CertificateUntrusted, match="cannot be determined"):
        await connections(tmp_path, declaring(), fetching)
    assert len(fetching.forgotten) == 1


async def test_a_forged_answer_counts_as_none_where_a_setting_says_so(tmp_path):
    fetching = Fetching(declaring().revocation_list)
    allow = frozenset({Relaxation.INVALID_REVOCATION})
    words, counted = await connections(tmp_path, declaring(), fetching, allow=allow)
    assert words == ["invalid"] * 3
    assert counted == {"revocation_invalid": 3}
    assert len(fetching.forgotten) == 3


async def test_a_chain_that_does_not_verify_has_nothing_fetched(tmp_path):
    fetching = Fetching(lambda: FetchFailed("never asked"))
    made = declaring()
    for issued, kind in (
        (made.server("other.example.test"), IdentityMismatch),
        (made.server(HOST, validity=Validity.expired()), CertificateExpired),
    ):
        tls = TlsSettings(store=store(made))
        await refused(tmp_path, issued, kind, tls, fetcher=fetching)
    await refused(tmp_path, made.server(HOST), CertificateUnknown, fetcher=fetching)
    assert fetching.asked == 0


async def test_a_socket_that_the_far_end_has_reset_is_closed():
    """Else it would be left to the collector: the loop takes it only when it begins."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sock = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
    sock.setblocking(False)
    while True:  # the reset is on its way
        try:
            sock.getpeername()
        except OSError:
            break
        await asyncio.sleep(0)
    gate = CertificateGate(
        limits=TransportLimits(),
        slots=HandshakeSlots(4, 4),
        wall=lambda: datetime.now(UTC),
        fetcher=RevocationFetcher(),
    )
    connection = StreamConnection(Recorder(), TransportLimits(), client=True)
    with pytest.raises(TransportError):
        await gate.client_handshake(sock, connection, ssl.create_default_context(), "127.0.0.1")
    await until(lambda: sock.fileno() == -1)


@pytest.mark.parametrize("name", ["127.0.0.1", HOST])
def test_a_port_that_answers_no_handshake_is_told_after_two_seconds(tmp_path, caplog, name):
    """On virtual time with the real constants: a warning at 2 s, the failure at 10 s."""
    told: list[float] = []

    class Clock(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            told.append(asyncio.get_running_loop().time())
            return True

    async def open_to(silent: socket.socket) -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        recorder = Recorder()
        async with client_driver(recorder, settings(tmp_path, alice(), "alice")) as near:
            begun = loop.time()
            with pytest.raises(TransportTimeout, match="longer than 10 s"):
                await near.open_flow(tls_target(silent.getsockname(), name))
            return begun, loop.time()

    watching = Clock()
    logger = logging.getLogger("softphone.net")
    logger.addFilter(watching)
    try:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            begun, ended = run_virtually(open_to(silent))
    finally:
        logger.removeFilter(watching)
    (line,) = [each for each in caplog.messages if "has answered no TLS handshake" in each]
    assert "for 2 s: is that a port for TLS?" in line
    assert [round(at - begun, 1) for at in told] == [2.0]
    assert round(ended - begun, 1) == 10.0
