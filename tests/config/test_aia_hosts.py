"""`aia_hosts` of `[tls]`: which hosts are named, and that every service of the file has them."""

from __future__ import annotations

import pytest

from softphone.account.stack_settings import tls_settings
from softphone.config import OAuthConfig, TlsConfig, load_account
from softphone.config.directory_file import load_directories
from softphone.config.messaging_file import load_messaging
from softphone.config.oauth_table import oauth_tls
from softphone.config.voicemail_file import load_voicemail
from softphone.errors import ConfigurationError
from tests.support.certificates import authority

FILE = """\
aor = "sip:anna@example.test"
registrar = "sips:pbx.example.test"
[tls]
ca = "ca.crt"
aia_hosts = ["PKI.example.test:80", "pki.example.test:8080", "[2001:db8::1]:8080"]
[voicemail]
server = "unity.example.test"
user = "anna"
password = "secret"
[directory.company]
kind = "uds"
server = "cucm.example.test"
[directory.people]
kind = "ldap"
server = "ldap.example.test"
base = "dc=example,dc=test"
[directory.people.tls]
ca = "ca.crt"
[im]
jid = "anna@example.test"
password = "secret"
[im.im_presence]
servers = ["imp.example.test"]
[im.im_presence.tls]
ca = "ca.crt"
aia_hosts = ["10.0.0.7"]
"""
HOSTS = frozenset({"pki.example.test", "pki.example.test:8080", "[2001:db8::1]:8080"})


def test_every_service_of_a_file_has_the_hosts_of_its_table(tmp_path):
    authority().write(tmp_path, "ca")
    path = tmp_path / "anna.toml"
    path.write_text(FILE)
    path.chmod(0o600)
    account = load_account(path).config
    assert tls_settings(account).aia_hosts == HOSTS
    sign_on = OAuthConfig(client_id="phone", issuer="https://login.example.test", keyring="anna")
    assert oauth_tls(sign_on, account.tls).aia_hosts == HOSTS
    assert load_voicemail(path).config.tls.aia_hosts == HOSTS
    company, people = load_directories(path).directories
    assert (company.tls.aia_hosts, people.tls.aia_hosts) == (HOSTS, frozenset())
    chat = load_messaging(path).config
    assert chat.tls.aia_hosts == HOSTS
    assert chat.im_presence.tls.aia_hosts == {"10.0.0.7"}


def test_without_the_key_there_is_no_host():
    assert TlsConfig().listed_aia_hosts == frozenset()


@pytest.mark.parametrize(
    "host",
    ["", "http://pki.example.test", "pki.example.test/sub.crt", "*.example.test", "a@b", "a:port"],
)
def test_what_is_no_host_is_refused(host):
    with pytest.raises(ConfigurationError, match=r"tls\.aia_hosts: .* is no host: expected a name"):
        TlsConfig(aia_hosts=(host,))
    with pytest.raises(ConfigurationError, match=r"tls\.aia_hosts"):
        TlsConfig(aia_hosts=host)
