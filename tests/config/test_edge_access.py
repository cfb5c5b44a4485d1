"""Accounts that are reached through an edge: what is ruled out, and what is made of the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.account.stack_settings import (
    TrustContext,
    proxy_route,
    registration_config,
    tls_settings,
)
from softphone.config import (
    AccountConfig,
    EdgeAccess,
    MediaPreferences,
    PolicyConfig,
    TlsConfig,
    load_account,
)
from softphone.errors import ConfigurationError
from softphone.personas import DeviceIdentity
from softphone.sans_io import Transport
from softphone.security import SecurityLevel, SecurityPolicy, SrtpPolicy
from tests.support.edge import ROUTE

EDGES = ("edge1.example.test", "edge2.example.test:5062")


def account(**changes):
    access = EdgeAccess("example.test", EDGES, ROUTE)
    values = {"aor": "sip:alice@cucm1.example.test", "registrar": "sip:cucm1.example.test"}
    return AccountConfig(**{**values, "edge": access, **changes})


def test_the_edges_are_the_first_hop_and_their_route_is_copied():
    config = account()
    assert list(map(str, config.proxy_uris)) == [
        "sips:edge1.example.test:5061",
        "sips:edge2.example.test:5062",
    ]
    assert (config.transport, config.secure_transport) == (Transport.TLS, True)
    assert list(map(str, proxy_route(config))) == [ROUTE]
    registration = registration_config(config, instance="urn:x:1")
    assert str(registration.registrar) == "sip:cucm1.example.test"
    assert list(map(str, registration.route_set)) == [ROUTE]
    # A copy with other values is checked again, and stays as it is.
    assert replace(config, expires=60).proxy_uris == config.proxy_uris


def test_without_a_route_none_is_sent():
    assert proxy_route(account(edge=EdgeAccess("example.test", EDGES))) == ()


def test_only_an_authority_vouches_for_the_edge_and_no_certificate_is_shown(tmp_path):
    async def yes(_):
        return True

    device = DeviceIdentity("CSFALICE", 503, store=tmp_path)
    (tmp_path / "CSFALICE.pem").write_text("not read")
    settings = tls_settings(account(device=device), TrustContext(unknown=yes))
    assert settings.edge_domain == "example.test"
    assert (settings.credential, settings.unknown, settings.tvs) == (None, None, None)
    assert not settings.lists


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"registrar": None}, "one registrar"),
        ({"registrar": None, "nodes": ("sips:a.test", "sips:b.test")}, "one registrar"),
        ({"listen": "tls:127.0.0.1:0"}, "one registrar"),
        ({"outbound_proxy": "sips:pbx.test"}, "outbound_proxy"),
        ({"tls": TlsConfig(certificate="a", key="a")}, "client certificate"),
        ({"tls": TlsConfig(pin="0" * 64)}, "client certificate"),
        ({"media": MediaPreferences(srtp=SrtpPolicy.OPTIONAL)}, r"media\.srtp"),
        ({"media": MediaPreferences(srtp=SrtpPolicy.OFF)}, r"media\.srtp"),
        ({"policy": PolicyConfig(minimum=SecurityLevel.NOT_SECURE)}, r"policy\.minimum"),
        ({"policy": PolicyConfig(minimum=SecurityLevel.AUTHENTICATED)}, r"policy\.minimum"),
    ],
)
def test_what_an_edge_rules_out(changes, why):
    with pytest.raises(ConfigurationError, match=why):
        account(**changes)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (("192.0.2.1", EDGES), r"edge\.domain"),
        (("localhost", EDGES), r"edge\.domain"),
        (("example.test", ()), r"edge\.servers"),
        (("example.test", tuple(f"e{n}.test" for n in range(6))), r"edge\.servers"),
        (("example.test", ("e.test", "e.test:5061")), "each once"),
        (("example.test", ("e.test", "e.test")), "each once"),
        (("example.test", ("192.0.2.1",)), "named in full"),
        (("example.test", ("e.test:0",)), "named in full"),
        (("example.test", ("e.test:99999",)), "named in full"),
        (("example.test", ("e.test:x",)), "named in full"),
        (("example.test", EDGES, "sip:192.0.2.1"), r"edge\.route"),
        (("example.test", EDGES, "<sip:192.0.2.1>"), "strict router"),
        (("example.test", EDGES, "<sip:192.0.2.1;lr>\r\nX: 1"), "one line"),
        (("example.test", EDGES, "<mailto:a@b.test>"), "SIP server"),
    ],
)
def test_bad_edges(values, why):
    with pytest.raises(ConfigurationError, match=why):
        EdgeAccess(*values)


@pytest.mark.parametrize(
    "policy", [SecurityPolicy.clear(), SecurityPolicy.compatible(), SecurityPolicy.strict()]
)
def test_no_policy_lowers_the_floor(policy):
    floor = account().with_edge_floor(policy)
    assert (floor.srtp, floor.minimum) == (SrtpPolicy.REQUIRED, SecurityLevel.ENCRYPTED)
    assert floor.signaling is SecurityLevel.ENCRYPTED
    plain = AccountConfig("sip:alice@a.test", "sip:a.test")
    assert plain.with_edge_floor(policy) is policy


FILE = f"""aor = "sip:alice@cucm1.example.test"
registrar = "sip:cucm1.example.test"
[edge]
domain = "example.test"
servers = ["edge1.example.test", "edge2.example.test:5062"]
route = "{ROUTE}"
"""


def test_the_account_file_has_a_table(tmp_path):
    path = tmp_path / "account.toml"
    path.write_text(FILE)
    assert load_account(path).config.edge == account().edge


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('domain = "example.test"\n', "", "the domain that the edge serves"),
        ('servers = ["edge1.example.test", "edge2.example.test:5062"]\n', "", "edge servers"),
        ("[edge]\n", "[edge]\nrout = 1\n", "rout"),
        ("[edge]\n", '[media]\nsrtp = "off"\n[edge]\n', "SRTP is always required"),
    ],
)
def test_errors_of_the_file(tmp_path, old, new, why):
    path = tmp_path / "account.toml"
    path.write_text(FILE.replace(old, new))
    with pytest.raises(ConfigurationError, match=why):
        load_account(path)
