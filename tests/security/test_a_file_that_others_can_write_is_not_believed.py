"""Who can write a file decides what it says, however well its folder is kept.

A folder of stores may be one that others can look into: then the files in it are looked at, too.
Account files name servers, whom to believe, and commands; anchors say it outright.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.config import OAuthConfig, load_account
from softphone.config.token_source import fetch_token
from softphone.errors import AuthenticationFailed, ConfigurationError
from softphone.provisioning.config_store import ConfigStore
from softphone.trust import IdentityStore, ListKind, Service, TrustListStore, TrustStore
from softphone.trust.certificate import Pin
from tests.support.certificates import authority
from tests.support.cluster import DEVICE, boot_from, full_shelf, identity

ACCOUNT = """\
aor = "sip:carol@example.test"
registrar = "sip:192.0.2.1;transport=udp"
[credentials]
username = "carol"
password = "x"
"""


@pytest.fixture
def folder(tmp_path):
    """A store that others can look into, as a person has made it."""
    made = tmp_path / "store"
    made.mkdir()
    made.chmod(0o755)
    return made


def assert_refused(path, use, modes=(0o620, 0o602, 0o666)):
    path.chmod(0o644)
    use()
    for mode in modes:
        path.chmod(mode)
        with pytest.raises(ConfigurationError, match=r"can write .*chmod go-w") as caught:
            use()
        assert str(path) in str(caught.value)
    path.chmod(0o600)


def test_pins_and_anchors(folder):
    store = TrustStore.open(folder)
    store.add_pin(Pin(Service.SIP, "example.test", 5061, b"a certificate"))
    store.add_anchor(authority().certificate)
    for name in ("pins.json", "anchors.pem"):
        assert_refused(folder / name, lambda: TrustStore.open(folder))


def test_pins_that_others_can_write_from_now_on(folder):
    store = TrustStore.open(folder)
    store.add_pin(Pin(Service.SIP, "example.test", 5061, b"a certificate"))
    (folder / "pins.json").write_text("[]")
    (folder / "pins.json").chmod(0o666)
    with pytest.raises(ConfigurationError, match="can write"):
        store.pins(Service.SIP, "example.test", 5061)


def test_a_link_to_a_file_that_others_can_write(folder, tmp_path):
    elsewhere = tmp_path / "pins.json"
    elsewhere.write_text("[]")
    elsewhere.chmod(0o666)
    (folder / "pins.json").symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="can write"):
        TrustStore.open(folder)


async def test_lists_and_configurations(folder):
    await boot_from(full_shelf(), folder)
    lists = TrustListStore(folder)
    for name in (ListKind.CTL.filename, ListKind.ITL.filename, "trust-lists.json"):
        assert_refused(folder / name, lists.held)
    configs = ConfigStore(folder)
    assert_refused(folder / f"{DEVICE}.last-good", lambda: configs.load_last_good(DEVICE))
    name = f"{DEVICE}.cnf.xml.sgn"
    assert_refused(folder / name, lambda: configs.load_accepted(name))


def test_identities(folder):
    store = IdentityStore(folder)
    store.replace(DEVICE, identity())
    assert_refused(store.path(DEVICE), lambda: store.load(DEVICE))


def test_anchors_of_an_account(tmp_path):
    anchors = tmp_path / "anchors"
    anchors.mkdir()
    file = anchors / "ca.pem"
    file.write_bytes(authority().certificate.public_bytes(Encoding.PEM))
    for source in (file, anchors):
        assert_refused(file, lambda source=source: TrustStore.from_sources(str(source)), (0o666,))
    assert_refused_folder(anchors)


def assert_refused_folder(anchors):
    anchors.chmod(0o777)
    with pytest.raises(ConfigurationError, match="can write"):
        TrustStore.from_sources(str(anchors))


def test_an_account(tmp_path):
    file = tmp_path / "carol.toml"
    file.write_text(ACCOUNT)
    assert_refused(file, lambda: load_account(file), (0o602, 0o666))
    file.chmod(0o660)  # a person's own group, as many systems have it
    assert load_account(file).config.aor


async def test_a_token(tmp_path):
    """Who writes it decides as whom the user is signed in; it may change after the start."""
    file = tmp_path / "token"
    file.write_text("abc.def.ghi")
    file.chmod(0o666)
    with pytest.raises(AuthenticationFailed, match="can write"):
        await fetch_token(OAuthConfig(file))
    file.chmod(0o600)
    assert await fetch_token(OAuthConfig(file)) == b"abc.def.ghi"
