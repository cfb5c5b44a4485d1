"""`make check` runs the tests of what changed, the narrowest that there are."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests import check
from tests.docs.test_blocks import blocks_and_output
from tests.suite import Group, static_groups


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
def test_the_tools_know_the_options_that_are_given(tool):
    """An option that a newer version does not know would fail each check."""
    given = [each.argv for each in static_groups() if each.argv[0].endswith(f"/{tool}")]
    assert given
    for command in given:
        inner = [word for word in command[1:] if word in ("check", "format")]
        asked = [command[0], *inner, "--help"]
        help_text = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        assert all(word in help_text for word in command if word.startswith("-")), command


@pytest.mark.parametrize(
    ("tool", "tests", "said"),
    [(0, 0, ""), (1, 0, "FAILED: a tool\n"), (1, 1, "FAILED: a tool, tests\n")],
)
def test_what_failed_is_said_at_the_end(tool, tests, said, monkeypatch, capsys):
    monkeypatch.setattr(check, "changed_files", lambda since: ["softphone/rate_limit.py"])
    end = f"import sys; sys.exit({tool})"
    monkeypatch.setattr(
        check, "static_groups", lambda: [Group("a tool", [sys.executable, "-c", end])]
    )
    ran = []

    def run(command, **options):
        if "pytest" not in command:
            return real(command, **options)
        ran.append(command)
        return SimpleNamespace(returncode=tests)

    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["check"])
    assert check.main() == (1 if said else 0)
    assert "tests/test_rate_limit.py" in ran[0]
    assert capsys.readouterr().out.endswith(said)
