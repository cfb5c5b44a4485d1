"""Asking TVS over TLS, and what the gate makes of the lists and of the answers, on real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl

import pytest

from softphone.errors import CertificateExpired, CertificateUntrusted
from softphone.net import Driver, DriverConfig
from softphone.net.verified import TvsAsker
from softphone.sans_io import Target, Transport
from softphone.security import ClientCertificates
from softphone.trust import (
    FetchFailed,
    Pin,
    RecordFields,
    Role,
    Service,
    TlsSettings,
    TrustLists,
    TrustStore,
    TvsAnswer,
    TvsAnswered,
    TvsUnanswered,
    der_of,
    parse_trust_list,
)
from softphone.trust.lists import FileHashAlgorithm, TrustListRecord
from tests.support import listed
from tests.support.certificates import alice, raw_server_context
from tests.support.clock import seeded_entropy
from tests.support.recorder import Got, Recorder, client_driver, until
from tests.support.waiting import PATIENCE

YES = TvsAnswer(True, (Role.CCM,), 100)


class Clock:
    """A clock that a test may put forward."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return asyncio.get_running_loop().time() + self.ahead


def asker(*services, lists=None, clock=None) -> TvsAsker:
    return TvsAsker(
        [service.address for service in services],
        lists or listed.lists(),
        device_name="CP-8845-SEP001122334455",
        entropy=seeded_entropy(1),
        config=DriverConfig(clock=clock),
    )


async def test_a_question_is_answered_over_tls_and_the_answer_is_kept_as_long_as_it_says(tmp_path):
    clock = Clock()
    async with listed.TvsService().running(tmp_path) as service:
        service.known[listed.der("ccm")] = YES
        asking = asker(service, clock=clock)
        first = await asking.query_certificate(listed.der("ccm"), within=PATIENCE)
        assert isinstance(first, TvsAnswered)
        assert (first.answer, first.cached) == (YES, False)
        assert service.asked[0].device_name == "CP-8845-SEP001122334455"
        assert (await asking.query_certificate(listed.der("ccm"), within=PATIENCE)).cached
        clock.ahead = 101.0
        assert not (await asking.query_certificate(listed.der("ccm"), within=PATIENCE)).cached
        asking.replace_lists(listed.lists())
        assert not (await asking.query_certificate(listed.der("ccm"), within=PATIENCE)).cached
        assert len(service.asked) == 3


async def test_what_it_does_not_know_is_a_no(tmp_path):
    async with listed.TvsService().running(tmp_path) as service:
        found = await asker(service).query_certificate(listed.der("ccm"), within=PATIENCE)
        assert found.answer == TvsAnswer(False)
        assert not found.gives(Role.CCM)


async def test_a_server_that_is_away_or_not_the_lists_is_passed_over(tmp_path):
    false, true, away = listed.TvsService("capf"), listed.TvsService(), listed.TvsService()
    async with false.running(tmp_path), true.running(tmp_path):
        true.known[listed.der("ccm")] = YES
        false.known[listed.der("ccm")] = TvsAnswer(True, (Role.TFTP,), 100)
        away.address = ("127.0.0.1", 1)
        found = await asker(away, false, true).query_certificate(listed.der("ccm"), within=PATIENCE)
        assert found.answer == YES
        assert false.asked == []


async def test_nobody_is_asked_when_no_list_names_a_tvs(tmp_path):
    async with listed.TvsService().running(tmp_path) as service:
        for lists in (TrustLists(), listed.lists(names={Role.CCM: "ccm"})):
            asking = TvsAsker(
                [service.address],
                lists,
                device_name="CP-8845-SEP001122334455",
                entropy=seeded_entropy(1),
            )
            found = await asking(listed.der("ccm"), 5.0)
            assert found == FetchFailed("no trust list names a TVS")
        assert await asker()(listed.der("ccm"), 5.0) == FetchFailed("no TVS is configured")
        assert service.driver.counters.get("accepted", 0) == 0


async def test_a_silent_server_costs_the_time_that_was_given():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = listed.TvsService()
        service.address = silent.getsockname()
        found = await asker(service).query_certificate(listed.der("ccm"), within=0.3)
        assert isinstance(found, TvsUnanswered)
        assert "within 0.3 s" in found.reason


async def test_a_list_signer_that_tvs_gives_sast_is_confirmed_and_another_is_not(tmp_path):
    async with listed.TvsService().running(tmp_path) as service:
        signer = der_of(listed.token().certificate)
        asking = asker(service)
        downloads = [listed.itl(), b"no list"]
        assert await asking.find_list_signers(downloads, within=PATIENCE) == frozenset()
        asking.replace_lists(listed.lists())
        service.known[signer] = TvsAnswer(True, (Role.SAST,), 60)
        assert await asking.find_list_signers(downloads, within=PATIENCE) == frozenset({signer})


class Server:
    """A TLS server that shows a certificate of the cluster, and keeps what it sees."""

    def __init__(self, folder, name, *, ask_client=False):
        credential = listed.issued(name).write(folder, f"server-{name}")
        self.context = raw_server_context(credential)
        if ask_client:
            self.context.load_verify_locations(cadata=der_of(alice().certificate))
            self.context.verify_mode = ssl.CERT_OPTIONAL
            self.context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        self.seen, self.clients = [], []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        self.address = self.server.sockets[0].getsockname()[:2]
        return self

    async def serve(self, reader, writer):
        self.clients.append(writer.get_extra_info("peercert"))
        try:
            while data := await reader.read(1024):
                self.seen.append(data)
        except OSError:
            self.seen.append(b"")
        writer.close()

    async def __aexit__(self, *exc_info):
        self.server.close()
        await self.server.wait_closed()


async def opened(folder, name, *, service=Service.SIP, far_end=None, **more):
    """A connection to a server of the cluster, by lists only; gives who it was verified to be."""
    tls = TlsSettings(**{"lists": listed.lists(), "service": service, **more})
    async with far_end or Server(folder, name) as far, client_driver(Recorder(), tls) as near:
        flow = await near.open_flow(Target(Transport.TLS, *far.address))
        return flow.identity


@pytest.mark.parametrize(
    ("name", "service"),
    [("ccm", Service.SIP), ("ccm", Service.HTTPS), ("tftp", Service.HTTPS), ("capf", Service.CAPF)],
)
async def test_a_listed_server_of_the_right_role_is_accepted(tmp_path, name, service):
    assert (await opened(tmp_path, name, service=service)).verdict == "trust-list"


async def test_a_listed_server_of_another_role_is_refused_by_name_and_sees_no_certificate(tmp_path):
    far = Server(tmp_path, "capf", ask_client=True)
    credential = alice().write(tmp_path, "alice")
    with pytest.raises(CertificateUntrusted, match="as CAPF, and not as a call server"):
        await opened(tmp_path, "capf", far_end=far, credential=credential)
    assert all(not client for client in far.clients)
    assert b"".join(far.seen) == b""


async def test_an_expired_listed_server_is_accepted_and_said_or_refused_as_set(tmp_path):
    lists = listed.lists(RecordFields(Role.CCM, listed.issued("expired").certificate))
    identity = await opened(tmp_path, "expired", lists=lists)
    assert "expired on" in identity.relaxations[0]
    for strict in ({"listed_may_expire": False}, {"fips": True}):
        with pytest.raises(CertificateExpired):
            await opened(tmp_path, "expired", lists=lists, **strict)


async def test_an_unknown_server_is_refused_with_its_fingerprint_when_there_is_no_tvs(tmp_path):
    with pytest.raises(CertificateUntrusted, match=r"in no trust list.*there is no TVS to ask"):
        await opened(tmp_path, "new")


async def test_a_person_is_not_asked_where_there_are_lists(tmp_path):
    async def ask(question):
        raise AssertionError("a person was asked")

    with pytest.raises(CertificateUntrusted, match="in no trust list"):
        await opened(tmp_path, "new", unknown=ask)


async def test_a_pin_goes_before_the_lists(tmp_path):
    async with Server(tmp_path, "new") as far:
        store = TrustStore(pins=[Pin(Service.SIP, *far.address, listed.der("new"))])
        tls = TlsSettings(store=store, lists=listed.lists())
        async with client_driver(Recorder(), tls) as near:
            flow = await near.open_flow(Target(Transport.TLS, *far.address))
    assert flow.identity.verdict == "pin"


async def test_tvs_vouches_for_an_unknown_server_before_our_certificate_is_shown(tmp_path):
    far = Server(tmp_path, "new", ask_client=True)
    credential = alice().write(tmp_path, "alice")
    async with listed.TvsService().running(tmp_path) as service:
        service.known[listed.der("new")] = YES
        tls = TlsSettings(lists=listed.lists(), tvs=asker(service), credential=credential)
        async with far, client_driver(Recorder(), tls) as near:
            target = Target(Transport.TLS, *far.address)
            first = await near.open_flow(target)
            assert first.identity.verdict == "tvs"
            await until(lambda: far.clients)
            assert far.clients[-1]
            near.close_flow(first)
            await until(lambda: first not in near.flows)
            assert (await near.open_flow(target)).identity.verdict == "tvs"
        assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (TvsAnswer(False), "TVS does not know it"),
        (TvsAnswer(True, (Role.TFTP,), 60), "TVS knows .* as TFTP, and not a call server"),
        (None, "TVS does not know it"),
    ],
)
async def test_what_tvs_does_not_vouch_for_is_refused_and_sees_nothing(tmp_path, answer, words):
    far = Server(tmp_path, "new", ask_client=True)
    credential = alice().write(tmp_path, "alice")
    async with listed.TvsService().running(tmp_path) as service:
        if answer is not None:
            service.known[listed.der("new")] = answer
        with pytest.raises(CertificateUntrusted, match=words):
            await opened(tmp_path, "new", far_end=far, tvs=asker(service), credential=credential)
    assert all(not client for client in far.clients)
    assert b"".join(far.seen) == b""


async def test_a_yes_that_runs_out_and_is_not_given_again_ends_it(tmp_path):
    async with listed.TvsService().running(tmp_path) as service, Server(tmp_path, "new") as far:
        service.known[listed.der("new")] = TvsAnswer(True, (Role.CCM,), 0)
        tls = TlsSettings(lists=listed.lists(), tvs=asker(service))
        async with client_driver(Recorder(), tls) as near:
            target = Target(Transport.TLS, *far.address)
            flow = await near.open_flow(target)
            near.close_flow(flow)
            await until(lambda: flow not in near.flows)
            del service.known[listed.der("new")]
            with pytest.raises(CertificateUntrusted, match="TVS does not know it"):
                await near.open_flow(target)


async def test_a_hash_in_the_lists_confirms_a_certificate_that_is_shown(tmp_path):
    whole = parse_trust_list(listed.itl())
    record = TrustListRecord(
        whole.header.length,
        10,
        Role.CCM,
        certificate_hash=hashlib.sha256(listed.der("new")).digest(),
        hash_algorithm=FileHashAlgorithm.SHA_256,
    )
    lists = TrustLists(itl=type(whole)(whole.kind, whole.header, (record,), whole.data))
    assert (await opened(tmp_path, "new", lists=lists)).verdict == "trust-list"


@pytest.mark.parametrize(("name", "accepted"), [("ccm", True), ("tftp", False), ("new", False)])
async def test_a_listener_accepts_clients_that_the_lists_name(tmp_path, name, accepted):
    ours, theirs = Recorder(), Recorder()
    tls = TlsSettings(
        lists=listed.lists(),
        credential=listed.issued("tftp").write(tmp_path, "listener"),
        client_certificates=ClientCertificates.REQUIRED,
    )
    async with Driver(theirs, on_event=theirs.on_event) as far:
        address = await far.listen(Transport.TLS, tls=tls)
        client = TlsSettings(
            store=TrustStore(pins=[Pin(Service.SIP, *address, listed.der("tftp"))]),
            credential=listed.issued(name).write(tmp_path, name),
        )
        async with client_driver(ours, client) as near:
            with near.change():
                ours.send(b"INVITE", Target(Transport.TLS, *address))
            await until(lambda: theirs.seen(Got) or far.refusals)
    verdicts = [got.flow.identity.verdict for got in theirs.seen(Got)]
    assert verdicts == (["trust-list"] if accepted else [])
