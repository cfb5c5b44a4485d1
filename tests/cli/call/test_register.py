"""`softphone register`."""

from __future__ import annotations

import signal
import threading

import pytest


def test_once_registers_reports_and_leaves(cli, lab):
    outcome = cli("register", "--account", lab["alice"], "--once", "--json")
    assert outcome.code == 0
    states = [e["state"] for e in outcome.events if e["event"] == "registration"]
    assert states == ["registering", "registered", "unregistered"]
    assert all(e["digest"] == {} for e in outcome.events if e["event"] == "registration")
    assert outcome.summary == {
        "event": "summary",
        "result": "completed",
        "status": 200,
        "reason": "done",
        "tls_key_log": None,
    }


def test_digest_over_udp_registers_too(cli, lab):
    outcome = cli("register", "--account", lab["carol"], "--duration", 0.1)
    assert outcome.code == 0
    assert "sip:carol@127.0.0.1: registered (200 OK), for 120 s, by digest SHA-256" in outcome.out
    assert "MD5" not in outcome.err


def test_md5_is_named_and_warned_of(cli, md5_registrar):
    outcome = cli("register", "--account", md5_registrar('algorithms = ["MD5"]'), "--once")
    assert outcome.code == 0
    assert "by digest MD5 in realm 'old.test'" in outcome.out
    assert "takes MD5 and nothing better" in outcome.err


def test_md5_over_udp_that_is_not_listed_is_refused_with_the_line_to_write(cli, md5_registrar):
    path = md5_registrar()
    outcome = cli("register", "--account", path, "--once", "--json")
    assert outcome.code == 1
    assert outcome.summary["status"] == 401
    assert 'write algorithms = ["SHA-256", "MD5"]' in outcome.summary["reason"]
    assert f"{path}:3" in outcome.summary["reason"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_takes_the_binding_away(lab, start, number):
    phone = start("register", "--account", lab["bob"], "--json")
    phone.until('"registered"')
    outcome = phone.end(number)
    assert outcome.code == 130
    assert outcome.events[-2]["state"] == "unregistered"
    assert outcome.summary["reason"] == "interrupted"


def test_a_wrong_password_is_exit_1(cli, lab, tmp_path):
    text = lab["carol"].read_text().replace('password_file = "carol.secret"', 'password = "x"')
    account = tmp_path / "carol.toml"
    account.write_text(text)
    account.chmod(0o600)
    outcome = cli("register", "--account", account, "--once", "--json")
    assert outcome.code == 1
    assert outcome.summary["result"] == "failed"
    assert outcome.summary["status"] in (401, 403)


def test_a_registrar_that_closes_the_connection_has_refused_nothing(cli, silent):
    def close():
        with silent.tcp.accept()[0] as connection:
            connection.recv(65536)

    silent.tcp.setblocking(True)
    closer = threading.Thread(target=close)
    closer.start()
    account = silent.account(tls=False)
    text = account.read_text()
    account.write_text(text.replace(str(silent.port), f"{silent.port};transport=tcp"))
    outcome = cli("register", "--account", account, "--once", "--json")
    closer.join()
    assert outcome.code == 1
    assert "no answer to our REGISTER: the connection was closed" in outcome.summary["reason"]
    assert "503" not in outcome.err
    assert outcome.summary["status"] == 0


def test_an_account_without_a_registrar_has_nothing_to_register_with(cli, tmp_path):
    account = tmp_path / "direct.toml"
    account.write_text('aor = "sip:a@127.0.0.1"\nlisten = "udp:127.0.0.1:0"\n')
    outcome = cli("register", "--account", account, "--once")
    assert outcome.code == 2
    assert "no registrar" in outcome.err


@pytest.mark.parametrize("duration", ["nan", "-1", "inf"])
def test_a_duration_is_a_number_of_seconds(cli, silent, duration):
    outcome = cli("register", "--account", silent.account(), "--duration", duration)
    assert outcome.code == 2
    assert silent.saw_nothing()
