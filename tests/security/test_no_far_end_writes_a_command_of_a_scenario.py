"""With --allow-exec, what a far end writes reaches a command as a value and never as a command."""

from __future__ import annotations

import os
import subprocess

import pytest

from softphone.load.sipp.template import fill_command, parse_template

EVIL = "$(touch owned) `touch owned` ' ; touch owned ; \" && touch owned # \n touch owned \\"


def run(text, folder, value=EVIL):
    """Run a command line of a scenario whose `[$v]` the far end has written; gives its output."""
    command, variables = fill_command(
        parse_template(text, ("mine",)), lambda each: "*.txt" if each.name == "key" else value
    )
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        check=False,
    )
    return done.stdout.decode()


@pytest.mark.parametrize(
    "text",
    [
        "printf %s [$v]",
        'printf %s "[$v]"',
        "printf %s '[$v]'",
        "printf '%s' x[$v]y",
        'printf "%s" "it\'s [$v]"',
        'printf %s \\"[$v]\\"',
        'printf %s a\\\\"[$v]"',
    ],
)
def test_a_value_is_one_argument_whatever_it_holds(tmp_path, text):
    assert EVIL in run(text, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "text",
    [
        'echo "$(echo [$v])"',
        'echo "$(echo "[$v]")"',
        "echo `echo [$v]`",
        "cat <<END\n[$v]\nEND",
        "true # it's \n echo [$v]",
        "\\[$v]",
        "[$v]",
        "echo [last_From:]; echo [next_url] [call_id] [routes]",
    ],
)
def test_no_place_of_a_value_makes_a_command_of_it(tmp_path, text):
    run(text, tmp_path)
    assert os.listdir(tmp_path) == []


def test_values_of_the_user_are_text_of_the_command(tmp_path):
    (tmp_path / "a.txt").touch()
    assert run("echo [mine]", tmp_path) == "a.txt\n"


def test_a_value_with_a_nul_is_shortened_by_it(tmp_path):
    assert run("printf %s [$v]", tmp_path, "a\0b") == "ab"
