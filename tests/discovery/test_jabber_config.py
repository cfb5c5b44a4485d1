"""jabber-config.xml: which settings of security count, and why the others do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.discovery.jabber_config import ConfigSetting, JabberConfig, parse_jabber_config
from softphone.errors import DiscoveryError


def config(key, value, **more):
    return JabberConfig((ConfigSetting("Policies", key, value),), **more)


def applies(key, value, *, trusted=False, **more):
    (decision,) = config(key, value, **more).decisions(trusted=trusted)
    return decision.applies


STRICTER = [
    ("Disable_IM_History", "true", "false"),
    ("ServicesDomainSsoEmailPrompt", "ON", "OFF"),
    ("ForceLaunchBrowser", "true", "false"),
    ("CachePasswordMobile", "false", "true"),
    ("Telephony_Enabled", "false", "true"),
    ("Voicemail_Enabled", "false", "true"),
    ("EnablePRTEncryption", "true", "false"),
    ("DiagnosticsToolEnabled", "false", "true"),
    ("support_aes_encoding", "TRUE", "FALSE"),
    ("support_no_encoding", "FALSE", "TRUE"),
    ("screen_capture_enabled", "false", "true"),
    ("file_transfer_enabled", "false", "true"),
    ("local_archive_enabled", "false", "true"),
    ("imcatcher_disable", "true", "false"),
]
NAMING = [
    "VoiceServicesDomain",
    "ServicesDomain",
    "VoicemailPrimaryServer",
    "VoicemailBackup1Server",
    "VoicemailBackup2Server",
    "VoiceMailService_UseCredentialsFrom",
    "LDAP_UseCredentialsFrom",
    "PRTCertificateName",
    "PRTCertificateUrl",
    "IP_MODE",
]


@pytest.mark.parametrize(("key", "strict", "lax"), STRICTER)
def test_a_stricter_value_counts_and_a_laxer_one_needs_tls_and_trust(key, strict, lax):
    assert applies(key, strict)
    assert not applies(key, lax)
    assert not applies(key, lax, verified=True)
    assert not applies(key, lax, trusted=True)
    assert applies(key, lax, trusted=True, verified=True)
    assert not applies(key, lax, trusted=True, verified=True, kept=True)


@pytest.mark.parametrize("key", NAMING)
def test_what_names_a_server_or_an_account_needs_tls_and_trust(key):
    assert not applies(key, "x.evil.test", verified=True)
    assert applies(key, "x.example.test", verified=True, trusted=True)


@pytest.mark.parametrize("key", ["SSO_Enabled", "support_ssl_encoding"])
def test_what_has_no_stricter_value_needs_tls_and_trust(key):
    assert not applies(key, "true", verified=True)
    assert applies(key, "true", verified=True, trusted=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("InvalidCertificateBehavior", "Accept"),
        ("InvalidCertificateBehavior", ""),
        ("Disable_IM_History", "yes please"),
        ("SSO_Enabled", "x" * 1000),
    ],
)
def test_a_value_that_is_not_known_is_told_and_changes_nothing(key, value):
    (decision,) = config(key, value, verified=True).decisions(trusted=True)
    assert not decision.applies
    assert "is not known" in decision.why
    assert len(decision.why) < 200


@pytest.mark.parametrize(("key", "value"), [("FIPS_MODE", "true"), ("ConnectionPassword", "x")])
def test_what_does_not_belong_there_never_counts(key, value):
    assert not applies(key, value, verified=True, trusted=True)


def test_a_key_is_known_in_any_case_and_unknown_ones_are_kept():
    data = b"<config><Policies><DISABLE_IM_HISTORY>True</DISABLE_IM_HISTORY><Odd>1</Odd></Policies>"
    found = parse_jabber_config(data + b"</config>")
    assert [each.key for each in found.settings] == ["DISABLE_IM_HISTORY", "Odd"]
    assert found.in_force("Disable_IM_History") == {"true"}
    assert found.in_force("Odd") == frozenset()


def test_of_two_values_the_stricter_one_counts():
    both = JabberConfig(
        tuple(ConfigSetting("Policies", "Disable_IM_History", each) for each in ("false", "true"))
    )
    assert both.in_force("disable_im_history") == {"true"}


@pytest.mark.parametrize(
    ("value", "refuses", "forgets"),
    [("RejectAndNotify", True, False), ("PromptPerSession", False, True), ("other", False, False)],
)
def test_what_happens_with_invalid_certificates(value, refuses, forgets):
    found = config("InvalidCertificateBehavior", value)
    assert found.refuses_unknown_certificates is refuses
    assert found.keeps_no_certificates is forgets
    assert replace(found, kept=True).refuses_unknown_certificates is refuses


def test_a_password_is_not_kept():
    data = b"""<config><Directory><ConnectionPassword>ldap-secret</ConnectionPassword>
      <CachePasswordMobile>false</CachePasswordMobile></Directory></config>"""
    found = parse_jabber_config(data)
    assert [each.value for each in found.settings] == ["(not shown)", "false"]
    assert "ldap-secret" not in repr(found)


@pytest.mark.parametrize(
    "key",
    [
        *("BDILDAPPasswd", "Pwd", "Token", "ApiKey", "API_Key", "Api-Key", "Service_Credentials"),
        *("ClientSecret", "PassPhrase", "Pass_Phrase", "VoicemailPIN", "BindPass", "AuthTokenUrl"),
    ],
)
def test_nothing_that_may_be_a_secret_is_kept(key):
    found = parse_jabber_config(f"<config><D><{key}>hunter2</{key}></D></config>".encode())
    assert [(each.key, each.value) for each in found.settings] == [(key, "(not shown)")]


@pytest.mark.parametrize("key", [*NAMING, "ConnectionUsername", "Keywords", "ShippingServer"])
def test_what_is_no_secret_is_shown(key):
    found = parse_jabber_config(f"<config><D><{key}>x.test</{key}></D></config>".encode())
    assert [each.value for each in found.settings] == ["x.test"]


@pytest.mark.parametrize(
    "data", [b"", b"<html/>", b"<!DOCTYPE config><config/>", b"<config>" * 20, b"<config"]
)
def test_what_is_no_such_file_is_refused(data):
    with pytest.raises(DiscoveryError):
        parse_jabber_config(data)
