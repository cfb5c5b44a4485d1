"""`softphone doctor`: the first step that fails, and what to do about it."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import threading
from contextlib import contextmanager, suppress

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from softphone.cli.diagnose import doctor
from softphone.lab import Authority, CertificateNames, Validity
from softphone.trust import Pin, Service, TrustStore
from tests.support.certificates import authority

STEPS = [
    "account file",
    "media path",
    "trusted CAs",
    "own certificate",
    "DNS",
    "port",
    "TLS and certificate",
    "registration",
]


def elsewhere(lab, user, folder):
    """The account of a user, to be changed: its paths made absolute."""
    text = lab[user].read_text()
    for name in ("ca.crt", f"{user}.crt", f"{user}.key", f"{user}.secret"):
        text = text.replace(f'"{name}"', json.dumps(str(lab[user].parent / name)))
    return text, folder / f"{user}.toml"


@pytest.mark.parametrize("user", ["alice", "dave", "carol"])
def test_a_healthy_account_passes_every_step(cli, lab, user):
    outcome = cli("doctor", "--account", lab[user], "--json")
    assert outcome.code == 0
    findings = [e for e in outcome.events if e["event"] == "finding"]
    assert [f["step"] for f in findings] == STEPS
    assert all(f["good"] for f in findings)
    assert outcome.summary["result"] == "completed"


def test_people_read_a_line_for_each_step(cli, lab):
    outcome = cli("doctor", "--account", lab["alice"])
    lines = outcome.out.splitlines()
    assert [line[:2] for line in lines[:-1]] == ["ok"] * len(STEPS)
    assert lines[-1] == "Everything is in order."


def test_what_revocation_means_for_a_pinned_certificate_is_said(cli, lab, tmp_path):
    text, path = elsewhere(lab, "alice", tmp_path)
    host, port = re.search(r"sips:([^:]+):(\d+)", text).groups()
    shown = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port))))
    digest = hashlib.sha256(shown).hexdigest()
    path.write_text(re.sub(r"(?m)^ca = .*$", f'pin = "sha256:{digest}"', text))
    outcome = cli("doctor", "--account", path)
    assert outcome.code == 0, outcome.err
    (line,) = [line for line in outcome.out.splitlines() if "TLS and certificate" in line]
    assert "verified by pin; revocation: nobody is asked about a pinned certificate" in line


def test_a_port_where_nobody_listens_is_said_with_advice(cli, lab, tmp_path):
    text, path = elsewhere(lab, "alice", tmp_path)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    old = text.split("sips:127.0.0.1:")[1].split('"')[0]
    path.write_text(text.replace(f":{old}", f":{port}"))
    outcome = cli("doctor", "--account", path, "--json")
    assert outcome.code == 1
    last = [e for e in outcome.events if e["event"] == "finding"][-1]
    assert (last["step"], last["good"]) == ("port", False)
    assert "its port for TLS?" in last["detail"]
    assert "whether the server runs" in outcome.summary["reason"]
    (left,) = [e for e in outcome.events if e["event"] == "not_tried"]
    assert left["because"] == "port"
    assert left["steps"] == ["TLS and certificate", "registration"]


def minimal(folder, *lines, server="sips:127.0.0.1:9"):
    """An account file without a table, but for `lines`."""
    path = folder / "alice.toml"
    head = ['aor = "sip:alice@127.0.0.1"', f'registrar = "{server}"']
    path.write_text("\n".join([*head, *lines]) + "\n")
    return path


def row(outcome, step):
    """What was found at a step."""
    (found,) = [e for e in outcome.events if e["event"] == "finding" and e["step"] == step]
    return found


@pytest.mark.parametrize(
    ("lines", "detail", "advice"),
    [
        ((), "none: every server's certificate will be refused", 'write ca = "ca.crt" below [tls]'),
        (
            ("[tls]", 'ca = "system"'),
            "the system's store: a private PBX's certificate will be refused",
            'write ca = ["system", "ca.crt"] below [tls]',
        ),
    ],
)
def test_whose_certificates_will_be_refused_is_said_before_a_server_is_there(
    cli, tmp_path, monkeypatch, lines, detail, advice
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = minimal(tmp_path, *lines)
    found = row(cli("doctor", "--account", path, "--json"), "trusted CAs")
    assert (found["good"], found["detail"]) == (True, detail)
    assert advice in found["advice"]
    assert str(path) in found["advice"]
    shown = cli("doctor", "--account", path).out
    assert f"note   trusted CAs          {detail}: " in shown


def test_which_authorities_are_trusted_is_said(cli, tmp_path):
    ca = authority().write(tmp_path)
    path = minimal(tmp_path, "[tls]", f'ca = ["{ca}", "system"]')
    found = row(cli("doctor", "--account", path, "--json"), "trusted CAs")
    assert (found["detail"], found["advice"]) == (f"1 from {ca.name}, the system's store", "")


@pytest.mark.parametrize(
    ("lines", "server", "detail"),
    [
        (("[tls]", f'pin = "{"ab" * 32}"'), "sips:127.0.0.1:9", "tls.pin names the one"),
        ((), "sip:127.0.0.1:9;transport=tcp", "none needed without TLS"),
    ],
)
def test_where_no_authority_is_needed_none_is_asked_for(cli, tmp_path, lines, server, detail):
    path = minimal(tmp_path, *lines, server=server)
    found = row(cli("doctor", "--account", path, "--json"), "trusted CAs")
    assert detail in found["detail"]
    assert found["advice"] == ""


def test_certificates_that_were_accepted_are_counted(cli, tmp_path):
    der = ssl.PEM_cert_to_DER_cert(authority().write(tmp_path).read_text())
    TrustStore.open(tmp_path / "kept").add_pin(Pin(Service.SIP, "127.0.0.1", 9, der))
    path = minimal(tmp_path, "[tls]", 'store = "kept"')
    found = row(cli("doctor", "--account", path, "--json"), "trusted CAs")
    assert found["detail"] == (
        "accepted certificates: 1: every other server's certificate will be refused"
    )


def test_an_authority_that_cannot_be_read_is_told_with_file_line_and_key(cli, tmp_path):
    (tmp_path / "bad.crt").write_text("junk")
    path = minimal(tmp_path, "", "[tls]", 'ca = "bad.crt"')
    outcome = cli("doctor", "--account", path, "--json")
    assert outcome.code == 2
    found = row(outcome, "trusted CAs")
    assert found["good"] is False
    assert found["detail"].startswith(f"{path}:5: tls.ca: {tmp_path / 'bad.crt'} holds no cert")
    (left,) = [e for e in outcome.events if e["event"] == "not_tried"]
    assert left["steps"] == STEPS[3:]


def test_a_certificate_of_ours_that_cannot_be_used_is_told_with_file_line_and_key(cli, tmp_path):
    own = Authority("foreign CA").client("sip:alice@127.0.0.1").write(tmp_path, "own")
    own.key.write_text("junk")
    path = minimal(tmp_path, "[tls]", f'key = "{own.key}"', f'certificate = "{own.certificate}"')
    found = row(cli("doctor", "--account", path, "--json"), "own certificate")
    assert found["detail"].startswith(f"{path}:5: tls.certificate: the key {own.key} is no PEM")


def test_people_read_which_steps_were_not_tried(cli, tmp_path):
    path = minimal(tmp_path, server="127.0.0.1:5061")
    lines = cli("doctor", "--account", path).out.splitlines()
    assert lines[0].endswith("write sip:127.0.0.1:5061, or sips:127.0.0.1:5061 for TLS")
    left = ", ".join(STEPS[1:])
    assert lines[1] == f"       not tried, because account file failed: {left}"


def test_a_server_that_says_nothing_over_udp_is_told_with_its_place(cli, silent, monkeypatch):
    monkeypatch.setattr(doctor, "STEP_PATIENCE", 0.2)
    outcome = cli("doctor", "--account", silent.account(tls=False), "--json")
    assert outcome.code == 1
    found = row(outcome, "registration")
    assert found["detail"].startswith(f"udp:127.0.0.1:{silent.port} did not answer within 0.2 s: ")
    assert "for UDP (a closed port is silent, too)" in found["detail"]
    assert found["advice"].startswith("nothing there answers SIP: check address, port and transp")


@pytest.mark.parametrize("mistake", ["authority", "name"])
def test_a_server_that_cannot_be_believed_is_exit_3(cli, lab, tmp_path, mistake):
    text, path = elsewhere(lab, "alice", tmp_path)
    if mistake == "authority":
        foreign = Authority("foreign CA").write(tmp_path, "foreign")
        text = text.replace(str(lab["alice"].parent / "ca.crt"), str(foreign))
    else:
        text = text.replace("[tls]\n", '[tls]\nserver_name = "pbx.example.test"\n', 1)
    path.write_text(text)
    outcome = cli("doctor", "--account", path, "--json")
    assert outcome.code == 3
    last = [e for e in outcome.events if e["event"] == "finding"][-1]
    assert (last["step"], last["good"]) == ("TLS and certificate", False)
    assert outcome.summary["result"] == "refused"


def test_a_certificate_of_somebody_else_fails_at_the_registration(cli, lab, tmp_path):
    text, path = elsewhere(lab, "alice", tmp_path)
    path.write_text(text.replace("sip:alice@", "sip:bob@"))
    outcome = cli("doctor", "--account", path)
    assert outcome.code == 1
    assert "FAILS  registration" in outcome.out
    assert "What to do: the server knows us and says no" in outcome.out


@contextmanager
def demanding(folder):
    """A server that believes no client, and says so by an alert, as asyncio's servers do not."""
    issued = Authority("their CA")
    own = issued.server("127.0.0.1", CertificateNames(ip=("127.0.0.1",))).write(folder, "demanding")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    context.load_verify_locations(issued.write(folder, "their"))
    context.verify_mode = ssl.CERT_REQUIRED
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            with suppress(OSError), sock:
                context.wrap_socket(sock, server_side=True).close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listening.getsockname()[1], folder / "their.crt"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


@pytest.mark.parametrize(
    ("certificate", "words"),
    [(True, "probably refused our client certificate"), (False, "demands a client certificate")],
)
def test_a_server_that_refuses_our_certificate_is_said_with_its_alert(
    cli, tmp_path, certificate, words
):
    own = Authority("foreign CA").client("sip:alice@127.0.0.1").write(tmp_path, "own")
    with demanding(tmp_path) as (port, ca):
        lines = ['aor = "sip:alice@127.0.0.1"', f'registrar = "sips:127.0.0.1:{port}"', "[tls]"]
        lines += [f'ca = "{ca}"']
        if certificate:
            lines += [f'certificate = "{own.certificate}"', f'key = "{own.key}"']
        path = tmp_path / "alice.toml"
        path.write_text("\n".join(lines) + "\n")
        outcome = cli("doctor", "--account", path, "--json")
    assert outcome.code == 1
    last = [e for e in outcome.events if e["event"] == "finding"][-1]
    assert not last["good"]
    assert words in last["detail"]
    assert "TLS alert: " in last["detail"]
    assert "check tls.certificate" in last["advice"]


def test_a_readable_secret_is_a_warning(cli, lab, tmp_path):
    text, path = elsewhere(lab, "carol", tmp_path)
    secret = tmp_path / "open.secret"
    secret.write_text((lab["carol"].parent / "carol.secret").read_text())
    secret.chmod(0o644)
    path.write_text(text.replace(str(lab["carol"].parent / "carol.secret"), str(secret)))
    outcome = cli("doctor", "--account", path)
    assert outcome.code == 0
    assert "warning: " in outcome.err


def test_md5_is_named_and_warned_of(cli, md5_registrar):
    path = md5_registrar('algorithms = ["MD5"]')
    outcome = cli("doctor", "--account", path)
    assert outcome.code == 0
    assert "by digest MD5 in realm 'old.test'" in outcome.out
    assert "takes MD5 and nothing better" in outcome.err


def test_a_certificate_that_is_for_servers_only_is_told_and_stops_nothing(cli, tmp_path):
    issued = authority().issue(
        "pbx",
        CertificateNames(dns=("pbx.test",)),
        validity=Validity(),
        purposes=(ExtendedKeyUsageOID.SERVER_AUTH,),
    )
    own = issued.write(tmp_path, "pbx")
    path = tmp_path / "account.toml"
    path.write_text(
        'aor = "sip:us@127.0.0.1"\nlisten = "tls:127.0.0.1:0"\n'
        'outbound_proxy = "sip:127.0.0.1:9;transport=tls"\n[tls]\n'
        f'ca = "{authority().write(tmp_path)}"\n'
        f'certificate = "{own.certificate}"\nkey = "{own.key}"\n'
    )
    outcome = cli("doctor", "--account", path)
    assert "ok     own certificate      pbx.crt is usable" in outcome.out
    assert "is for servers only (its extended key usage has no clientAuth)" in outcome.err


def test_a_listener_that_shows_a_clients_certificate_is_told(cli, tmp_path):
    issued = authority().issue(
        "pbx",
        CertificateNames(dns=("pbx.test",)),
        validity=Validity(),
        purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,),
    )
    own = issued.write(tmp_path, "pbx")
    path = tmp_path / "account.toml"
    path.write_text(
        'aor = "sip:us@127.0.0.1"\nlisten = "tls:127.0.0.1:0"\n[tls]\n'
        f'ca = "{authority().write(tmp_path)}"\n'
        f'server_certificate = "{own.certificate}"\nserver_key = "{own.key}"\n'
    )
    outcome = cli("doctor", "--account", path)
    assert outcome.code == 0, outcome.err
    assert "is for clients only (its extended key usage has no serverAuth)" in outcome.err


def test_the_rules_of_a_carrier_are_examined_and_those_that_are_broken_told(cli, lab, tmp_path):
    text, path = elsewhere(lab, "alice", tmp_path)
    path.write_text(f'preset = "twilio"\n{text}\n[media]\ncodecs = ["G722"]\n')
    outcome = cli("doctor", "--account", path)
    (line,) = [line for line in outcome.out.splitlines() if "carrier's rules" in line]
    assert "Twilio" in line
    assert "as of 2026-11-27: 4 of 5 are kept" in line
    assert "preset twilio: media.codecs: G722 is given; the carrier takes G.711" in outcome.err
