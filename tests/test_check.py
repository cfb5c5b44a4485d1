"""`make check` runs the tests of what changed, the narrowest that there are."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests import check
from tests.docs.test_blocks import blocks_and_output


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("softphone/rate_limit.py", {"tests/test_rate_limit.py"}),
        ("softphone/sip/message/parser.py", {"tests/sip/message/test_parser.py"}),
        ("softphone/sip/message/__init__.py", {"tests/sip/message"}),
        ("codecs/softphone_codecs/registry.py", {"tests/codecs/test_registry.py"}),
        ("docs/guides/load.md", {"tests/docs"}),
        ("README.md", {"tests/docs"}),
        ("examples/echo_bot.py", {"tests/examples"}),
        ("tests/test_check.py", {"tests/test_check.py"}),
        ("tests/support/stage.py", set()),
        ("bench/trees/code_lines.py", set()),
        ("pyproject.toml", set()),
    ],
)
def test_a_changed_file_has_its_tests(path, tests):
    assert check.tests_of(path) == tests


def test_a_file_in_a_folder_that_runs_anyway_is_not_named_twice():
    places = ["tests/sip", "tests/sip/message/test_parser.py", "tests/test_names.py"]
    assert check.narrowed(places) == ["tests/sip", "tests/test_names.py"]


def test_the_programs_of_changed_pages_are_run_and_no_others(monkeypatch):
    assert check.pages_in(["README.md", "docs/conf.py", "docs/a.md"]) == "README.md docs/a.md"
    monkeypatch.setenv("SOFTPHONE_PAGES", "README.md")
    assert [each.id.partition(":")[0] for each in blocks_and_output("sh")] == ["README.md"]
    monkeypatch.delenv("SOFTPHONE_PAGES")
    assert len(blocks_and_output("sh")) > 20


@pytest.mark.parametrize("tool", ["ruff", "mypy", "lint-imports"])
def test_the_tools_know_the_options_that_are_given(tool, monkeypatch):
    """An option that a newer version does not know would fail each check."""
    ran = []

    def run(command, **_):
        ran.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(check, "changed_files", lambda since: [])
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["check"])
    assert check.main() == 0
    monkeypatch.undo()
    given = [(each, each[0]) for each in ran if each[0].endswith(f"/{tool}")]
    assert given
    for command, program in given:
        inner = [word for word in command[1:] if word in ("check", "format")]
        help_text = subprocess.run([program, *inner, "--help"], capture_output=True, text=True)
        options = [word for word in command if word.startswith("-")]
        assert all(option in help_text.stdout for option in options), command
