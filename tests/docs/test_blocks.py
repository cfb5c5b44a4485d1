"""Every code block of the README and the docs is run or read, by the word after its backticks.

`python`  is run (`await` at the top level is allowed);
`sh`      is run by bash with `-euo pipefail`;
`text`    is what the block before it has just printed, line by line, but for what `VARIES`;
`toml`    is loaded as an account file that lies in the lab's folder, or as the file of directories,
          voicemail or chat that its first table makes it;
`json`    is parsed, one object a line or in all;
`csv`     is read as users of a load run;
`yaml`    is parsed; `test_ci_templates.py` looks at what those of CI run;
`ini`     is a peer's configuration, which a test in `tests/peers` runs;
`diff`    is a change of this project's own code: `test_changes.py` makes it;
`shell`   is never run, and always marked: its `softphone` commands are parsed with all options, and
          each `make TARGET` in it must be a target of the Makefile;
`{...}`   is Sphinx's, which builds it without a warning (`test_site.py`); what is included from a
          file is a program or a configuration that a test names.

A block runs in a folder, which is its home, too, where `softphone lab --dir lab --json` has been
started before, so that `lab/alice.toml` and the other account files are there.  A block that
cannot run here stands below a line `<!-- not run: REASON -->`; how many of them there may be is a
number in this file, and a test that a reason names must be there.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import yaml

from softphone.bot_test import parse_bot_expectation
from softphone.cli import commands
from softphone.cli.console import options
from softphone.cli.fips import options as fips_options
from softphone.config import load_account
from softphone.config.directory_file import load_directories
from softphone.config.messaging_file import load_messaging
from softphone.config.voicemail_file import load_voicemail
from softphone.load.plan.users import read_users
from tests.support import programs
from tests.support.forked_command import folder_of_program, running

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
RUN = ("python", "sh")
KINDS = {*RUN, "toml", "json", "shell", "text", "ini", "diff", "yaml", "csv"}
OF_SPHINX = {"{toctree}", "{eval-rst}", "{literalinclude}"}
NOT_RUN_AT_MOST = 20
VARIES = re.compile(r"(?<=\bport )\d+")
"""What one run prints otherwise than the next."""
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<kind>[^\n]*)\n(?P<source>.*?)^```$",
    re.M | re.S,
)
TIMEOUT = 90.0
BUSY = "something else had the processor"
"""What a measurement says that has no result for this reason."""
PASSWORDS = {"UDS_PASSWORD": "a password"}
"""What the files of pages take from the environment."""


def blocks_of(page: Path) -> list[re.Match[str]]:
    """The blocks of a page, but for those that are Sphinx's own, as `{toctree}` is."""
    return [each for each in BLOCK.finditer(page.read_text()) if not each["kind"].startswith("{")]


def place(page: Path, found: re.Match[str]) -> str:
    """Where a block begins, as page and line."""
    return f"{page.relative_to(PROJECT)}:{found.string.count(chr(10), 0, found.start()) + 1}"


def blocks(kind: str, *, marked: bool = False) -> list[object]:
    """The blocks of a kind that are run, or those that are `marked`, named by page and line."""
    return [
        pytest.param(found["source"], id=place(page, found))
        for page in PAGES
        for found in blocks_of(page)
        if found["kind"].strip() == kind and bool(found["reason"]) == marked
    ]


def blocks_and_output(kind: str) -> list[object]:
    """The blocks of a kind that are run, each with the text that stands for what it prints.

    With `SOFTPHONE_PAGES` in the environment they are those of the pages that it names.
    """
    pairs = []
    chosen = os.environ.get("SOFTPHONE_PAGES")
    for page in PAGES:
        if chosen is not None and str(page.relative_to(PROJECT)) not in chosen.split():
            continue
        here = blocks_of(page)
        for found, after in zip_longest(here, here[1:]):
            if found["kind"].strip() == kind and not found["reason"]:
                shown = after["source"] if after is not None and is_output(after) else ""
                pairs.append(pytest.param(found["source"], shown, id=place(page, found)))
    return pairs


def is_output(found: re.Match[str]) -> bool:
    return found["kind"].strip() == "text" and not found["reason"]


def without_what_varies(text: str) -> str:
    return " ".join(VARIES.sub("#", text).split())


def check_output(printed: str, shown: str) -> None:
    """Find each line of a `text` block in what was printed, one after the other."""
    rest = without_what_varies(printed)
    for line in shown.splitlines():
        _, found, rest = rest.partition(without_what_varies(line))
        assert found, f"{line!r} is not in {printed}"


def environment() -> dict[str, str]:
    places = (folder_of_program(), str(Path(sys.executable).parent), os.environ["PATH"])
    return os.environ | {"PATH": os.pathsep.join(places)}


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
    text = page.read_text()
    kinds = [found["kind"].strip() for found in BLOCK.finditer(text)]
    assert {kind for kind in kinds if not kind.startswith("{")} <= KINDS
    assert {kind.split()[0] for kind in kinds if kind.startswith("{")} <= OF_SPHINX
    fences = re.findall(r"^[ >]*(?:```|~~~)", text, re.M)
    assert len(fences) == 2 * len(kinds), "a block that these tests do not see"


def test_few_blocks_are_not_run_and_each_says_why():
    marked = [
        (page, found) for page in PAGES for found in blocks_of(page) if found["reason"] is not None
    ]
    assert len(marked) <= NOT_RUN_AT_MOST, [place(*each) for each in marked]
    assert len(re.findall("<!-- not run", "".join(page.read_text() for page in PAGES))) == len(
        marked
    )
    for _, found in marked:
        for named in re.findall(r"tests/[\w/]+(?:\.py)?", found["reason"]):
            assert (PROJECT / named).exists(), named
    shown = {found["kind"].strip() for _, found in marked}
    assert shown <= {"shell", "python", "text"}, "what is only read needs no mark"


def test_every_shown_block_is_marked_and_every_output_has_a_block_that_prints_it():
    unmarked, alone = blocks("shell"), []
    for page in PAGES:
        before = None
        for found in blocks_of(page):
            if is_output(found) and (
                before is None or before["kind"].strip() not in RUN or before["reason"]
            ):
                alone.append(place(page, found))
            before = found
    assert (unmarked, alone) == ([], [])


def test_output_that_is_not_printed_is_told():
    check_output("a port 5\n b\nc", "a port 6\nc\n")
    for shown in ("b a", "c\nb", "a port x"):
        with pytest.raises(AssertionError):
            check_output("a port 5\n b\nc", shown)


def test_what_pages_include_is_run_by_a_test():
    folders = ("tests/examples", "tests/peers", "examples/home_assistant/tests")
    tests = [path for folder in folders for path in (PROJECT / folder).glob("*.py")]
    named = "".join(path.read_text() for path in tests)
    missing = []
    for page in PAGES:
        for name in re.findall(r"^```{literalinclude} (\S+)$", page.read_text(), re.M):
            path = page.parent / name
            if path.parent.name == "freeswitch":  # Debian has none, as the page says
                assert ElementTree.parse(path).getroot().tag
            elif path.name.removesuffix(".py") not in named:
                missing.append(name)
    assert missing == []


@pytest.mark.parametrize(("source", "shown"), blocks_and_output("python"))
async def test_a_python_block_runs(source, shown, beside_a_lab, capsys):
    if "asyncio.run(" in source:  # a whole program
        (beside_a_lab / "program.py").write_text(source)
        printed = await asyncio.to_thread(run_program, [sys.executable, "program.py"])
    else:
        code = compile(source, "a page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        outcome = eval(code, {"__name__": "__main__"})
        if inspect.iscoroutine(outcome):
            await asyncio.wait_for(outcome, TIMEOUT)
        printed = capsys.readouterr().out
    check_output(printed, shown)


def run_program(command: list[str], **variables: str) -> str:
    """Run to the end, and give what was printed; anything but success fails the test with it.

    Again, at most twice, what says of itself that others kept this machine busy.  What it has left
    in the background ends with it: the next program may use the same ports.
    """
    for _ in range(3):
        status, said, errors = run_group(command, environment() | variables)
        if status == 0 or BUSY not in said + errors:
            break
    assert status == 0, said + errors
    return said


def run_group(command: list[str], environ: dict[str, str]) -> tuple[int, str, str]:
    """Run a command to its end, and end what it has started; its status, output and errors."""
    # Files, since what is left in the background would hold a pipe open.
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            status = process.wait(TIMEOUT)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        errors.seek(0)
        return status, output.read(), errors.read()


@pytest.mark.parametrize(("source", "shown"), blocks_and_output("sh"))
def test_a_sh_block_runs(source, shown, beside_a_lab):
    programs.need_those_of(source)
    command = ["bash", "-euo", "pipefail", "-c", source]
    check_output(run_program(command, HOME=str(beside_a_lab)), shown)


@pytest.mark.parametrize("source", blocks("toml"))
def test_a_toml_block_is_an_account_file(source, files_of_a_lab, tmp_path):
    lab = shutil.copytree(files_of_a_lab, tmp_path / "lab")
    for name in re.findall(r'"([\w.]+\.secret)"', source):
        secret = lab / name
        secret.touch(mode=0o600)
        if secret.stat().st_size == 0:  # the lab has written the passwords of its own users
            secret.write_text("a password\n")
    for name in re.findall(r'"([\w-]+\.pem)"', source):
        shutil.copyfile(lab / "ca.crt", lab / name)
    path = lab / "of_a_page.toml"
    path.write_text(source)
    match re.match(r"\[(\w+)", source):
        case None:
            assert load_account(path).config.aor_uri.user
        case table if table[1] == "im":  # a chat without a telephone
            assert load_messaging(path).config.jid
        case table if table[1] == "directory":
            assert load_directories(path, environment=PASSWORDS).directories
        case _:
            assert load_voicemail(path, environment=PASSWORDS).config.user


@pytest.mark.parametrize("source", blocks("json"))
def test_a_json_block_is_json(source):
    try:
        assert json.loads(source)
    except json.JSONDecodeError:
        assert all(json.loads(line) for line in source.splitlines())


@pytest.mark.parametrize("source", blocks("yaml"))
def test_a_yaml_block_is_yaml(source):
    assert isinstance(yaml.safe_load(source), dict)


@pytest.mark.parametrize("source", blocks("csv"))
def test_a_csv_block_has_users_of_a_load_run(source, tmp_path):
    (tmp_path / "secrets").mkdir()
    for named in re.findall(r"\bsecrets/\w+", source):
        (tmp_path / named).touch(mode=0o600)
    path = tmp_path / "users.csv"
    path.write_text(source)
    assert len(read_users(path)) == len(source.splitlines()) - 1


@pytest.mark.parametrize("source", blocks("ini"))
def test_an_ini_block_is_run_by_a_test_with_a_peer(source):
    """By one that names its page and takes the block from there, or in a file of the peer's."""
    pages = {page.name for page in PAGES if source in page.read_text()}
    peers = PROJECT / "tests" / "peers"
    tests = "".join(path.read_text() for path in peers.glob("*.py"))
    own = [path.read_text().splitlines() for path in peers.rglob("*.conf")]
    assert any(name in tests for name in pages) or any(
        set(source.splitlines()) <= set(lines) for lines in own
    )


def commands_in(source: str) -> list[list[str]]:
    """The words after each `softphone` that a shell would run."""
    found = []
    for line in source.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        command: list[str] = []
        for word in [*words, ";"]:
            if set(word) <= set(";&|<>"):
                found += [command[1:]] if command[:1] == ["softphone"] else []
                command = []
            else:
                command.append(word)
    return found


@pytest.fixture
def parsed(monkeypatch):
    """Parses a command line as `softphone` does, and gives its options; nothing is carried out."""
    taken = []

    def filled(kind, values):
        taken.append(values)
        return SimpleNamespace(carry_out=lambda: None)

    monkeypatch.setattr(options, "_filled", filled)
    monkeypatch.setattr(fips_options, "choose_mode", lambda mode: None)  # it would start anew

    def parse(words):
        with pytest.raises(SystemExit) as ended:
            commands.application(words, prog_name="softphone")
        return taken.pop() if ended.value.code == 0 else None

    return parse


SHOWN = blocks("shell", marked=True)


@pytest.mark.parametrize("source", SHOWN)
def test_a_block_that_is_only_shown_has_commands_and_options_that_exist(source, parsed):
    makefile = (PROJECT / "Makefile").read_text()
    targets = re.findall(r"^make ([a-z]+)", source, re.M)
    assert [each for each in targets if not re.search(rf"^{each}:", makefile, re.M)] == []
    words = commands_in(source)
    assert bool(words) == bool(re.search(r"^softphone", source, re.M))
    for command in words:
        if command != ["--show-completion"]:
            values = parsed(command)
            assert values is not None, command
            for expectation in values.get("expect") or ():
                parse_bot_expectation(expectation)


@pytest.mark.parametrize(
    "wrong",
    ["call 600 --acount a.toml", "cal 600", "call", "load run --calls many", "im sent a b"],
)
def test_a_command_that_does_not_exist_is_told(wrong, parsed):
    (words,) = commands_in(f"true && softphone {wrong} > out.txt  # a comment")
    assert words == wrong.split()
    assert parsed(words) is None


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
    sentence = f"for a sine sweep, in pieces of any size, is at least {record['worst']} dB"
    assert sentence in page.read_text()


def test_how_soon_bots_answer_is_what_was_measured():
    record = json.loads((PROJECT / "bench" / "results" / "bot_latency.json").read_text())
    page = (PROJECT / "docs" / "guides" / "call-agents.md").read_text()
    assert record["missing"] == {}
    shown = re.findall(r"^\| .+ \| (\d+) \| (\d+) to (\d+) \| (\d+) \|$", page, re.M)
    assert [tuple(map(int, row)) for row in shown] == [
        (row["median"], *row["range"], row["p90"]) for row in record["results"].values()
    ]
    assert f"baresip-python {record['versions']['baresip-python']}" in page
    before, after = (load[0] for load in record["load_before_and_after"])
    assert f"of {record['date']}, beside" in page
    assert f"a load average of {before:.1f} to {after:.1f};" in page
    pipecat = record["results"]["softphone, pipecat"]["median"]
    costs = pipecat - record["results"]["softphone's API"]["median"]
    other_page = (PROJECT / "docs" / "guides" / "pipecat-bot.md").read_text()
    assert f"[it was {costs} ms](call-agents.md#how-soon)" in other_page


def test_examples_of_pipecat_are_those_that_were_run():
    record = json.loads((PROJECT / "bench" / "results" / "pipecat_examples.json").read_text())
    page = (PROJECT / "docs" / "guides" / "pipecat-bot.md").read_text()
    assert "Twelve examples" in page
    assert len(record["examples"]) == 12
    assert all(row["ran"] and row["lines_changed"] == 4 for row in record["examples"])
