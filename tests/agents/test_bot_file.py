"""Several bots in a file: what it may say of each, and errors that name the line."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.agents import SoundCoding, StreamDialect, load_bots
from softphone.errors import ConfigurationError
from softphone.trust import Service
from tests.support.certificates import alice, authority

URL = 'url = "wss://bot.example.test/a"\n'


def written(tmp_path, text):
    path = tmp_path / "bots.toml"
    path.write_text(text)
    return path


def test_a_bot_has_all_of_its_own(tmp_path):
    credential = alice().write(tmp_path, "client")
    (tmp_path / "ca.pem").write_bytes(authority().certificate.public_bytes(Encoding.PEM))
    token = tmp_path / "bot.token"
    token.write_text("the token of the second\n")
    token.chmod(0o644)
    (tmp_path / "sorry.wav").touch()
    found = load_bots(
        written(
            tmp_path,
            f"""
[[bot]]
{URL}
[[bot]]
url = "wss://other.example.test/b"
dialect = "asterisk"
coding = "pcm"
sample_rate = 8000
token_file = "bot.token"
patience = 3
reconnects = 2
announcement = "sorry.wav"
[bot.parameters]
who = "{{from}}"
[bot.tls]
ca = "ca.pem"
certificate = "{credential.certificate}"
key = "{credential.key}"
""",
        )
    )
    first, second = found.bots
    assert (first.url, first.dialect) == ("wss://bot.example.test/a", StreamDialect.TWILIO)
    assert (first.token, first.tls.credential, first.parameters) == (None, None, {})
    assert first.tls.service is second.tls.service is Service.HTTPS
    assert first.tls.store != second.tls.store
    assert (second.dialect, second.sound.coding) == (StreamDialect.ASTERISK, SoundCoding.PCM)
    assert second.token.reveal() == b"the token of the second"
    assert second.tls.credential.certificate == credential.certificate
    assert (second.patience, second.reconnects, second.sample_rate) == (3.0, 2, 8000)
    assert second.parameters == {"who": "{from}"}
    assert second.announcement == tmp_path / "sorry.wav"
    assert any("bot.token" in each for each in found.warnings)
    assert "the token" not in repr(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"no table \[\[bot\]\]"),
        ("bot = 1", "expected a table"),
        (f"[[bot]]\n{URL}[[bots]]\n", "did you mean 'bot'"),
        ("[[bot]]\n", r"bots\.toml:1: bot\[0\]: url is missing"),
        (f'[[bot]]\n{URL}token = "x"\n', "3: .*there is no such key"),
        (f'[[bot]]\n{URL}account_id = "AC"\n', "no such key"),
        (f'[[bot]]\n{URL}dialect = "plivo"\n', "3: .*known are twilio"),
        (f"[[bot]]\n{URL}sample_rate = 16000\n", "pcmu at 8000 Hz only"),
        ('[[bot]]\nurl = "ws://192.0.2.1/secret"\n', r"bots\.toml:.*loopback"),
        (f'[[bot]]\n{URL}token_file = "absent"\n', "there is no "),
        (f'[[bot]]\n{URL}announcement = "absent.wav"\n', "there is no "),
        (f"[[bot]]\n{URL}[bot.parameters]\na = 1\n", "expected a text"),
        (f'[[bot]]\n{URL}[bot.parameters]\na = "{{password}}"\n', "stands for nothing"),
        (f'[[bot]]\n{URL}[bot.tls]\nserver_name = "x"\n', "no such key"),
        (f'[[bot]]\n{URL}[bot.tls]\nca = "absent.pem"\n', "there is no "),
    ],
)
def test_errors_name_file_and_line(tmp_path, text, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_bots(written(tmp_path, text))
    assert "secret" not in str(caught.value)
