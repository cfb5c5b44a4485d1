"""`resume_sessions` of `[tls]`: off by default, and of the connections to the account's servers."""

from __future__ import annotations

import pytest

from softphone.account.stack_settings import listener_settings, tls_settings
from softphone.config import AccountConfig, TlsConfig, load_account
from softphone.config.directory_file import load_directories
from softphone.config.messaging_file import load_messaging
from softphone.config.voicemail_file import load_voicemail
from softphone.errors import ConfigurationError
from tests.support.certificates import authority

FILE = """\
aor = "sip:anna@example.test"
registrar = "sips:pbx.example.test"
[tls]
ca = "ca.crt"
resume_sessions = true
[directory.company]
kind = "uds"
server = "cucm.example.test"
[im]
jid = "anna@example.test"
password = "secret"
[voicemail]
server = "unity.example.test"
user = "anna"
password = "secret"
"""
OWN_TABLE = '[directory.company.tls]\nca = "ca.crt"\nresume_sessions = true\n'


def written(folder, text):
    authority().write(folder, "ca")
    path = folder / "anna.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_it_is_of_connections_to_the_accounts_servers_alone(tmp_path):
    path = written(tmp_path, FILE)
    account = load_account(path).config
    settings = tls_settings(account)
    assert settings.resume_sessions
    assert not listener_settings(account, settings).resume_sessions
    (company,) = load_directories(path).directories
    assert not company.tls.resume_sessions
    assert not load_messaging(path).config.tls.resume_sessions
    assert not load_voicemail(path).config.tls.resume_sessions


def test_without_the_key_no_session_is_resumed():
    account = AccountConfig(aor="sip:anna@example.test", registrar="sips:pbx.example.test")
    assert not TlsConfig().resume_sessions
    assert not tls_settings(account).resume_sessions


def test_no_service_beside_calls_has_the_key(tmp_path):
    path = written(tmp_path, FILE + OWN_TABLE)
    with pytest.raises(ConfigurationError, match="resume_sessions"):
        load_directories(path)


def test_a_file_without_an_account_has_no_such_key(tmp_path):
    trust, directory, im, voicemail = FILE.partition("[tls]")[2].split("\n[")
    for load, table in (
        (load_directories, directory),
        (load_messaging, im),
        (load_voicemail, voicemail),
    ):
        path = written(tmp_path, f"[tls]{trust}\n[{table}\n")
        with pytest.raises(ConfigurationError, match="resume_sessions"):
            load(path)


def test_a_value_that_is_no_truth_value_is_refused(tmp_path):
    path = written(tmp_path, FILE.replace("= true", '= "yes"'))
    with pytest.raises(ConfigurationError, match="resume_sessions"):
        load_account(path)
