"""The settings of a mailbox, and what is wrong with some."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial, TlsVersion
from softphone.trust import Service, TlsSettings
from softphone.voicemail import VoicemailConfig

GOOD = {"server": "unity.example.test", "user": "anna", "password": KeyMaterial(b"one of hers")}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"server": "https://unity.example.test"}, "server: .*host or host:port"),
        ({"server": "unity.example.test/x"}, "server"),
        ({"server": "anna@unity.example.test"}, "server"),
        ({"server": "unity.example.test:99999"}, "server"),
        ({"server": ""}, "server"),
        ({"backups": ("a b",)}, "backups"),
        ({"user": "a:b"}, "colon"),
        ({"user": ""}, "colon"),
        ({"timeout": 0.0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"page": 0}, "page"),
        ({"poll": 5.0}, "poll"),
        ({"tls": TlsSettings(service=Service.SIP)}, "another service"),
    ],
)
def test_a_wrong_value_is_named(change, words):
    with pytest.raises(ConfigurationError, match=words):
        VoicemailConfig(**{**GOOD, **change})


def test_servers_are_asked_once_each_in_order():
    config = VoicemailConfig(**GOOD, backups=("b.example.test:8443", "unity.example.test"))
    assert config.servers == ("unity.example.test", "b.example.test:8443")
    assert VoicemailConfig(**{**GOOD, "server": "[::1]:8443"}).servers == ("[::1]:8443",)


def test_the_password_is_in_no_text_of_it():
    assert "one of hers" not in repr(VoicemailConfig(**GOOD))


def test_fips_mode_narrows_the_versions_of_tls_to_one():
    for fips, maximum in ((True, TlsVersion.TLS_1_2), (False, None)):
        tls = TlsSettings(service=Service.HTTPS, minimum=TlsVersion.TLS_1_2, fips=fips)
        assert VoicemailConfig(**GOOD, tls=tls).connection_tls.maximum is maximum
    strict = TlsSettings(service=Service.HTTPS, minimum=TlsVersion.TLS_1_3, fips=True)
    assert VoicemailConfig(**GOOD, tls=strict).connection_tls.minimum is TlsVersion.TLS_1_2
