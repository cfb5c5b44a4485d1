"""The documentation site: built without a warning, each page reached, nothing fetched elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from softphone.security import ShortfallCode

PROJECT = Path(__file__).resolve().parents[2]
README_AT_MOST = 8_000


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "-n",
        "--keep-going",
        "docs",
        str(folder),
    ]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


class Page(HTMLParser):
    """The links and the names of places of one page; what it loads from elsewhere."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.loads: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.places |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag in ("script", "img", "link", "iframe", "source"):
            self.loads += [found[key] for key in ("src", "href") if found.get(key)]


def pages_of(folder: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in folder.rglob("*.html")}


def test_every_link_within_the_site_leads_somewhere(site):
    pages, broken = pages_of(site), []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages.get(target)
            if not target.exists() or (
                parts.fragment and known and parts.fragment not in known.places
            ):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site):
    loaded = [each for page in pages_of(site).values() for each in page.loads]
    assert loaded
    assert [each for each in loaded if urlsplit(each).netloc] == []


def test_marks_of_what_is_generated_are_filled(site):
    keys = (site / "reference" / "keys.html").read_text()
    commands = (site / "reference" / "commands.html").read_text()
    assert "own_user_only" in keys
    assert "--trust-on-first-use" in commands
    lines = (site / "reference" / "json.html").read_text()
    assert "softphone_load_calls_attempted_total" in lines
    assert "digits_sent" in lines
    assert not [path for path in site.rglob("*.html") if "<!-- generated" in path.read_text()]


def test_files_that_pages_of_the_repository_link_to_are_there():
    broken = [
        f"{page.relative_to(PROJECT)}: {link}"
        for page in [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if not urlsplit(link).scheme and not (page.parent / link).exists()
    ]
    assert broken == []


def test_the_readme_is_one_page():
    assert len((PROJECT / "README.md").read_bytes()) <= README_AT_MOST


def test_troubleshooting_names_every_shortfall():
    page = (PROJECT / "docs" / "guides" / "troubleshooting.md").read_text()
    assert [code for code in ShortfallCode if f"`{code}`" not in page] == []


def test_the_changelog_has_one_line_a_change_in_known_sections():
    lines = (PROJECT / "CHANGELOG.md").read_text().splitlines()
    sections = {line.removeprefix("### ") for line in lines if line.startswith("### ")}
    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert [line for line in lines if len(line) > 120] == []
    assert not [line for line in lines if line.startswith(" ")]
