"""Scripts: what is read, and what is said of what is wrong: file, line and key."""

from __future__ import annotations

import wave

import pytest

from softphone.bot_test import CallerScript, CallerStep, EndedBySide, read_script
from softphone.errors import ConfigurationError


@pytest.fixture
def script(tmp_path):
    with wave.open(str(tmp_path / "hello.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\1\1" * 800)

    def write(text):
        path = tmp_path / "order.toml"
        path.write_text(text)
        return read_script(path)

    return write


def test_a_script_is_read_with_its_steps(script, tmp_path):
    found = script(
        'codec = "PCMA"\nloss = 1\nnoise = -45\npause = 1.0\nend = "bot"\n'
        "[[step]]\nlisten = 10\nwords = 'hello'\n"
        "[[step]]\nsay = 'hello.wav'\nbarge_in = 0.5\nwithin = 3\n"
        "[[step]]\ntext = 'two'\n[[step]]\ndigits = '1,2#'\n"
        "[[step]]\nexpect_digits = '*5'\n[[step]]\nwait = 0.5\n"
    )
    assert (found.name, found.codec, found.loss, found.noise) == ("order", "PCMA", 1.0, -45.0)
    assert (found.end, found.pause) == (EndedBySide.BOT, 1.0)
    actions = [step.action for step in found.steps]
    assert actions == ["listen", "say", "text", "digits", "expect_digits", "wait"]
    assert found.steps[1].say == tmp_path / "hello.wav"
    assert (found.steps[1].patience, found.steps[4].patience) == (3.0, 10.0)
    assert (found.texts, found.transcribed) == (("two",), True)


STEP = "[[step]]\nlisten = 1\n"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", ":1: step", "1 to 1000 of [[step]], not 0"),
        ("step = 3", ":1: step", "expected a table"),
        ("codecs = 'PCMA'\n" + STEP, ":1: codecs", "did you mean 'codec'?"),
        ("codec = 'MP3'\n" + STEP, ":1: codec", "MP3"),
        ("loss = 100\n" + STEP, ":1: loss", "percentage"),
        ("loss = '1'\n" + STEP, ":1: loss", "expected a number"),
        ("noise = 3\n" + STEP, ":1: noise", "dBm0"),
        ("pause = 0.1\n" + STEP, ":1: pause", "0.3 to 10"),
        ("end_within = 0\n" + STEP, ":1: end_within", "seconds"),
        ("end = 'both'\n" + STEP, ":1: end", "known are caller, bot"),
        (STEP + "[[step]]\nsays = 'x'", ":4: step[1].says", "did you mean 'say'?"),
        (STEP + "[[step]]\nsay = 'no.wav'", ":4: step[1].say", "there is no"),
        (STEP + "[[step]]\nwait = 1\ndigits = '1'", ":5: digits", "one of say, text"),
        (STEP + "[[step]]\nwords = 'x'", ":3: step", "one of say, text"),
        (STEP + "[[step]]\nwait = 1\nwords = 'x'", ":5: words", "belongs to listen"),
        (STEP + "[[step]]\nlisten = 1\nbarge_in = 1", ":5: barge_in", "belongs to say"),
        (STEP + "[[step]]\ntext = 'x'\nwithin = 1", ":5: within", "barge_in or expect_digits"),
        (STEP + "[[step]]\nwait = 0", ":4: wait", "up to 600"),
        (STEP + "[[step]]\ndigits = '1x'", ":4: digits", "x"),
        (STEP + "[[step]]\nexpect_digits = '1,'", ":4: expect_digits", ","),
    ],
)
def test_an_error_names_file_line_and_key(script, text, place, said):
    with pytest.raises(ConfigurationError) as error:
        script(text)
    assert f"order.toml{place}" in str(error.value)
    assert said in str(error.value)


def test_no_script_and_no_toml_are_said(tmp_path):
    with pytest.raises(ConfigurationError, match="no such script"):
        read_script(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[[step")
    with pytest.raises(ConfigurationError, match="this is no TOML"):
        read_script(tmp_path / "bad.toml")


def test_a_program_makes_scripts_too():
    with pytest.raises(ConfigurationError, match="not 1001"):
        CallerScript(name="long", steps=(CallerStep(wait=1.0),) * 1001)
