"""Which bot: what is refused before any call, in words that hold no secret."""

from __future__ import annotations

import pytest

from softphone.agents import BotConfig, TroubleRule
from softphone.agents.bot_config import fill_parameters
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust import TlsSettings


@pytest.mark.parametrize(
    "url",
    [
        "wss://bot.example.test/media",
        "wss://bot.example.test:8443/media?tenant=7",
        "wss://[2001:db8::1]/x",
        "ws://127.0.0.1:8765/media",
        "ws://[::1]:8765/",
    ],
)
def test_these_are_bots(url):
    assert BotConfig(url=url).url == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://bot.example.test/", "wss://HOST"),
        ("bot.example.test", "wss://HOST"),
        ("wss://", "wss://HOST"),
        ("wss:///secret", "wss://HOST"),
        ("wss://./secret", "wss://HOST"),
        ("wss://bot..test/secret", "wss://HOST"),
        ("ws://bot.example.test/secret", "loopback"),
        ("ws://localhost:8765/secret", "loopback"),
        ("ws://192.0.2.1/secret", "loopback"),
        ("wss://user:secret@bot.example.test/", "neither a user"),
        ("wss://bot.example.test/#secret", "nor a fragment"),
        ("wss://bot.example.test/ secret", "no spaces"),
        ("wss://bot.example.test/\r\nX: secret", "no spaces"),
        ("wss://b\u00f6t.example.test/secret", "ASCII"),
        ("wss://bot.example.test:99999/secret", "cannot be read"),
        ("wss://[bot/secret", "cannot be read"),
        ("wss://bot.example.test/" + "secret" * 500, "2048"),
    ],
)
def test_these_are_none(url, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        BotConfig(url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": KeyMaterial(b"")},
        {"tls": TlsSettings()},
        {"account_id": "AC7"},
        {"patience": 0.0},
        {"patience": float("nan")},
        {"reconnects": -1},
        {"parameters": {"": "x"}},
        {"parameters": {"a": "b" * 500}},
        {"parameters": {"a": "{password}"}},
        {"parameters": {str(n): "" for n in range(65)}},
    ],
)
def test_what_else_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        BotConfig(url="wss://bot.example.test/", **wrong)


def test_the_rule_is_that_of_the_announcement(tmp_path):
    assert BotConfig(url="wss://h/").rule is TroubleRule.HANG_UP
    assert BotConfig(url="wss://h/", announcement=tmp_path / "a.wav").rule is TroubleRule.ANNOUNCE


def test_the_place_for_logs_has_no_path():
    assert BotConfig(url="wss://h:8443/secret?key=secret").place == "wss://h:8443"


def test_no_secret_is_in_a_repr():
    secret = "top-secret"
    config = BotConfig(
        url=f"wss://h/{secret}?key={secret}",
        token=KeyMaterial(secret.encode()),
        parameters={"key": secret},
    )
    assert secret not in repr(config)


def test_facts_of_a_call_fill_the_parameters_once_and_are_cut():
    given = {"from": "{to}" + "x" * 1000, "to": "600"}
    filled = fill_parameters({"who": "<{from}>", "to": "{to}-{to}", "none": "{assurance}"}, given)
    assert filled["who"].startswith("<{to}xxx")
    assert len("who") + len(filled["who"]) == 500
    assert filled["to"] == "600-600"
    assert filled["none"] == ""
