"""A mailbox in a configuration file, and complaints that name the line."""

from __future__ import annotations

import pytest

from softphone.config import load_account
from softphone.config.voicemail_file import load_voicemail
from softphone.errors import ConfigurationError
from softphone.security import RevocationMode
from softphone.trust import Service
from softphone.voicemail import VoicemailFormat
from tests.support.certificates import authority

TABLE = """\
[voicemail]
server = "unity.example.test"
user = "anna"
password_env = "SECRET"
backups = ["unity2.example.test:8443"]
format = "json"
timeout = 5
page = 20
poll = 60
"""
PIN = f"sha256:{'0f' * 32}"


@pytest.fixture
def load(tmp_path):
    authority().write(tmp_path, "ca")

    def load(text, reader=load_voicemail, **more):
        path = tmp_path / "anna.toml"
        path.write_text(text)
        path.chmod(0o600)
        return reader(path, environment={"SECRET": "from outside"}, **more)

    return load


def test_a_mailbox_comes_with_the_file_s_trust(load):
    file = load(TABLE + f'[tls]\nca = "ca.crt"\npin = "{PIN}"\n[policy]\nrevocation = "hard"\n')
    config = file.config
    assert config.servers == ("unity.example.test", "unity2.example.test:8443")
    assert (config.user, config.password.reveal()) == ("anna", b"from outside")
    assert (config.timeout, config.page, config.poll) == (5.0, 20, 60.0)
    assert config.format is VoicemailFormat.JSON
    assert (config.tls.service, config.tls.revocation) == (Service.HTTPS, RevocationMode.HARD)
    assert config.tls.pin == PIN
    assert len(config.tls.store.anchors) == 1
    assert (file.fips, file.warnings) == (None, ())


def test_a_mailbox_may_stand_in_an_account_file_and_have_its_own_trust(load):
    head = 'aor = "sip:anna@example.test"\nregistrar = "sips:example.test"\nfips = false\n'
    text = f'{head}{TABLE}[tls]\nca = "ca.crt"\npin = "{PIN}"\n'
    file = load(text)
    # The pin is that of the call server.
    assert (file.config.tls.pin, file.fips) == (None, False)
    assert len(file.config.tls.store.anchors) == 1
    assert load(text, load_account).config.aor_uri.user == "anna"
    own = load(f'{head}{TABLE}[voicemail.tls]\npin = "{PIN}"\n[tls]\nca = "ca.crt"\n').config.tls
    assert (own.pin, len(own.store.anchors)) == (PIN, 0)


def test_without_a_tls_table_nobody_is_believed(load):
    assert load(TABLE).config.tls.store.anchors == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fips = false\n", r"no table \[voicemail\]"),
        (TABLE.replace("page", "pages"), r":8: voicemail.pages: .*did you mean 'page'"),
        (TABLE.replace('user = "anna"\n', ""), r":1: voicemail: user is missing"),
        (TABLE.replace('server = "unity.example.test"\n', ""), r":1: voicemail: server is missing"),
        (TABLE.replace("= 5", "= 500"), r":7: timeout"),
        (TABLE.replace('"json"', '"html"'), r":6: voicemail.format: .*known are xml, json"),
        (TABLE.replace("password_env", "password"), None),
        (TABLE.replace('password_env = "SECRET"\n', ""), r"one of password"),
        (TABLE + '[voicemail.tls]\nserver_name = "x"\n', r"server_name"),
        (TABLE + '[tls]\nserver_key = "x"\n', r"server_key"),
        (TABLE + '[media]\nsrtp = "off"\n', r"media"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(load, text, words):
    if words is None:
        assert load(text).config.password.reveal() == b"SECRET"
        return
    with pytest.raises(ConfigurationError, match=words) as caught:
        load(text)
    assert "from outside" not in str(caught.value)
