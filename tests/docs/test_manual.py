"""The manual pages and the page of loggers, made from the code."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
EXTENSIONS = PROJECT / "docs" / "_extensions"


@pytest.fixture
def made(monkeypatch):
    """A module of docs/_extensions, by name."""
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    return importlib.import_module


def test_each_command_has_a_page_that_names_its_options_and_an_example(made, tmp_path):
    pages = {path.name: path.read_text() for path in made("manual").write_pages(tmp_path)}
    call = pages["softphone-call.1"]
    for part in (
        ".SH NAME",
        "softphone\\-call \\- Call somebody",
        "\\-\\-account FILE",
        "Examples:",
    ):
        assert part in call
    assert ".BR softphone\\-trust\\-show (1)" in pages["softphone-trust.1"]
    assert "Exit codes: 0 valid" in pages["softphone-load-run.1"]
    assert all(".SH OPTIONS" in text for name, text in pages.items() if name.count("-") == 2)


def test_what_is_generated_into_the_repository_is_as_the_code_says(made):
    kept = [page for page in (PROJECT / "docs").rglob("*.md") if "<!-- end: " in page.read_text()]
    assert {page.name for page in kept} == {
        "errors.md",
        "events.md",
        "hearing.md",
        "json.md",
        "logging.md",
        "security.md",
        "trunks.md",
    }
    renew = made("generated").renew
    stale = [page.name for page in kept if renew(page.read_text()) != page.read_text()]
    assert stale == [], "python docs/_extensions/generated.py writes them again"


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_man_has_nothing_against_the_pages(made, tmp_path):
    for path in made("manual").write_pages(tmp_path):
        command = ["man", "--warnings", "-l", "-Tutf8", "-Z", str(path)]
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )
        assert ended.stderr == "", path.name


def test_text_that_troff_would_take_for_a_request_stays_text(made):
    assert made("manual").roff(".so /etc/passwd\n'quoted' -v \\") == (
        "\\&.so /etc/passwd\n\\(aqquoted\\(aq \\-v \\e"
    )


def test_every_logger_of_the_package_stands_on_the_page(made):
    page = "\n".join(made("generated").loggers())
    named = {
        name
        for path in (PROJECT / "softphone").rglob("*.py")
        for name in re.findall(r'getLogger\("(softphone\.\w+)"\)', path.read_text())
    }
    assert len(named) > 10
    assert sorted(name for name in named if f"### `{name}`" not in page) == []
    assert "| INFO | `%s: connected again` |" in page
    assert "| DEBUG | `message from %s to %s %s` |" in page
