"""Every code block of the README is run or read, by the word after its three backticks.

`python`  is run (`await` at the top level is allowed);
`sh`      is run by bash with `-euo pipefail`;
`toml`    is loaded as an account file that lies in the lab's folder;
`json`    is parsed, one object a line or in all;
`shell`   is only shown; each `make TARGET` in it must be a target of the Makefile;
`text`    is output or a drawing, and is not looked at.

A block runs in a folder where `softphone lab --dir lab --json` has been started before, so that
`lab/alice.toml` and the other account files are there.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from softphone.config import load_account

PROJECT = Path(__file__).resolve().parent.parent
KINDS = {"python", "sh", "toml", "json", "shell", "text"}
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
TIMEOUT = 50.0


def blocks(kind: str | None = None) -> list[object]:
    """The blocks of a kind, each named by its line in the README."""
    readme = (PROJECT / "README.md").read_text()
    return [
        pytest.param(found[2], id=f"line_{readme.count(chr(10), 0, found.start()) + 1}")
        for found in BLOCK.finditer(readme)
        if kind is None or found[1].strip() == kind
    ]


def environment() -> dict[str, str]:
    tools = str(Path(sys.executable).parent)
    return os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def beside_a_lab(tmp_path, monkeypatch):
    """The working folder of a block: `lab/` is a running lab's."""
    command = [sys.executable, "-m", "softphone", "lab", "--dir", "lab", "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as lab:
        assert lab.stdout is not None
        assert lab.stderr is not None
        if not lab.stdout.readline():
            pytest.fail(f"the lab did not start: {lab.stderr.read()}")
        monkeypatch.chdir(tmp_path)
        yield tmp_path
        lab.send_signal(signal.SIGINT)
        lab.communicate(timeout=10)


def test_every_block_says_what_it_is():
    readme = (PROJECT / "README.md").read_text()
    told = [found[1].strip() for found in BLOCK.finditer(readme)]
    assert told, "README.md has no code block"
    assert set(told) <= KINDS


@pytest.mark.parametrize("source", blocks("python"))
async def test_a_python_block_runs(source, beside_a_lab):
    code = compile(source, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(code, {"__name__": "__main__"})
    if inspect.iscoroutine(outcome):
        await asyncio.wait_for(outcome, TIMEOUT)


@pytest.mark.parametrize("source", blocks("sh"))
def test_a_sh_block_runs(source, beside_a_lab):
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", source],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("source", blocks("toml"))
def test_a_toml_block_is_an_account_file(source, beside_a_lab):
    secret = beside_a_lab / "lab" / "alice.secret"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text("a password\n")
    path = beside_a_lab / "lab" / "of_the_readme.toml"
    path.write_text(source)
    assert load_account(path).config.aor_uri.user


@pytest.mark.parametrize("source", blocks("json"))
def test_a_json_block_is_json(source):
    try:
        assert json.loads(source)
    except json.JSONDecodeError:
        assert all(json.loads(line) for line in source.splitlines())


@pytest.mark.parametrize("source", blocks("shell"))
def test_a_shown_block_names_targets_that_exist(source):
    makefile = (PROJECT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z]+)", source):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_results_that_are_named_are_there():
    named = re.findall(r"`bench/results/([\w.]+)`", (PROJECT / "README.md").read_text())
    assert "conversion.json" in named
    assert [name for name in named if not (PROJECT / "bench" / "results" / name).is_file()] == []


def test_how_clean_a_conversion_is_is_what_was_measured():
    record = json.loads((PROJECT / "bench" / "results" / "conversion.json").read_text())
    assert (
        f"at least {record['worst']} dB above what is wrong" in (PROJECT / "README.md").read_text()
    )
