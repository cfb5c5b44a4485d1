"""Completion in real shells: bash always, zsh and fish where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

ASKED = {
    "bash": """
source "$SCRIPT"
COMP_WORDS=($WORDS) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_softphone_completion softphone
printf '%s\\n' "${COMPREPLY[@]}"
""",
    "fish": """
source $SCRIPT
complete -C "$WORDS"
""",
    # What zsh would ask its own functions for.
    "zsh": """
compdef() { }
_arguments() { print -r -- "$@" }
source $SCRIPT
words=(${=WORDS}) CURRENT=${#words}
_softphone_completion
""",
}


@pytest.fixture
def environment(tmp_path):
    """An environment in which `softphone` is this one, and no start-up file is read."""
    program = tmp_path / "softphone"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m softphone "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("softphone tru", {"trust"}),
        ("softphone trust ver", {"verify"}),
        ("softphone call --rec", {"--record", "--record-both", "--record-video"}),
    ],
)
@pytest.mark.parametrize("shell", ASKED)
def test_a_shell_completes_commands_and_options(environment, tmp_path, shell, words, found):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "completion"
    naming = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # the shell is named, then
    with script.open("w") as file:
        subprocess.run(
            ["softphone", "--show-completion", shell],
            stdout=file,
            env=environment | naming,
            check=True,
        )
    asked = {"SCRIPT": str(script), "WORDS": words}
    ended = subprocess.run(
        [shell, "-c", ASKED[shell]],
        capture_output=True,
        text=True,
        env=environment | asked,
        check=True,
    )
    offered = ended.stdout.replace('"', " ").replace("(", " ").split()
    assert found == {word for word in offered if word.startswith(words.split()[-1])}, ended.stdout
