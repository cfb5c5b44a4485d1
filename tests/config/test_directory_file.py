"""Directories in a configuration file, and complaints that name the line."""

from __future__ import annotations

import pytest

from softphone.config import load_account
from softphone.config.directory_file import load_directories
from softphone.contacts import LdapConfig, UdsConfig
from softphone.errors import ConfigurationError
from softphone.security import RevocationMode
from softphone.trust import Service
from tests.support.certificates import authority

LDAP = """\
[directory.company]
kind = "ldap"
server = "ldap.example.test"
base = "dc=example,dc=test"
user = "cn=reader,dc=example,dc=test"
password_env = "SECRET"
limit = 100
timeout = 2

[directory.company.attributes]
work = ["telephoneNumber", "ipPhone"]
uri = "sipAddress"
"""
UDS = """\
[directory.cucm]
kind = "uds"
server = "cucm.example.test"
user = "anna"
password = "secret"
authenticated = true
clusters = ["home.example.test:8443"]
"""
TLS = """\
[tls]
ca = "ca.crt"

[policy]
revocation = "hard"
"""


@pytest.fixture
def load(tmp_path):
    authority().write(tmp_path, "ca")

    def load(text, name="directory.toml"):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        return load_directories(path, environment={"SECRET": "from outside"})

    return load


def test_directories_come_in_the_file_s_order_with_its_trust(load):
    cucm, company = load(f"{UDS}\n{LDAP}\n{TLS}").directories
    assert isinstance(cucm, UdsConfig)
    assert isinstance(company, LdapConfig)
    assert (cucm.address, cucm.authenticated) == (("cucm.example.test", 8443), True)
    assert company.address == ("ldap.example.test", 636)
    assert company.password.reveal() == b"from outside"
    assert company.attributes["work"] == ("telephoneNumber", "ipPhone")
    assert company.attributes["uri"] == ("sipAddress",)
    assert company.attributes["email"] == ("mail",)
    assert (company.bounds.most, company.bounds.within) == (100, 2.0)
    for each, service in ((cucm, Service.HTTPS), (company, Service.LDAP)):
        assert each.tls.service is service
        assert each.tls.revocation is RevocationMode.HARD
        assert [one.subject for one in each.tls.store.anchors] == [authority().certificate.subject]


def test_a_directory_may_believe_others_than_the_file(load):
    own = '\n[directory.company.tls]\nserver_name = "other.example.test"\n'
    (company,) = load(f"{LDAP}{own}\n{TLS}").directories
    assert company.server_name == "other.example.test"
    assert company.tls.store.anchors == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LDAP.replace("base", "bse"), r"toml:4: directory\.company\.bse: .*'base'"),
        (LDAP.replace("uri =", "url ="), r"toml:12: directory\.company\.attributes\.url: .*'uri'"),
        (LDAP.replace('"ldap"', '"ldapi"'), r"toml:2: directory\.company\.kind: 'ldapi' is unkn"),
        (LDAP.replace('test"\nbase', 'test:389"\nbase'), r"toml:3: server: port 389 is LDAP in"),
        (LDAP.replace('password_env = "SECRET"', ""), r"toml:1: directory\.company: give one of"),
        (
            LDAP.replace("limit = 100", 'limit = "x"'),
            r"toml:7: directory\.company\.limit: ",
        ),
        (LDAP.replace("timeout = 2", "timeout = 99"), r"toml:8: timeout: expected"),
        (UDS.replace("true", '"yes"'), r"toml:6: directory\.cucm\.authenticated: expected true"),
        (UDS.replace('server = "cucm.example.test"', ""), r"toml:1: directory\.cucm: server is mi"),
        (f'colour = "red"\n{UDS}', r"toml:1: colour: there is no such key"),
        ('directory = "x"', r"toml:1: directory: expected a table"),
        (TLS, r"no \[directory\.NAME\] table"),
        (f'{UDS}\n[directory.cucm.tls]\nca = "no.crt"', r"toml:10: directory\.cucm\.tls\.ca: "),
        ("=", "no TOML"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(load, text, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        load(text)
    assert "secret" not in str(caught.value)


def test_a_file_with_a_password_that_others_can_read_is_a_warning(load, tmp_path):
    load(UDS)
    (tmp_path / "directory.toml").chmod(0o644)
    assert "chmod 600" in load_directories(tmp_path / "directory.toml").warnings[0]


def test_an_account_file_may_have_directories(load, tmp_path):
    account = 'aor = "sip:alice@example.test"\nregistrar = "sips:example.test"\n'
    text = f"{account}\n{UDS}\n{TLS}"
    assert [each.name for each in load(text, "alice.toml").directories] == ["cucm"]
    assert load_account(tmp_path / "alice.toml").config.aor == "sip:alice@example.test"


def test_a_missing_file_says_where_its_tables_are_described(tmp_path):
    with pytest.raises(ConfigurationError, match=r"there is no such .* under Directories"):
        load_directories(tmp_path / "none.toml")
