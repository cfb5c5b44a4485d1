"""Injection files: SEQUENTIAL, RANDOM, USER, and lines made of a few."""

from __future__ import annotations

import random

import pytest

from softphone.errors import ConfigurationError
from softphone.load.sipp import read_injection


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "users.csv"
        path.write_bytes(text.encode())
        return path

    return write


def test_lines_are_taken_in_turn_and_begin_again(written):
    file = read_injection(written("SEQUENTIAL\n# a comment\na;1\n\nb;2\n"))
    chance = random.Random(1)
    lines = [file.line_of_call(number, chance) for number in range(5)]
    assert [file.field_text(line, 0) for line in lines] == ["a", "b", "a", "b", "a"]
    assert [file.field_text(line, 1) for line in lines][:2] == ["1", "2"]
    assert file.field_text(0, 7) == ""


def test_random_lines_come_from_the_seed(written):
    file = read_injection(written("RANDOM\n" + "".join(f"u{n}\n" for n in range(50))))
    drawn = [[file.line_of_call(n, random.Random(f"7 {n}")) for n in range(20)] for _ in "ab"]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 5


def test_line_ends_of_windows_are_none_of_a_field(written):
    file = read_injection(written("USERS\r\nalice;secret\r\n"))
    assert (file.order, file.field_text(0, 1)) == ("USER", "secret")


def test_printf_makes_lines_of_a_few(written):
    file = read_injection(
        written("SEQUENTIAL,PRINTF=4,PRINTFMULTIPLE=2,PRINTFOFFSET=10\nu%03d;%d%%\nv%d;x\n")
    )
    assert len(file) == 4
    assert [file.field_text(line, 0) for line in range(4)] == ["u010", "v12", "u014", "v16"]
    assert file.field_text(0, 1) == "10%"
    assert file.index(0)["v16"] == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("alice;x\n", ":1: expected SEQUENTIAL"),
        ("SEQUENTIAL\n# none\n", "no line below"),
        ("SEQUENTIAL,PRINTF=x\na\n", "'PRINTF=x' is not supported"),
        ("SEQUENTIAL,PRINTF=0\na\n", "PRINTF: expected 1"),
        (f"SEQUENTIAL,PRINTF={'9' * 5000}\na\n", "is not supported"),
        ("SEQUENTIAL,ELSE=1\na\n", "'ELSE=1' is not supported"),
    ],
)
def test_what_is_wrong_is_told_with_its_file(written, text, told):
    path = written(text)
    with pytest.raises(ConfigurationError, match=told) as refused:
        read_injection(path)
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"none\.csv: No such file"):
        read_injection(tmp_path / "none.csv")
