"""The table [dscp] of the account file."""

from __future__ import annotations

import pytest

from softphone.config import AccountConfig, DscpConfig, load_account
from softphone.config.dscp import code_point
from softphone.errors import ConfigurationError


@pytest.mark.parametrize(
    ("mark", "number"),
    [
        ("EF", 46),
        ("ef", 46),
        ("AF41", 34),
        ("AF13", 14),
        ("CS3", 24),
        ("CS0", 0),
        ("LE", 1),
        ("VOICE-ADMIT", 44),
        ("0", 0),
        ("63", 63),
    ],
)
def test_a_mark_is_a_name_or_a_number(mark, number):
    assert code_point(mark) == number


@pytest.mark.parametrize("mark", ["", "64", "184", "-1", "AF51", "CS8", "x" * 99, "\u0664"])
def test_another_is_refused_where_it_stands(mark):
    with pytest.raises(ConfigurationError, match=r"dscp\.video: .* no code point"):
        DscpConfig(video=mark)


def test_a_number_that_is_no_text_is_told_with_an_example():
    with pytest.raises(ConfigurationError, match=r'dscp\.audio: .*audio="EF"'):
        DscpConfig(audio=46)


def test_an_account_marks_as_a_phone_of_ciscos_does():
    config = AccountConfig("sip:alice@127.0.0.1", listen="udp:127.0.0.1:0")
    assert config.dscp.media_code_points == (46, 34)
    assert config.dscp.signaling_code_point == 24


def test_the_file_has_a_table_for_them(tmp_path):
    path = tmp_path / "account.toml"
    path.write_text(
        'aor = "sip:alice@127.0.0.1"\nlisten = "udp:127.0.0.1:0"\n[dscp]\naudio = "0"\n'
    )
    assert load_account(path).config.dscp == DscpConfig(audio="0")
    path.write_text(path.read_text().replace('"0"\n', '"0"\nsignaling = "loud"\n'))
    with pytest.raises(ConfigurationError, match="signaling"):
        load_account(path)
