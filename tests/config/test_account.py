"""AccountConfig: its checks and what follows from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from softphone.account.stack_settings import registration_config
from softphone.config import (
    AccountConfig,
    CredentialConfig,
    LimitsConfig,
    MediaPreferences,
    OAuthConfig,
    PolicyConfig,
    TlsConfig,
)
from softphone.errors import ConfigurationError
from softphone.media import PortRange
from softphone.sans_io import Transport
from softphone.security import KeyMaterial, Scope, SecurityLevel, SrtpPolicy


def account(**changes):
    values = {"aor": "sip:alice@127.0.0.1", "registrar": "sips:127.0.0.1:5062"}
    return AccountConfig(**{**values, **changes})


@pytest.mark.parametrize(
    ("registrar", "transport", "srtp"),
    [
        ("sips:pbx.test", Transport.TLS, SrtpPolicy.REQUIRED),
        ("sip:pbx.test;transport=tls", Transport.TLS, SrtpPolicy.REQUIRED),
        ("sip:pbx.test;transport=TCP", Transport.TCP, SrtpPolicy.OFF),
        ("sip:pbx.test;transport=udp", Transport.UDP, SrtpPolicy.OFF),
        ("sip:pbx.test", None, SrtpPolicy.REQUIRED),
    ],
)
def test_the_registrar_chooses_transport_and_srtp(registrar, transport, srtp):
    config = account(registrar=registrar)
    assert config.transport is transport
    assert config.srtp is srtp


def test_a_configured_srtp_takes_the_place_of_the_default():
    config = account(media=MediaPreferences(srtp=SrtpPolicy.OPTIONAL))
    assert config.srtp is SrtpPolicy.OPTIONAL
    assert config.security_policy().minimum is SecurityLevel.NOT_SECURE


def test_over_tls_a_call_is_encrypted_at_least_to_the_server():
    policy = account().security_policy()
    assert policy.minimum is SecurityLevel.ENCRYPTED
    assert policy.scope is Scope.HOP
    assert policy.srtp is SrtpPolicy.REQUIRED


def test_a_configured_minimum_stays_whatever_srtp_is():
    config = account(policy=PolicyConfig(minimum=SecurityLevel.ENCRYPTED))
    policy = config.security_policy(srtp=SrtpPolicy.OPTIONAL)
    assert policy.minimum is SecurityLevel.ENCRYPTED


def test_srtp_without_tls_demands_srtp_and_no_level():
    config = account(
        registrar="sip:pbx.test;transport=udp", media=MediaPreferences(srtp=SrtpPolicy.REQUIRED)
    )
    policy = config.security_policy()
    assert policy.srtp is SrtpPolicy.REQUIRED
    assert policy.minimum is SecurityLevel.NOT_SECURE


def test_an_outbound_proxy_takes_every_request():
    config = account(outbound_proxy="sips:edge.test")
    assert config.server_uri is not None
    assert config.server_uri.host == "edge.test"


def test_without_a_registrar_an_account_listens():
    config = account(registrar=None, listen="tls:[::1]:5061")
    assert config.listen_at() == (Transport.TLS, "::1", 5061)
    assert config.secure_transport


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aor": "alice"}, "aor: 'alice' is not"),
        ({"aor": "tel:+123"}, "is not a sip: or sips: URI"),
        ({"aor": "sip:127.0.0.1"}, "names no user"),
        ({"registrar": "sip:pbx.test;transport=sctp"}, "transport=sctp"),
        ({"registrar": None}, "give the server"),
        ({"registrar": None, "listen": "tls:127.0.0.1"}, "not of the form"),
        ({"registrar": None, "listen": "tls:127.0.0.1:99999"}, "not of the form"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        account(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codecs": ("SPEEX",)}, "'SPEEX' is unknown"),
        ({"codecs": ()}, "at least one codec"),
        ({"suites": ()}, "at least one crypto suite"),
        ({"ports": (40000, 40001)}, "too few"),
        ({"ports": (50000, 40000)}, "no range"),
        ({"ports": (80, 90)}, "no range"),
        ({"timeout": -1.0}, r"media\.timeout: -1 is not between 0"),
        ({"timeout": float("nan")}, r"media\.timeout"),
        (
            {"on_timeout": "hang up"},
            r"media\.on_timeout: give OnMediaTimeout \(report, hangup\), and not 'hang up'",
        ),
    ],
)
def test_media_preferences_are_checked(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        MediaPreferences(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"calls": -1}, r"limits\.calls: -1"),
        ({"calls_per_source": 10**7}, r"limits\.calls_per_source"),
        ({"calls_status": 404}, r"limits\.calls_status: 404 is not 486 or 503"),
        ({"call_duration": float("inf")}, r"limits\.call_duration: inf"),
    ],
)
def test_limits_on_calls_are_checked(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        LimitsConfig(**changes)


def test_a_stranger_has_a_quarter_of_the_calls_unless_something_else_is_said():
    assert LimitsConfig().most_calls_per_source == 0
    assert LimitsConfig(calls=1).most_calls_per_source == 1
    assert LimitsConfig(calls=40).most_calls_per_source == 10
    assert LimitsConfig(calls=40, calls_per_source=30).most_calls_per_source == 30


def test_a_pin_is_a_sha256_fingerprint():
    with pytest.raises(ConfigurationError, match=r"tls\.pin"):
        TlsConfig(pin="sha256:abc")
    TlsConfig(pin="sha256:" + "0" * 64)


def test_a_certificate_and_its_key_go_together():
    with pytest.raises(ConfigurationError, match=r"tls\.key"):
        TlsConfig(certificate=Path("alice.crt"))
    with pytest.raises(ConfigurationError, match=r"tls\.certificate"):
        TlsConfig(key=Path("alice.key"))


def test_a_password_never_shows():
    config = account(credentials=CredentialConfig("alice", KeyMaterial(b"hunter2")))
    assert "hunter2" not in repr(config)


def test_every_server_of_the_account_is_its_own():
    config = account(registrar="sips:pbx.test", outbound_proxy="sips:edge.test")
    assert [uri.host for uri in config.server_uris] == ["pbx.test", "edge.test"]


def test_further_credentials_follow_first_ones():
    user = CredentialConfig("edge", KeyMaterial(b"x"), realms=("edge.test",))
    with pytest.raises(ConfigurationError, match="follow first"):
        account(further_credentials=(user,))


def test_an_unknown_digest_algorithm_is_refused():
    with pytest.raises(ConfigurationError, match="SHA-1"):
        CredentialConfig("alice", KeyMaterial(b"x"), ("SHA-1",))


@pytest.mark.parametrize(
    "instance", ["alice", "urn:", "urn:uuid:", 'urn:uuid:1"', "urn:uuid:1\r\n"]
)
def test_an_instance_is_a_urn(instance):
    with pytest.raises(ConfigurationError, match="instance"):
        account(instance=instance)


@pytest.mark.parametrize("reg_id", [0, -1, 2**31])
def test_a_reg_id_is_a_positive_number(reg_id):
    with pytest.raises(ConfigurationError, match="reg_id"):
        account(reg_id=reg_id)


def test_instance_and_reg_id_are_registered():
    config = account(instance="urn:uuid:00000000-0000-4000-8000-000000000001", reg_id=2)
    registered = registration_config(config, instance=config.instance)
    assert (registered.instance_id, registered.reg_id) == (config.instance, 2)


def test_a_user_of_an_ipv6_domain_is_called_there():
    config = account(aor="sip:alice@[::1]:5070", registrar="sips:[::1]:5061")
    assert str(config.target_uri("600")) == "sip:600@[::1]:5070"


@pytest.mark.parametrize("persona", ["standard", "oauth"])
@pytest.mark.parametrize("registrar", ["sip:pbx.test;transport=tcp", "sip:pbx.test"])
def test_a_token_is_shown_over_tls_only_whatever_the_persona(persona, registrar):
    with pytest.raises(ConfigurationError, match="over TLS only"):
        AccountConfig(
            aor="sip:a@pbx.test",
            registrar=registrar,
            persona=persona,
            oauth=OAuthConfig(command=("give",)),
        )


def test_a_token_and_a_password_do_not_go_together():
    with pytest.raises(ConfigurationError, match="do not go together"):
        AccountConfig(
            aor="sip:a@pbx.test",
            registrar="sips:pbx.test",
            credentials=CredentialConfig("a", KeyMaterial(b"secret")),
            oauth=OAuthConfig(command=("give",)),
        )


def test_a_password_or_authority_of_another_type_is_told_at_once():
    with pytest.raises(ConfigurationError, match=r"credentials\.password: give KeyMaterial"):
        CredentialConfig("alice", "secret")
    with pytest.raises(ConfigurationError, match=r"tls\.ca: give a tuple of paths"):
        TlsConfig(ca="ca.crt")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ports": PortRange()}, "media.ports: give a tuple (a whole number, a whole number)"),
        ({"codec": ("PCMU",)}, "media.codec: there is no such setting; did you mean 'codecs'?"),
        *[
            ({each.name: object()}, f"media.{each.name}: give ")
            for each in dataclasses.fields(MediaPreferences)
        ],
    ],
)
def test_a_wrong_argument_of_with_media_says_what_is_wanted(changes, words):
    with pytest.raises(ConfigurationError) as caught:
        AccountConfig(aor="sip:a@b.test", registrar="sips:b.test").with_media(**changes)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("kind", [LimitsConfig, MediaPreferences, PolicyConfig, TlsConfig])
def test_no_value_of_another_type_is_a_type_error(kind):
    for each in dataclasses.fields(kind):
        with pytest.raises(ConfigurationError, match=rf"\.{each.name}: give a?"):
            kind(**{each.name: object()})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"music_on_hold": "tel:123"}, "music_on_hold: .*tel:123"),
        ({"music_on_hold": ""}, "music_on_hold: "),
        ({"music_on_hold": "music", "reinvite": False}, "no call is held"),
    ],
)
def test_a_music_source_is_one_that_can_be_called_and_is_of_use(changes, words):
    with pytest.raises(ConfigurationError, match=words):
        AccountConfig(aor="sip:a@h", registrar="sips:h", **changes)
