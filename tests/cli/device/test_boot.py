"""`softphone boot`, against a lab in a process of its own."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from softphone.trust import Bootstrap, ListKind, TrustListStore
from tests.support.cluster import DEVICE, pin, trust_list


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """What a running lab says of itself."""
    from tests.cli.conftest import Process

    process = Process("lab", "--dir", tmp_path_factory.mktemp("cluster"), "--json")
    yield json.loads(process.until("ready"))
    assert process.end().code == 0
    process.close()


@pytest.fixture
def boot(cli, cluster, tmp_path):
    def run(device, *options, scheme="http", store=tmp_path / "store"):
        server = f"{scheme}://{cluster[scheme]}"
        return cli("boot", device, "--server", server, "--store", store, "--once", *options)

    return run


def named(cluster):
    return ("--pin", cluster["signer_sha256"])


def test_a_phone_of_the_first_morning_and_of_the_second(boot, cli, cluster, tmp_path):
    string = cluster["auth_strings"]["CSFALICE"]
    outcome = boot("CSFALICE", *named(cluster), "--auth-string", string, "--json")
    assert outcome.code == 0
    steps = [event for event in outcome.events if event["event"] == "step"]
    assert [step["step"] for step in steps][-3:] == [
        "configuration_verified",
        "ready",
        "registered",
    ]
    told = [event["message"] for event in outcome.events if event["event"] == "progress"]
    assert told[0].startswith("connecting to CAPF at 127.0.0.1 port ")
    assert any(sentence.startswith("making a key") for sentence in told)
    assert steps[0]["signer_sha256"] == cluster["signer_sha256"]
    assert steps[0]["basis"] == "pin"
    assert outcome.summary["result"] == "completed"
    assert string not in outcome.out + outcome.err
    outcome = boot("CSFALICE", scheme="tftp")
    assert outcome.code == 0
    lines = [line for line in outcome.out.splitlines() if line]
    assert lines[0].startswith("CTLCSFALICE.tlv: the list that is held, signed by ")
    assert any("decrypted with the device's key" in line for line in lines)
    assert any("verified by trust-list" in line for line in lines)
    check_account_file_of_store(cli, cluster, tmp_path / "store")


def check_account_file_of_store(cli, cluster, store):
    """A file that names the store of a booted device needs nothing else, and no less."""
    file = store.parent / "alice.toml"
    file.write_text(
        f"""
aor = "sip:alice@127.0.0.1"
nodes = ["sips:{cluster["sip_tls"]}"]
persona = "cisco_phone"
[device]
name = "CSFALICE"
store = "{store.name}"
"""
    )
    called = cli("call", "600", "--account", file, "--duration", "0.5", "--json")
    assert called.code == 0, called.err
    (answered,) = [event for event in called.events if event["event"] == "answered"]
    assert answered["security"]["lock"]
    doctor = cli("doctor", "--account", file)
    assert "verified by trust-list; revocation: nobody is asked" in doctor.out
    TrustListStore(store).reset()
    refused = cli("call", "600", "--account", file)
    assert refused.code == 2
    assert "holds no trust list: boot CSFALICE into it first (softphone boot)" in refused.err


def test_an_empty_store_with_nobody_named_is_refused_with_the_fingerprint(boot, cluster):
    outcome = boot("CSFBOB")
    assert outcome.code == 3
    assert f"SHA-256 of the signer: {cluster['signer_sha256']}" in outcome.out
    assert "pin it (--pin), or trust on first use (--trust-on-first-use)" in outcome.err
    outcome = boot("CSFBOB", "--json")
    assert outcome.code == 3
    (event,) = [event for event in outcome.events if event["event"] == "unknown_signer"]
    assert event["sha256"] == cluster["signer_sha256"]
    assert outcome.summary["result"] == "refused"


def test_a_pin_is_held_against_a_list_that_was_taken_on_first_use(boot, tmp_path):
    store = TrustListStore(tmp_path / "store")
    store.accept_list(
        ListKind.CTL,
        trust_list(ListKind.CTL),
        wall=datetime.now(UTC),
        bootstrap=Bootstrap(first_use=True),
    )
    outcome = boot("CSFBOB", "--pin", "00" * 32)
    assert outcome.code == 3
    assert "pin it as well (--pin), else reset the trust lists" in outcome.err
    assert outcome.err.count("error: ") == 1
    assert f"SHA-256 of the signer: {pin()}" in outcome.out


def test_another_pin_is_refused_and_that_is_said_once(boot, cluster, tmp_path):
    outcome = boot("CSFBOB", "--pin", "00" * 32)
    assert outcome.code == 3
    assert "first use" not in outcome.err
    assert TrustListStore(tmp_path / "store").held().ctl is None
    assert outcome.err.startswith("error: the pin is another one: CTLFile.tlv")
    assert outcome.err.count("the pin is another one") == 1
    outcome = boot("CSFBOB", "--pin", "00" * 32, "--json")
    assert outcome.names() == ["step", "step", "unknown_signer", "error", "summary"]
    assert {step["signer_sha256"] for step in outcome.events[:2]} == {cluster["signer_sha256"]}
    assert outcome.err.count("the pin is another one") == 1


class Crooked(BaseHTTPRequestHandler):
    """A file server whose trust lists are none, or whose CTL is none and whose ITL is good."""

    itl = None

    def do_GET(self):
        """Send a file."""
        name = self.path.lstrip("/")
        if not name.endswith(".tlv"):
            self.send_error(404)
            return
        data = self.itl if name.startswith("ITL") and self.itl else f"no list: {name}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def crooked(cli, tmp_path):
    """Boots from such a server."""
    server = HTTPServer(("127.0.0.1", 0), type("OfThisTest", (Crooked,), {}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def run(itl, *options):
        server.RequestHandlerClass.itl = itl
        place = f"http://127.0.0.1:{server.server_port}"
        return cli("boot", DEVICE, "--server", place, "--store", tmp_path / "store", *options)

    yield run
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_list_that_was_refused_is_a_warning_where_another_is_what_the_boot_ends_with(crooked):
    outcome = crooked(None, "--trust-on-first-use")
    assert outcome.code == 3
    lines = outcome.err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"]
    outcome = crooked(trust_list(ListKind.ITL), "--pin", "00" * 32)
    assert outcome.code == 3
    lines = outcome.err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["warning", "error", "hint"]
    assert "the pin is another one: ITLFile.tlv" in lines[0]


def test_a_list_that_was_refused_is_a_warning_where_the_boot_goes_on(crooked):
    outcome = crooked(trust_list(ListKind.ITL), "--pin", pin())
    assert outcome.code == 1
    (line,) = [line for line in outcome.err.splitlines() if "no signature header" in line]
    assert line.startswith("warning: ")


def test_first_use_is_said(boot, cluster):
    outcome = boot("CSFCAROL", "--trust-on-first-use")
    assert outcome.code == 0
    assert "the first that came, on nobody's word" in outcome.out
    assert "is accepted: it is the first, and nobody vouches for it" in outcome.err
    assert "is registered at 127.0.0.1" in outcome.out
    assert "in clear" in outcome.out


def test_another_client_of_the_device_is_ended_when_its_user_says_so(start, cli, tmp_path):
    process = start("lab", "--dir", tmp_path / "lab", "--json")
    lab = json.loads(process.until("ready"))
    boot = ("boot", "CSFBOB", "--server", f"http://{lab['http']}", *named(lab))
    here, there = (("--store", tmp_path / name) for name in ("here", "there"))
    there_first = start(*boot, *there, "--auth-string", lab["auth_strings"]["CSFBOB"], "--json")
    there_first.until('"registered"')
    # The same device at another desk: its certificate comes along, its installation does not.
    (tmp_path / "here").mkdir(mode=0o700)
    shutil.copy(tmp_path / "there" / "CSFBOB.pem", tmp_path / "here")
    refused = cli(*boot, *here, "--once")
    assert refused.code == 1
    assert "Registration is active for another client" in refused.err
    assert "--take-over" in refused.err
    start(*boot, *here, "--take-over", "--json").until('"registered"')
    outcome = there_first.outcome()
    assert outcome.code == 1
    assert "Registration is active for another client" in outcome.summary["reason"]


def test_a_device_that_enrolls_by_null_string_needs_none(start, cli, tmp_path):
    process = start("lab", "--dir", tmp_path / "lab", "--json", "--capf", "CSFALICE=null-string")
    lab = json.loads(process.until("ready"))
    store = ("--store", tmp_path / "store", "--pin", lab["signer_sha256"], "--once")
    outcome = cli("boot", "CSFALICE", "--server", f"http://{lab['http']}", *store)
    assert outcome.code == 0, outcome.err
    assert "issued our certificate" in outcome.out


def test_a_string_that_is_missing_is_asked_for(boot, cluster):
    outcome = boot("CSFBOB", *named(cluster))
    assert outcome.code == 1
    assert "give it with --auth-string" in outcome.err


def test_a_wrong_string_is_refused(boot, cluster, tmp_path):
    outcome = boot("CSFBOB", *named(cluster), "--auth-string", "1234")
    assert outcome.code == 1
    assert "1234" not in outcome.out + outcome.err
    assert not (tmp_path / "store" / "CSFBOB.pem").exists()


def test_a_device_that_is_not_there(boot, cluster):
    outcome = boot("CSFNOBODY", *named(cluster))
    assert outcome.code == 1
    assert "check the device's name, CSFNOBODY, letter by letter" in outcome.err


def test_https_needs_somebody_who_vouches_for_the_server(boot, cluster, tmp_path):
    assert boot("CSFCAROL", *named(cluster), scheme="https").code == 3
    authority = cluster["accounts"]["alice"].replace("alice.toml", "ca.crt")
    assert boot("CSFCAROL", *named(cluster), "--ca", authority, scheme="https").code == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--server", "ftp://x", "--store", "x"),
        ("--server", "x:99", "--store", "x"),
        ("--server", "x", "--store", "x", "--pin", "zz"),
        ("--server", "x", "--store", "x", "--pin", "00" * 32, "--trust-on-first-use"),
        ("--server", "http://127.0.0.1:9", "--store", "x", "--auth-string", "x" * 20),
        ("--store", "x"),
        ("--server", "x"),
    ],
)
def test_wrong_usage_sends_nothing(cli, options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("boot", "CSFALICE", *options).code == 2


def test_no_device_name_is_wrong_usage(cli, tmp_path):
    assert cli("boot", "../x", "--server", "x", "--store", tmp_path).code == 2


def test_it_stays_registered_until_it_is_interrupted(start, cluster, tmp_path):
    server = f"http://{cluster['http']}"
    running = start(
        *("boot", "CSFCAROL", "--server", server, "--store", tmp_path / "store", "--json"),
        *named(cluster),
    )
    running.until('"registered"')
    outcome = running.end(signal.SIGINT)
    assert outcome.code == 130
    assert outcome.summary["reason"] == "interrupted"
