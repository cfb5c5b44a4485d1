"""`softphone doctor`: the first step that fails, and what to do about it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import contextmanager, suppress

import pytest

from softphone.cli.diagnose.doctor import ADVICE, advice_for
from softphone.errors import IdentityMismatch, SoftphoneError, TransportTimeout
from softphone.lab import Authority, CertificateNames

STEPS = ["account file", "own certificate", "DNS", "port", "TLS and certificate", "registration"]


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
    assert "whether the server runs" in outcome.summary["reason"]


@pytest.mark.parametrize("mistake", ["authority", "name"])
def test_a_server_that_cannot_be_believed_is_exit_3(cli, lab, tmp_path, mistake):
    text, path = elsewhere(lab, "alice", tmp_path)
    if mistake == "authority":
        foreign = Authority("foreign CA").write(tmp_path, "foreign")
        text = text.replace(str(lab["alice"].parent / "ca.crt"), str(foreign))
    else:
        text += 'server_name = "pbx.example.test"\n'
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


def test_advice_goes_from_the_special_to_the_general():
    assert "firewall" in advice_for(TransportTimeout("x"))
    assert "server_name" in advice_for(IdentityMismatch("x"))
    assert advice_for(SoftphoneError("x")) == "see the message"
    kinds = [kind for kind, _ in ADVICE]
    for place, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:place])
