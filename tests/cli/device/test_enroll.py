"""`softphone enroll`, against a CAPF server in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from datetime import UTC, datetime

import pytest

from softphone.cli.device.options import EnrollOptions
from softphone.lab import Authority, CertificateNames
from softphone.net import Driver
from softphone.sans_io import Transport
from softphone.security import ClientCertificates, KeyMaterial
from softphone.trust import (
    Bootstrap,
    CapfOperation,
    IdentityStore,
    KeyKind,
    ListKind,
    RecordFields,
    Role,
    TlsSettings,
    TrustListStore,
    fingerprint_of,
    load_certificate_file,
)
from softphone.trust.capf.server import CapfAuthentication, CapfDevice, CapfServer, CapfServerConfig
from tests.support.cluster import WALL, signer, trust_list
from tests.support.cluster import capf as other_capf
from tests.support.waiting import PATIENCE

DEVICE = "CSFALICE"
STRING = CapfDevice(
    DEVICE, CapfOperation.INSTALL, CapfAuthentication.STRING, KeyMaterial(b"4711"), KeyKind.EC_P256
)
RENEWAL = CapfDevice(
    DEVICE, CapfOperation.INSTALL, CapfAuthentication.CERTIFICATE, None, KeyKind.EC_P384
)


class Server:
    """A CAPF server, its address and the file that pins it."""

    def __init__(self, folder):
        authority = Authority("CAPF-test")
        self.credential = authority.server("CAPF-1234", CertificateNames()).write(folder, "capf")
        self.ca = self.credential.certificate
        self.machine = CapfServer(
            [STRING],
            issue=authority.enroll,
            entropy=lambda count: bytes(count),
            wall=lambda: datetime.now(UTC),
            config=CapfServerConfig(issuers=(authority.certificate,)),
        )
        self.ready = threading.Event()
        self.thread = threading.Thread(target=asyncio.run, args=(self.serve(),))

    async def serve(self):
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
        tls = TlsSettings(credential=self.credential, client_certificates=ClientCertificates.NONE)
        async with Driver(self.machine, on_event=lambda event: None) as driver:
            self.place = "{}:{}".format(*await driver.listen(Transport.TLS, tls=tls))
            self.ready.set()
            await self.over.wait()

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(PATIENCE)
        return self

    def __exit__(self, *exc_info):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(PATIENCE)


@pytest.fixture
def capf(tmp_path):
    with Server(tmp_path) as server:
        yield server


@pytest.fixture
def enroll(cli, capf, tmp_path):
    def run(*options, store=tmp_path / "store"):
        return cli("enroll", DEVICE, "--capf", capf.place, "--store", store, *options)

    return run


def test_by_string_and_then_by_the_certificate_itself(enroll, capf, tmp_path):
    outcome = enroll("--auth-string", "4711", "--ca", capf.ca, "--json")
    assert outcome.code == 0, outcome.err
    said = [event["message"] for event in outcome.events if event["event"] == "progress"]
    assert said[1:] == [
        "making a key (ec-p256)",
        "waiting for the certificate",
        "the certificate is stored",
    ]
    assert outcome.summary["operation"] == "install"
    store = IdentityStore(tmp_path / "store")
    assert outcome.summary["certificate"] == str(store.path(DEVICE))
    first = store.load(DEVICE)
    # The server's certificate is remembered.
    capf.machine.set_device(RENEWAL)
    outcome = enroll("--lsc")
    assert outcome.code == 0, outcome.err
    assert "enrolled" in outcome.out
    assert store.previous(DEVICE) == first != store.load(DEVICE)


@pytest.mark.parametrize("listed", [True, False])
def test_the_trust_list_in_the_store_names_the_server(enroll, capf, tmp_path, listed):
    token = signer("token")
    issuer = load_certificate_file(capf.ca)[0] if listed else other_capf().certificate
    fields = [RecordFields(Role.SAST, token.certificate), RecordFields(Role.CAPF, issuer)]
    TrustListStore(tmp_path / "store").accept_list(
        ListKind.ITL,
        trust_list(ListKind.ITL, fields=fields),
        wall=WALL,
        bootstrap=Bootstrap(first_use=True),
    )
    outcome = enroll("--auth-string", "4711", "--no-prompt")
    assert outcome.code == (0 if listed else 3), outcome.err
    assert (IdentityStore(tmp_path / "store").load(DEVICE) is not None) is listed


def test_an_unknown_server_is_accepted_by_its_fingerprint_and_known_then(enroll, capf, tmp_path):
    digest = fingerprint_of(load_certificate_file(capf.ca)[0])
    wrong = enroll("--auth-string", "4711", "--accept-fingerprint", "00" * 32)
    assert wrong.code == 3
    assert digest in wrong.err
    done = enroll("--auth-string", "4711", "--accept-fingerprint", digest)
    assert done.code == 0, done.err
    capf.machine.set_device(RENEWAL)
    again = enroll("--lsc", "--no-prompt")
    assert again.code == 0, again.err


def test_the_key_is_kept_encrypted_where_there_is_a_passphrase(enroll, capf, tmp_path):
    def phrase():
        reading, writing = os.pipe()
        os.write(writing, b"open sesame\n")
        os.close(writing)
        return reading

    done = enroll("--auth-string", "4711", "--ca", capf.ca, "--passphrase-fd", phrase())
    assert done.code == 0, done.err
    path = IdentityStore(tmp_path / "store").path(DEVICE)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
    capf.machine.set_device(RENEWAL)
    locked = enroll("--lsc")
    assert locked.code == 2
    assert "give its passphrase" in locked.err
    again = enroll("--lsc", "--passphrase-fd", phrase())
    assert again.code == 0, again.err


def test_every_way_is_seen_at_one_lab(start, cli, tmp_path):
    orders = [("--capf", f"CSFALICE={way}") for way in ("null-string", "lsc", "mic", "string:4711")]
    process = start("lab", "--dir", tmp_path / "lab", "--json", *(o for one in orders for o in one))
    lab = json.loads(process.until("ready"))
    place = ("--capf", lab["capf"], "--store", tmp_path / "store")
    ca = ("--ca", tmp_path / "lab" / "capf.crt")
    store, seen = IdentityStore(tmp_path / "store"), set()
    ways = [
        ("--null-string",),
        ("--lsc",),
        ("--mic", lab["mics"][DEVICE]),
        ("--auth-string", "4711"),
    ]
    for way in ways:
        outcome = cli("enroll", DEVICE, *place, *way, *(ca if not seen else ()))
        assert outcome.code == 0, (way, outcome.err)
        seen.add(store.load(DEVICE).der)
    assert len(seen) == len(ways)
    assert cli("enroll", DEVICE, *place, "--null-string").code == 1


def test_a_wrong_string_is_exit_1_with_advice(enroll, capf):
    outcome = enroll("--auth-string", "0815", "--ca", capf.ca, "--json")
    assert outcome.code == 1
    assert "reason 7" in outcome.summary["reason"]
    assert "0815" not in outcome.out + outcome.err


def test_nothing_pending_is_exit_1_and_says_whom_to_ask(enroll, capf):
    capf.machine.set_device(CapfDevice(DEVICE))
    outcome = enroll("--null-string", "--ca", capf.ca)
    assert outcome.code == 1
    assert "no pending operation" in outcome.err
    assert "anybody can enroll" in outcome.err


def test_a_fetch_without_a_certificate_is_exit_1_and_with_one_it_is_done(enroll, capf):
    fetch = CapfDevice(DEVICE, CapfOperation.FETCH, CapfAuthentication.NULL_STRING)
    capf.machine.set_device(fetch)
    outcome = enroll("--null-string", "--ca", capf.ca, "--json")
    assert (outcome.code, outcome.summary["result"]) == (1, "failed")
    assert f"asked for the certificate of {DEVICE}, and none is stored" in outcome.summary["reason"]
    capf.machine.set_device(STRING)
    assert enroll("--auth-string", "4711", "--ca", capf.ca).code == 0
    capf.machine.set_device(fetch)
    outcome = enroll("--null-string", "--ca", capf.ca, "--json")
    assert (outcome.code, outcome.summary["operation"]) == (0, "fetch")


def test_a_server_that_is_not_the_pinned_one_is_exit_3(enroll, capf, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    ca = Authority().write(other)
    assert enroll("--auth-string", "4711", "--ca", ca).code == 3
    assert capf.machine.devices[DEVICE].operation is CapfOperation.INSTALL


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "in one way"),
        (("--null-string", "--lsc"), "in one way"),
        (("--lsc",), "no certificate of CSFALICE"),
        (("--null-string",), "--ca FILE"),
        (("--null-string", "--ca", "missing"), "cannot be read"),
        (("--mic", "missing"), "cannot be read"),
        (("--auth-string", "1 2"), "authentication string"),
        (("--null-string", "--capf", "a b"), "HOST:PORT"),
        (("--null-string", "--capf", "a:0"), "HOST:PORT"),
    ],
)
def test_wrong_usage_is_exit_2_and_nothing_is_sent(cli, tmp_path, options, why):
    start = ("enroll", DEVICE, "--capf", "127.0.0.1:1", "--store", tmp_path / "store")
    outcome = cli(*start, *options)
    assert outcome.code == 2
    assert why in " ".join(outcome.err.split())


def test_options_do_not_say_more_than_was_given(tmp_path):
    options = EnrollOptions(device="CSF", capf="a", store=tmp_path)
    assert (options.auth_string, options.null_string, options.lsc, options.mic) == (
        None,
        False,
        False,
        None,
    )
