"""The configuration of a discovery: whose, which domains, and what is no account."""

from __future__ import annotations

import pytest

from softphone.discovery import DiscoveryConfig
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust import TlsSettings


def test_the_voice_domain_is_asked_before_any_other():
    plain = DiscoveryConfig("Alice@Example.test")
    assert (plain.name, plain.asked_domain) == ("Alice", "example.test")
    services = DiscoveryConfig("a@example.test", services_domain="corp.test")
    assert services.asked_domain == "corp.test"
    voice = DiscoveryConfig(
        "a@example.test", services_domain="corp.test", voice_domain="Voice.test"
    )
    assert voice.asked_domain == "voice.test"
    assert voice.domains == ("example.test", "corp.test", "voice.test")
    assert DiscoveryConfig("a@example.test", user="adler").name == "adler"


@pytest.mark.parametrize(
    "values",
    [
        {"account": "alice"},
        {"account": "@example.test"},
        {"account": "a/b@example.test"},
        {"account": "a:b@example.test"},
        {"account": "a\nb@example.test"},
        {"account": "alice@test"},
        {"account": "a@example.test", "user": "a/b"},
        {"account": "a@example.test", "user": ""},
        {"account": "a@example.test", "voice_domain": "192.0.2.1"},
        {"account": "a@example.test", "timeout": 0},
        {"account": "a@example.test", "timeout": float("nan")},
        {"account": "a@example.test", "config_file": "../x.xml"},
        {"account": "a@example.test", "tls": TlsSettings()},
        {"account": "a@example.test", "password": KeyMaterial(b"x"), "token": print},
    ],
)
def test_what_cannot_be_meant_is_refused(values):
    with pytest.raises(ConfigurationError):
        DiscoveryConfig(**values)


def test_a_password_is_in_no_repr():
    config = DiscoveryConfig("a@example.test", KeyMaterial(b"secret"))
    assert "secret" not in repr(config)
    assert config.has_credentials
    assert not DiscoveryConfig("a@example.test").has_credentials
