"""Which service is reached, with what key, and where that key may go."""

from __future__ import annotations

import pytest

from softphone.agents import SoundCoding
from softphone.agents.realtime import RealtimeConfig, RealtimeService
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust import TlsSettings

KEY = "sk-of-the-tests-7f3a91"


def config(**given):
    given = {"service": RealtimeService.OPENAI, "key": KeyMaterial(KEY.encode()), **given}
    return RealtimeConfig(**given)


def test_the_usual_address():
    made = config()
    assert made.address == "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1"
    assert made.place == "wss://api.openai.com"
    assert made.headers() == {"Authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"model": "a b&c"}, "wss://api.openai.com/v1/realtime?model=a%20b%26c"),
        (
            {"url": "wss://api.openai.com/v2?x=1", "model": "m"},
            "wss://api.openai.com/v2?x=1&model=m",
        ),
        ({"url": "wss://API.openai.com./v1?model=own"}, "wss://API.openai.com./v1?model=own"),
        (
            {"url": "wss://eu.example.test/v1", "hosts": ("EU.example.test.",), "model": "m"},
            "wss://eu.example.test/v1?model=m",
        ),
        ({"url": "ws://127.0.0.1:8765/", "model": "m"}, "ws://127.0.0.1:8765/?model=m"),
    ],
)
def test_other_addresses(given, address):
    assert config(**given).address == address


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "wss://api.openai.com.evil.test/"}, "neither api.openai.com nor"),
        ({"url": "wss://eu.example.test/", "hosts": ("example.test",)}, "is not sent there"),
        ({"url": "ws://api.openai.com/"}, "loopback"),
        ({"url": "wss://user@api.openai.com/"}, "neither a user"),
        ({"url": "https://api.openai.com/"}, "wss://HOST"),
        ({"key": KeyMaterial(b"")}, "one line"),
        ({"key": KeyMaterial(b"a\nb")}, "one line"),
        ({"key": KeyMaterial(b"\xff")}, "one line"),
        ({"tls": TlsSettings()}, "HTTPS"),
        ({"instructions": "x" * 100_001}, "100,000"),
        ({"patience": 0.0}, "0.1 to 60"),
    ],
)
def test_what_is_refused(given, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        config(**given)
    assert KEY not in str(caught.value)


def test_the_key_and_what_is_said_are_not_shown():
    made = config(instructions="a secret plan", greeting="hello you", url="wss://api.openai.com/t0")
    text = repr(made)
    for secret in (KEY, "secret plan", "hello you", "t0"):
        assert secret not in text


def test_words_of_a_service_are_shown_without_the_key():
    said = f"Incorrect API key: {KEY}\x1b[31m\n" + "x" * 500
    shown = config().shown(said)
    assert shown.startswith("Incorrect API key: ...")
    assert len(shown) == 200
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("codec", "coding"),
    [
        ("PCMU", SoundCoding.PCMU),
        ("PCMA", SoundCoding.PCMA),
        ("G722", SoundCoding.PCM),
        ("L16/16000", SoundCoding.PCM),
        ("", SoundCoding.PCM),
    ],
)
def test_the_coding_follows_the_codec(codec, coding):
    assert config().make_dialect(codec).coding is coding
    assert config(coding=SoundCoding.PCM).make_dialect(codec).coding is SoundCoding.PCM


def test_the_other_services():
    gemini = config(service=RealtimeService.GEMINI, model="m")
    assert gemini.address.startswith("wss://generativelanguage.googleapis.com/ws/google.ai.")
    assert gemini.headers() == {"x-goog-api-key": KEY}
    assert gemini.make_dialect("PCMU").coding is SoundCoding.PCM
    deepgram = config(service=RealtimeService.DEEPGRAM)
    assert deepgram.address == "wss://agent.deepgram.com/v1/agent/converse"
    assert deepgram.headers() == {"Authorization": f"Token {KEY}"}
    assert deepgram.make_dialect("PCMA").coding is SoundCoding.PCMA


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"service": RealtimeService.GEMINI}, "no usual model"),
        (
            {"service": RealtimeService.GEMINI, "model": "m", "coding": SoundCoding.PCMU},
            "takes pcm",
        ),
        ({"service": RealtimeService.DEEPGRAM, "model": "gpt-4.1"}, "PROVIDER/NAME"),
        ({"service": RealtimeService.DEEPGRAM, "url": "wss://api.openai.com/"}, "agent.deepgram"),
    ],
)
def test_what_other_services_refuse(given, words):
    with pytest.raises(ConfigurationError, match=words):
        config(**given)
