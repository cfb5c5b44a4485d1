"""Completion in real shells: bash, and in CI zsh and fish, too."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from typer import _completion_shared

from softphone.cli import commands
from tests.support import programs

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
    # What zsh would ask its own functions for, at the first Tab.
    "zsh": """
_arguments() { print -r -- "$@" }
fpath=(${SCRIPT:h})
autoload -Uz _softphone
words=(${=WORDS}) CURRENT=${#words}
_softphone
""",
}
OFFERED = {"bash": r"(\S+)", "fish": r"^(\S+)", "zsh": r'"([^"]+)":'}
"""How the words stand in what each prints; the sentences beside them are no words."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment in which `softphone` is this one, and no start-up file is read.

    `FILES/SHELL/_softphone` is the script of each shell.
    """
    folder = tmp_path_factory.mktemp("completion")
    program = folder / "softphone"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m softphone "$@"\n')
    program.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    made = os.environ | {"PATH": path, "HOME": str(folder), "FILES": str(folder)}
    naming = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # the shell is named, then
    for shell in ASKED:
        (folder / shell).mkdir()
        with (folder / shell / "_softphone").open("w") as file:
            command = ["softphone", "--show-completion", shell]
            subprocess.run(command, stdout=file, env=made | naming, check=True)
    return made


def run(shell, script, environment, words=""):
    """What a shell prints that runs a script."""
    asked = {"SCRIPT": f"{environment['FILES']}/{shell}/_softphone", "WORDS": words}
    command = [shell, "-c", script]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment | asked, check=True
    ).stdout


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("softphone tru", {"trust"}),
        ("softphone trust ver", {"verify"}),  # its sentence has an apostrophe and a colon
        ("softphone call --rec", {"--record", "--record-both", "--record-video"}),
    ],
)
@pytest.mark.parametrize("shell", ASKED)
def test_a_shell_completes_commands_and_options(environment, shell, words, found):
    if shell != "bash":
        programs.need(shell)
    printed = run(shell, ASKED[shell], environment, words)
    offered = re.findall(OFFERED[shell], printed, re.M)
    assert found == {word for word in offered if word.startswith(words.split()[-1])}, printed


def test_zsh_completes_at_each_tab_and_takes_a_sourced_script(environment):
    """Typer's own script only names its function at the first Tab."""
    programs.need("zsh")
    script = """
compdef() { print sourced by $1 }
_softphone_completion() { print nothing }
autoload -Uz _softphone
fpath=(${SCRIPT:h})
eval() { print completed }  # in the place of asking softphone
_softphone
_softphone
source $SCRIPT
"""
    printed = run("zsh", script, environment)
    assert printed == "completed\ncompleted\nsourced by _softphone_completion\n"


def test_without_the_table_of_scripts_that_we_know_typers_own_is_used(monkeypatch):
    monkeypatch.delattr(_completion_shared, "_completion_scripts")
    commands.use_own_zsh_script()
    monkeypatch.setattr(_completion_shared, "_completion_scripts", {}, raising=False)
    commands.use_own_zsh_script()
    assert _completion_shared._completion_scripts == {}
