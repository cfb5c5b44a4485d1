"""The accounts of a device that has booted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.account.stack_settings import digest_session
from softphone.config import DIGEST_ALGORITHMS, CredentialConfig, DscpConfig, OAuthConfig
from softphone.device.accounts import device_accounts
from softphone.errors import ConfigurationError
from softphone.provisioning import (
    Booted,
    CallManager,
    DeviceConfig,
    DeviceLine,
    EnrollmentNeeded,
    parse_device_config,
)
from softphone.provisioning.config_document import ConfigDocument
from softphone.sans_io import Transport
from softphone.security import KeyMaterial, SrtpPolicy
from softphone.sip import Request
from softphone.trust import TrustLists
from tests.support.challenges import OWN_UDP, own_server_everywhere
from tests.support.cluster import DEVICE, content, identity, insecure

FIELDS = [
    ("To", "<sip:a@h>"),
    ("From", "<sip:a@h>;tag=1"),
    ("Call-ID", "c"),
    ("Via", "SIP/2.0/UDP h;branch=z9hG4bKa"),
    ("CSeq", "1 REGISTER"),
]
SECURE = parse_device_config(content().text())


def booted(tmp_path, config: DeviceConfig = SECURE, *, known=True) -> Booted:
    found = ConfigDocument("CSFALICE.cnf.xml.sgn", config, b"")
    return Booted(DEVICE, found, TrustLists(), identity() if known else None, tmp_path)


def only(tmp_path, config: DeviceConfig = SECURE, **more):
    (account,) = device_accounts(booted(tmp_path, config, **more))
    return account


PLAIN = CredentialConfig("alice", KeyMaterial(b"secret"))


def answers_md5(account, flow) -> bool:
    """Whether a REGISTER that is challenged as CUCM does is sent again with a digest."""
    session = digest_session(
        account,
        entropy=lambda size: bytes(size),
        policy=own_server_everywhere("ccmsipline"),
    )
    sent = Request.build("REGISTER", account.server_uris[0], FIELDS)
    value = 'Digest realm="ccmsipline", nonce="n", algorithm=MD5'
    response = sent.response(401, headers=[("WWW-Authenticate", value)])
    return isinstance(session.authorize(sent, response, flow=flow), Request)


def test_a_secure_device(tmp_path):
    account = only(tmp_path)
    assert account.aor == "sip:alice@192.0.2.10"
    assert account.nodes == ("sips:192.0.2.10:5061",)
    assert account.transport is Transport.TLS
    assert account.srtp is SrtpPolicy.REQUIRED
    assert account.tls.certificate == account.tls.key == tmp_path / "CSFALICE.pem"
    assert account.tls.ca == ()
    assert account.persona == "cisco_phone"
    assert (account.device.name, account.device.model) == (DEVICE, 503)
    assert account.device.contact == "alice"
    assert (account.expires, account.display_name) == (120, "Alice")
    assert account.media.ports == (20000, 20499)
    assert account.credentials is None


def test_another_client_is_ended_only_where_its_user_was_asked(tmp_path):
    assert not only(tmp_path).device.take_over
    (account,) = device_accounts(booted(tmp_path), take_over=True)
    assert account.device == replace(only(tmp_path).device, take_over=True)


def test_the_first_three_nodes_in_their_order(tmp_path):
    nodes = tuple(CallManager(n, f"192.0.2.{n}", 5060, 5061) for n in range(5))
    account = only(tmp_path, replace(SECURE, call_managers=nodes))
    assert account.nodes == tuple(f"sips:192.0.2.{n}:5061" for n in range(3))


def test_a_device_that_is_not_secure(tmp_path):
    config = parse_device_config(insecure(password="secret").text())
    account = only(tmp_path, config, known=False)
    assert account.nodes == ("sip:192.0.2.10:5060;transport=udp",)
    assert account.transport is Transport.UDP
    assert account.srtp is SrtpPolicy.OFF
    assert account.credentials.username == "alice"
    assert account.credentials.password.reveal() == b"secret"
    # CUCM challenges with MD5, here over UDP, where only what is listed is answered.
    assert account.credentials.algorithms == DIGEST_ALGORITHMS
    assert answers_md5(account, OWN_UDP)
    assert not answers_md5(replace(account, credentials=PLAIN), OWN_UDP)
    assert account.tls.certificate is None
    assert "secret" not in repr(account)
    assert only(tmp_path, replace(config, transport=1), known=False).transport is Transport.TCP


def test_an_authenticated_device_has_its_media_in_clear(tmp_path):
    account = only(tmp_path, replace(SECURE, security_mode=2))
    assert (account.transport, account.srtp) == (Transport.TLS, SrtpPolicy.OFF)


def test_a_contradiction_is_taken_for_tls(tmp_path):
    assert only(tmp_path, replace(SECURE, transport=1)).transport is Transport.TLS


def test_a_line_with_a_proxy_of_its_own(tmp_path):
    line = replace(SECURE.lines[0], proxy="2001:db8::1", port=5071)
    account = only(tmp_path, replace(SECURE, lines=(line,)))
    assert account.aor == "sip:alice@[2001:db8::1]"
    assert account.nodes == ("sips:[2001:db8::1]:5071",)


def test_each_line_is_an_account(tmp_path):
    second = DeviceLine(button=2, index=2, name="1002", contact="guid")
    config = replace(SECURE, lines=(*SECURE.lines, second))
    accounts = device_accounts(booted(tmp_path, config), persona="standard", model=562)
    assert [account.aor.partition("@")[0] for account in accounts] == ["sip:alice", "sip:1002"]
    assert [account.device.model for account in accounts] == [562, 562]
    assert accounts[0].persona == "standard"


def test_packets_are_marked_as_the_configuration_says(tmp_path):
    assert only(tmp_path).dscp == DscpConfig("46", "34", "24")
    media = replace(SECURE.media, audio_tos=104, video_tos=0, signaling_tos=255)
    account = only(tmp_path, replace(SECURE, media=media))
    assert account.dscp == DscpConfig("26", "0", "63")


@pytest.mark.parametrize(("first", "last"), [(80, 90), (2000, 2001)])
def test_ports_that_do_not_do_are_left_to_the_phone(tmp_path, first, last):
    media = replace(SECURE.media, first_port=first, last_port=last)
    assert only(tmp_path, replace(SECURE, media=media)).media.ports is None


def test_a_secure_device_without_a_certificate_is_told_what_to_do(tmp_path):
    with pytest.raises(EnrollmentNeeded, match="set a CAPF operation"):
        only(tmp_path, known=False)
    line = replace(SECURE.lines[0], auth_password="secret")
    assert only(tmp_path, replace(SECURE, lines=(line,)), known=False).tls.certificate is None


def test_the_installation_is_the_same_at_every_boot(tmp_path):
    known = replace(booted(tmp_path), installation="0123456789AB")
    (account,) = device_accounts(known)
    assert account.device.mac == "0123456789AB"
    (account,) = device_accounts(replace(known, device="SEP001122334455"))
    assert account.device.mac is None
    assert account.device.instance(bytes).endswith("-001122334455")


def test_oauth_needs_tokens_or_an_account_file(tmp_path):
    with pytest.raises(ConfigurationError, match='persona = "oauth"'):
        only(tmp_path, replace(SECURE, oauth=True))


def test_a_device_with_tokens_needs_no_certificate_and_takes_the_port_for_tokens(tmp_path):
    nodes = (CallManager(0, "cucm1", 5060, 5061, oauth_port=5091), CallManager(1, "cucm2"))
    config = replace(SECURE, oauth=True, call_managers=nodes)
    source = OAuthConfig(command=("token",))
    (account,) = device_accounts(booted(tmp_path, config, known=False), oauth=source)
    assert account.nodes == ("sips:cucm1:5091", "sips:cucm2:5090")
    assert (account.persona, account.oauth, account.credentials) == ("oauth", source, None)
    assert account.tls.certificate is None
    # A device that registers otherwise does so with tokens there, too.
    (account,) = device_accounts(booted(tmp_path), oauth=source)
    assert (account.persona, account.oauth) == ("cisco_phone", None)
