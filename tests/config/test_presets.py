"""Presets of carriers: what they fill, and what they say of a contradiction."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from softphone.config import (
    DIGEST_ALGORITHMS,
    AccountConfig,
    CredentialConfig,
    MediaPreferences,
    TlsConfig,
    load_account,
)
from softphone.config.presets import PRESETS, RuleKind, value_at
from softphone.errors import ConfigurationError
from softphone.lab.carrier import CARRIERS
from softphone.security import CryptoSuite, KeyMaterial, SrtpPolicy

USER = CredentialConfig("alice", KeyMaterial(b"secret"))
PROXY = 'outbound_proxy = "sips:a.test"\n'
FALLBACK = 'fallback_proxies = ["sips:c.test"]\n'
SHA1_80 = CryptoSuite.AES_CM_128_HMAC_SHA1_80


def account_file(folder, text):
    path = folder / "account.toml"
    path.write_text('aor = "sip:alice@pbx.test"\n' + text)
    path.chmod(0o600)
    return load_account(path)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_every_preset_has_sources_and_a_date_and_the_lab_plays_its_carrier(preset):
    assert preset.sources
    assert all(source.startswith("https://") for source in preset.sources)
    assert date.fromisoformat(preset.checked) <= date(2026, 11, 28)
    assert preset.name in CARRIERS
    assert all(rule.why for rule in preset.rules)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_every_rule_of_a_preset_names_a_key_that_there_is(preset):
    config = AccountConfig(aor="sip:a@b.test", registrar="sips:b.test")
    for rule in preset.rules:
        value_at(config, rule.key)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_a_filled_account_contradicts_only_what_its_user_has_to_give(preset):
    config = AccountConfig(aor="sip:a@b.test", registrar="sips:b.test", credentials=USER)
    filled = config.with_preset(preset.name)
    missing = {rule.key for rule in preset.rules if rule.kind is RuleKind.GIVEN}
    left = [line.removeprefix(f"preset {preset.name}: ") for line in filled.contradictions]
    assert all(line.partition(":")[0] in missing and "missing" in line for line in left)
    assert filled.preset == preset.name


def test_a_preset_fills_an_account_file_and_its_server(tmp_path):
    text = 'preset = "whatsapp"\n[credentials]\nusername = "a"\npassword = "b"\n'
    file = account_file(tmp_path, text)
    config = file.config
    assert config.outbound_proxy == "sips:wa.meta.vc"
    assert config.media.suites == (SHA1_80,)
    assert config.media.codecs == ("OPUS", "PCMA", "PCMU")
    assert config.media.srtp is SrtpPolicy.REQUIRED
    assert not config.reinvite
    assert file.warnings == ()


def test_what_the_file_says_wins_and_the_contradiction_is_told(tmp_path):
    text = (
        'preset = "whatsapp"\nregistrar = "sips:other.test"\nreinvite = true\n'
        '[credentials]\nusername = "a"\npassword = "b"\n'
        '[media]\nsrtp = "optional"\ncodecs = ["PCMU", "PCMA"]\n'
        'suites = ["AEAD_AES_256_GCM"]\ncomfort_noise = true\n'
    )
    file = account_file(tmp_path, text)
    config = file.config
    assert (config.registrar, config.outbound_proxy) == ("sips:other.test", None)
    assert config.reinvite
    assert config.media.codecs == ("PCMU", "PCMA")
    told = "\n".join(file.warnings)
    for key in ("media.srtp", "media.suites", "reinvite", "media.comfort_noise"):
        assert f"preset whatsapp: {key}: " in told
    assert "media.codecs" not in told
    assert "takes no re-INVITE" in told


@pytest.mark.parametrize(
    ("preset", "values", "told"),
    [
        ("openai", {"registrar": "sip:b.test;transport=tcp"}, "registrar: this is not TLS"),
        ("openai", {"listen": "udp:127.0.0.1:0"}, "registrar: this is not TLS"),
        ("openai", {"timer_c": 30}, "timer_c: 30 is given"),
        ("whatsapp", {}, "credentials: missing"),
        ("whatsapp", {"listen": "tls:127.0.0.1:0"}, "challenge: missing"),
        ("teams", {}, "contact_host: missing"),
        ("whatsapp", {"options_interval": 300}, "options_interval: 300 is given"),
        ("teams", {}, "tls.certificate: missing"),
        ("twilio", {"media": MediaPreferences(codecs=("G722",))}, "media.codecs: G722 is given"),
    ],
)
def test_each_kind_of_rule_sees_its_contradiction(preset, values, told):
    base = {"aor": "sip:a@b.test", "registrar": "sips:b.test", **values}
    found = AccountConfig(**base).with_preset(preset).contradictions
    assert any(line.startswith(f"preset {preset}: {told}") for line in found), found


def test_teams_names_its_servers_in_their_order_and_is_asked_every_minute():
    config = AccountConfig(aor="sip:a@b.test", listen="tls:127.0.0.1:0").with_preset("teams")
    assert config.outbound_proxy == "sips:sip.pstnhub.microsoft.com"
    assert config.fallback_proxies == (
        "sips:sip2.pstnhub.microsoft.com",
        "sips:sip3.pstnhub.microsoft.com",
    )
    assert config.options_interval == 60
    assert config.watches_trunk
    assert [uri.host for uri in config.server_uris] == [
        f"{name}.pstnhub.microsoft.com" for name in ("sip", "sip2", "sip3")
    ]


def test_servers_of_ones_own_get_none_of_the_presets(tmp_path):
    own = AccountConfig(aor="sip:a@b.test", outbound_proxy="sips:b.test").with_preset("teams")
    assert own.fallback_proxies == ()
    silent = account_file(tmp_path, 'preset = "teams"\noptions_interval = 0\n')
    assert silent.config.fallback_proxies == ()
    assert "preset teams: options_interval: 0 is given" in "\n".join(silent.warnings)


def test_a_limit_that_is_off_is_no_contradiction():
    config = AccountConfig(aor="sip:a@b.test", registrar="sips:b.test", timer_c=0)
    assert config.with_preset("openai").contradictions == ()


def test_teams_is_content_with_a_name_and_a_certificate(tmp_path):
    tls = TlsConfig(certificate=tmp_path / "a.crt", key=tmp_path / "a.key")
    config = AccountConfig(aor="sip:a@b.test", outbound_proxy="sips:b.test", tls=tls,
                           contact_host="sbc1.example.test")  # fmt: skip
    assert config.with_preset("teams").contradictions == ()


@pytest.mark.parametrize("preset", PRESETS)
def test_md5_is_listed_for_the_carriers_that_challenge_with_it(preset):
    config = AccountConfig(aor="sip:a@b.test", registrar="sips:b.test", credentials=USER)
    listed = config.with_preset(preset).credentials.algorithms
    challenging = {"whatsapp", "twilio", "telnyx", "telekom"}
    assert listed == (DIGEST_ALGORITHMS if preset in challenging else None)


def test_the_algorithms_of_the_file_stay_and_a_trunk_without_a_user_gets_none(tmp_path):
    server = 'preset = "twilio"\nregistrar = "sips:b.test"\n'
    user = '[credentials]\nusername = "a"\npassword = "b"\n'
    given = account_file(tmp_path, server + user + 'algorithms = ["SHA-256"]\n')
    assert given.config.credentials.algorithms == ("SHA-256",)
    filled = account_file(tmp_path, server + user)
    assert filled.config.credentials.algorithms == DIGEST_ALGORITHMS
    assert account_file(tmp_path, server).config.credentials is None
    own = replace(USER, algorithms=("SHA-256",))
    config = AccountConfig(aor="sip:a@b.test", registrar="sips:b.test", credentials=own)
    assert config.with_preset("twilio").credentials.algorithms == ("SHA-256",)


def test_telekom_negotiates_media_security(tmp_path):
    text = (
        'preset = "telekom"\nregistrar = "sips:tel.example.test"\n'
        '[credentials]\nusername = "a"\npassword = "b"\n'
    )
    assert account_file(tmp_path, text).config.mediasec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('preset = "acme"\nregistrar = "sips:a.test"\n', r":2: preset: 'acme' is unknown"),
        ('registrar = "sips:a.test"\ncontact_host = "192.0.2.1"\n', "contact_host"),
        ('registrar = "sips:a.test"\nmediasec = true\n', "mediasec: it is agreed over TLS"),
        ('preset = "twilio"\n', "registrar: give the server"),
        (f"{PROXY}options_interval = 5\n", "options_interval: 5 is neither 0"),
        (f"{PROXY}options_interval = 3601\n", "options_interval: 3601 is neither 0"),
        (f"{PROXY}{FALLBACK}", "fallback_proxies: they follow"),
        (f'registrar = "sips:b.test"\noptions_interval = 60\n{FALLBACK}', "they follow"),
        (f'{PROXY}options_interval = 60\nfallback_proxies = ["sips:a.test"]\n', "each once"),
        (
            f'{PROXY}options_interval = 60\nfallback_proxies = ["sip:c.test"]\n',
            "the same transport",
        ),
        (
            f'{PROXY}options_interval = 60\nfallback_proxies = ["tel:1"]\n',
            "not a SIP URI|is not a sip",
        ),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, text, words):
    with pytest.raises(ConfigurationError, match=words):
        account_file(tmp_path, text)


def test_an_account_without_a_preset_contradicts_nothing():
    assert AccountConfig(aor="sip:a@b.test", registrar="sips:b.test").contradictions == ()
