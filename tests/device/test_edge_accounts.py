"""Accounts of a device behind an edge, and the file that they are written to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.config import OAuthConfig, TlsConfig, load_account
from softphone.device import edge_accounts, write_edge_account
from softphone.discovery import DiscoveryConfig, DiscoveryResult, ServicePath, ServiceTarget
from softphone.discovery.document import UdsUser
from softphone.edge import EdgeOptions, EdgeSession, EdgeSignIn, parse_edge_configuration
from softphone.errors import ConfigurationError, EdgeError
from softphone.provisioning import ConfigDocument, EnrollmentNeeded, parse_device_config
from softphone.security import KeyMaterial, SrtpPolicy
from tests.edge.test_document import document as answer
from tests.support.cluster import DEVICE, content, insecure
from tests.support.edge import ROUTE

EDGE = ServiceTarget("edge1.example.test", 8443)
NODE = ServiceTarget("cucm1.example.test", 8443)
TOKEN = OAuthConfig(token_file="token")


def signed_in(options: EdgeOptions | None = None, profile: str = "", **more) -> EdgeSignIn:
    """A sign-in without a network; its configuration is an answer of an edge."""
    config = DiscoveryConfig("alice@example.test", KeyMaterial(b"x"), **more)
    session = EdgeSession(config, [EDGE], options=options)
    session._configuration = parse_edge_configuration(answer())
    user = UdsUser("alice", service_profile=profile)
    found = DiscoveryResult("alice@example.test", ServicePath.EDGE, nodes=(NODE,), user=user)
    return EdgeSignIn(session, found, config)


def configuration(device=None, **changes) -> ConfigDocument:
    config = replace(parse_device_config((device or content()).text()), **changes)
    return ConfigDocument(f"{DEVICE}.cnf.xml", config, b"")


def test_a_secure_device_registers_through_the_edge_without_a_certificate():
    (account,) = edge_accounts(signed_in(), DEVICE, configuration(), tls=TlsConfig(system=True))
    assert (account.aor, account.registrar) == ("sip:alice@192.0.2.10", "sip:192.0.2.10")
    assert account.edge.servers == ("edge1.example.test:5061",)
    assert (account.edge.domain, account.edge.route) == ("example.test", ROUTE)
    assert (account.tls.certificate, account.tls.system) == (None, True)
    assert (account.persona, account.device.name) == ("cisco_phone", DEVICE)


def test_a_device_in_clear_inside_is_encrypted_to_the_edge():
    given = configuration(insecure(password="secret"))
    (account,) = edge_accounts(signed_in(), DEVICE, given)
    assert account.srtp is SrtpPolicy.REQUIRED
    assert account.credentials.username == "alice"


def test_the_route_is_left_out_where_it_is_switched_off():
    (account,) = edge_accounts(signed_in(EdgeOptions(send_route=False)), DEVICE, configuration())
    assert account.edge.route == ""


def test_a_device_with_tokens_needs_their_source():
    given = configuration(oauth=True)
    with pytest.raises(EnrollmentNeeded, match="token"):
        edge_accounts(signed_in(), DEVICE, given)
    (account,) = edge_accounts(signed_in(), DEVICE, given, oauth=TOKEN)
    assert (account.persona, account.oauth, account.credentials) == ("oauth", TOKEN, None)


def test_the_file_says_the_same(tmp_path):
    name = 'Älice "\N{GRINNING FACE}" \\u0041'
    given = configuration(insecure(password='se"cret\x7f', display_name=name))
    tls = TlsConfig(system=True)
    (account,) = edge_accounts(signed_in(), DEVICE, given, tls=tls, installation="0123456789AB")
    path = tmp_path / "outside.toml"
    write_edge_account(path, account, ("system",))
    read = load_account(path).config
    assert path.stat().st_mode & 0o777 == 0o600
    assert read.credentials.password.reveal() == account.credentials.password.reveal()
    same = {"credentials": None, "dscp": account.dscp, "tls": tls}
    assert replace(read, **same) == replace(account, **same)
    with pytest.raises(ConfigurationError, match="not replaced"):
        write_edge_account(path, account, ())
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_edge_account(tmp_path / "none" / "x.toml", account, ())


def test_what_is_no_text_is_not_written(tmp_path):
    given = configuration(insecure(password="secret", display_name="Alice"))
    (account,) = edge_accounts(signed_in(), DEVICE, given)
    path = tmp_path / "outside.toml"
    with pytest.raises(ConfigurationError, match="no valid Unicode text") as caught:
        write_edge_account(path, replace(account, display_name="\ud83d"), ())
    assert not path.exists()
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_an_account_does_not_have_is_not_written(tmp_path):
    (account,) = edge_accounts(signed_in(EdgeOptions(send_route=False)), DEVICE, configuration())
    path = tmp_path / "outside.toml"
    bare = replace(account, media=replace(account.media, ports=None), display_name=None)
    write_edge_account(path, bare, ())
    text = path.read_text()
    for absent in ("route", "[credentials]", "[tls]", "[media]", "display_name", "mac"):
        assert absent not in text
    assert load_account(path).config.edge == account.edge


@pytest.mark.parametrize(
    ("profile", "more", "places"),
    [
        ("", {}, ["https://cucm1.example.test:6972"]),
        (
            "http://files.example.test:6970/x",
            {"clear_files": True},
            [
                "https://files.example.test:6972",
                "https://cucm1.example.test:6972",
                "http://cucm1.example.test:6970",
            ],
        ),
        (
            "https://files.example.test:9000/x",
            {},
            ["https://files.example.test:9000", "https://cucm1.example.test:6972"],
        ),
        ("http://files.example.test:80/x", {}, ["https://cucm1.example.test:6972"]),
        ("https://files.elsewhere.example/x", {}, ["https://cucm1.example.test:6972"]),
    ],
)
def test_where_files_are_fetched(profile, more, places):
    found = signed_in(profile=profile, **more).file_servers()
    assert [each.address for each in found] == places


def test_files_of_servers_outside_the_domains_only_are_an_error():
    edge = signed_in()
    edge.session._configuration = parse_edge_configuration(
        answer(("cucm1.example.test", "cucm1.corp.example"))
    )
    with pytest.raises(EdgeError, match="no file server"):
        replace(edge, found=replace(edge.found, nodes=())).file_servers()
