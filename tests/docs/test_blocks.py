"""Every code block of the README and the docs is run or read, by the word after its backticks.

`python`  is run (`await` at the top level is allowed);
`sh`      is run by bash with `-euo pipefail`;
`toml`    is loaded as an account file that lies in the lab's folder, or one of chat alone;
`json`    is parsed, one object a line or in all;
`shell`   is only shown; each `make TARGET` in it must be a target of the Makefile;
`yaml`    is parsed; `test_ci_templates.py` looks at what those of CI run;
`ini`     is a peer's configuration: a test in `tests/peers` runs it;
`text`    is output or a drawing, and is not looked at;
`diff`    is a change of this project's own code: `test_changes.py` makes it.

A block runs in a folder where `softphone lab --dir lab --json` has been started before, so that
`lab/alice.toml` and the other account files are there.  A block that cannot run here stands below a
line `<!-- not run: REASON -->`; how many of them there may be is a number in this file.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from softphone.config import load_account
from softphone.config.messaging_file import load_messaging
from tests.support import programs
from tests.support.forked_command import running

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
KINDS = {"python", "sh", "toml", "json", "shell", "text", "ini", "diff", "yaml"}
NOT_RUN_AT_MOST = 4
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<kind>[^\n]*)\n(?P<source>.*?)^```$",
    re.M | re.S,
)
TIMEOUT = 90.0


def blocks_of(page: Path) -> list[re.Match[str]]:
    """The blocks of a page, but for those that are Sphinx's own, as `{toctree}` is."""
    return [each for each in BLOCK.finditer(page.read_text()) if not each["kind"].startswith("{")]


def blocks(kind: str) -> list[object]:
    """The blocks of a kind that are run, each named by its page and line."""
    return [
        pytest.param(
            found["source"],
            id=f"{page.relative_to(PROJECT)}:{found.string.count(chr(10), 0, found.start()) + 1}",
        )
        for page in PAGES
        for found in blocks_of(page)
        if found["kind"].strip() == kind and not found["reason"]
    ]


def environment() -> dict[str, str]:
    tools = str(Path(sys.executable).parent)
    return os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """Takes back what a block says of logging: later tests would keep every record."""
    known = [logging.getLogger(), logging.getLogger("softphone")]
    known += [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    before = [(each, each.level, list(each.handlers)) for each in known]
    yield
    for name in logging.root.manager.loggerDict:
        if name.startswith("softphone"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    for each, level, handlers in before:
        each.setLevel(level)
        each.handlers[:] = handlers


LAB = ("lab", "--dir", "lab", "--json")


@pytest.fixture
def beside_a_lab(tmp_path, monkeypatch):
    """The working folder of a block: `lab/` is a running lab's."""
    with running(tmp_path, *LAB):
        monkeypatch.chdir(tmp_path)
        yield tmp_path


@pytest.fixture(scope="session")
def files_of_a_lab(tmp_path_factory):
    """What a lab has written, while it ran."""
    folder = tmp_path_factory.mktemp("files")
    with running(folder, *LAB):
        shutil.copytree(folder / "lab", folder / "kept")
    return folder / "kept"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_block_says_what_it_is(page):
    assert {found["kind"].strip() for found in blocks_of(page)} <= KINDS


def test_few_blocks_are_not_run():
    reasons = [found["reason"] for page in PAGES for found in blocks_of(page) if found["reason"]]
    assert len(reasons) <= NOT_RUN_AT_MOST, reasons


@pytest.mark.parametrize("source", blocks("python"))
async def test_a_python_block_runs(source, beside_a_lab):
    if "asyncio.run(" in source:  # a whole program
        (beside_a_lab / "program.py").write_text(source)
        await asyncio.to_thread(run_program, [sys.executable, "program.py"])
        return
    code = compile(source, "a page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(code, {"__name__": "__main__"})
    if inspect.iscoroutine(outcome):
        await asyncio.wait_for(outcome, TIMEOUT)


def run_program(command: list[str]) -> None:
    """Run to the end; anything but success fails the test with what was printed."""
    ended = subprocess.run(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("source", blocks("sh"))
def test_a_sh_block_runs(source, beside_a_lab):
    programs.need_those_of(source)
    run_program(["bash", "-euo", "pipefail", "-c", source])


@pytest.mark.parametrize("source", blocks("toml"))
def test_a_toml_block_is_an_account_file(source, files_of_a_lab, tmp_path):
    lab = shutil.copytree(files_of_a_lab, tmp_path / "lab")
    for name in re.findall(r'"(\w+\.secret)"', source):
        secret = lab / name
        secret.touch(mode=0o600)
        if secret.stat().st_size == 0:  # the lab has written the passwords of its own users
            secret.write_text("a password\n")
    for name in re.findall(r'"([\w-]+\.pem)"', source):
        shutil.copyfile(lab / "ca.crt", lab / name)
    path = lab / "of_a_page.toml"
    path.write_text(source)
    if source.startswith("[im]"):  # a chat without a telephone
        assert load_messaging(path).config.jid
    else:
        assert load_account(path).config.aor_uri.user


@pytest.mark.parametrize("source", blocks("json"))
def test_a_json_block_is_json(source):
    try:
        assert json.loads(source)
    except json.JSONDecodeError:
        assert all(json.loads(line) for line in source.splitlines())


@pytest.mark.parametrize("source", blocks("yaml"))
def test_a_yaml_block_is_yaml(source):
    assert isinstance(yaml.safe_load(source), dict)


@pytest.mark.parametrize("source", blocks("shell"))
def test_a_shown_block_names_targets_that_exist(source):
    makefile = (PROJECT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z]+)", source):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_results_that_are_named_are_there():
    named = {
        name for page in PAGES for name in re.findall(r"`bench/results/([\w.]+)`", page.read_text())
    }
    assert "conversion.json" in named
    results = PROJECT / "bench" / "results"
    assert sorted(name for name in named if not (results / name).is_file()) == []


def test_how_clean_a_conversion_is_is_what_was_measured():
    record = json.loads((PROJECT / "bench" / "results" / "conversion.json").read_text())
    page = PROJECT / "docs" / "guides" / "call-agents.md"
    assert f"at least {record['worst']} dB above what is wrong" in page.read_text()
