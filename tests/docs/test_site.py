"""The documentation site: built without a warning, each page reached, nothing fetched elsewhere."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from softphone.events import CallState, RegistrationState
from softphone.security import ShortfallCode
from softphone.sip.invite.invite_dialog import OFFER_ANSWER, InviteState
from softphone.sip.transaction import tables
from tests.support.browser import look

PROJECT = Path(__file__).resolve().parents[2]
TESTS = PROJECT / "tests"
README_AT_MOST = 8_000
PHONE = 390
"""The width of a telephone's screen in CSS pixels."""
READABLE = 4.5
"""The contrast that text needs (WCAG 2.2, 1.4.3)."""
FRAME = """<!doctype html><iframe width="%d" height="800"></iframe><pre></pre><script>
const pages = %s, seen = [], frame = document.querySelector("iframe");
function next() {
  if (seen.length < pages.length) frame.src = pages[seen.length];
  else document.querySelector("pre").textContent = JSON.stringify(seen);
}
frame.onload = () => {
  if (!frame.src) return;
  const page = frame.contentDocument, style = each => frame.contentWindow.getComputedStyle(each);
  const texts = page.querySelectorAll("article p, article td, article pre, article .diagram text");
  const color = each => style(each)[each.closest("svg") ? "fill" : "color"];
  const colors = new Set([...texts].map(color));
  const behind = style(page.body).backgroundColor;
  seen.push([pages[seen.length], page.documentElement.scrollWidth, behind, [...colors]]);
  next();
};
next();
</script>"""
"""A page that shows every page of the site, and says how wide it is and in which colors."""


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the built site: the first process that asks builds it for all of a run."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, whole = shared / "site", shared / "site-is-whole"
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            build(folder)
            whole.touch()
    return folder


def build(folder: Path) -> None:
    """Build the site, without a warning."""
    options = ("-q", "-W", "-n", "--keep-going", "docs", str(folder))
    command = [sys.executable, "-m", "sphinx", *options]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


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


def test_the_api_is_shown_without_what_the_engine_calls_and_without_addresses_in_memory(site):
    page = (site / "reference" / "api.html").read_text()
    text = "".join(re.findall(r">([^<]*)", page))
    assert "accept_transfer" in text
    assert "emit_event" not in text
    assert "AccountDependencies" not in text
    assert ":meta" not in text
    assert not re.search(r"&lt;(function|factory|object)| at 0x|TypeAlias", text)


def test_the_diagrams_have_every_layer_and_every_transition(site):
    layers = (site / "explanation" / "architecture.html").read_text()
    assert "<svg" in layers
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (rows,) = (each["layers"] for each in contracts if each["id"] == "layers")
    for package in (package for row in rows for package in row.split(" | ")):
        assert f">{package}</text>" in layers
    page = (site / "explanation" / "state-machines.html").read_text()
    drawn = [
        (state, given)
        for name in ("INVITE_CLIENT", "NON_INVITE_CLIENT", "INVITE_SERVER", "NON_INVITE_SERVER")
        for (state, given), (done, after) in getattr(tables, name).items()
        if done or after is not state
    ]
    exchanges = [step for step, (role, after) in OFFER_ANSWER.items() if role or after != step[0]]
    assert page.count('class="arrow"') == len(drawn) + len(exchanges)
    assert "url(" not in page.partition("<article")[2].partition("</article>")[0]


def test_every_state_without_a_table_is_entered_somewhere(site):
    page = (site / "explanation" / "state-machines.html").read_text()
    rows = re.findall(r"<tr[^>]*>\s*<td>(.*?)</td>\s*<td>(.*?)</td>", page, re.S)
    assert len(rows) >= len(InviteState) + len(CallState) + len(RegistrationState)
    assert [state for state, places in rows if "<code" not in places] == []


def brightness(color: str) -> float:
    """The relative luminance of `rgb(R, G, B)` (WCAG 2.2)."""
    parts = [int(each) / 255 for each in re.findall(r"\d+", color)[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """How well one color is read on another, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((brightness(one), brightness(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_every_page_fits_a_phone_and_is_read_in_light_and_dark(site, tmp_path, scheme):
    pages = sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))
    frame = site / f"frame-{scheme}.htm"
    frame.write_text(FRAME % (PHONE, json.dumps(pages)))
    wanted = f"--blink-settings=preferredColorScheme={['dark', 'light'].index(scheme)}"
    options = ("--allow-file-access-from-files", "--virtual-time-budget=100000", "--dump-dom")
    shown = look(frame, tmp_path, wanted, *options).decode()
    seen = json.loads(re.search("<pre>(.*)</pre>", shown)[1])
    assert [name for name, *_ in seen] == pages
    assert [name for name, width, *_ in seen if width > PHONE] == []
    assert {brightness(behind) < 0.5 for _, _, behind, _ in seen} == {scheme == "dark"}
    faint = {
        (name, color)
        for name, _, behind, colors in seen
        for color in colors
        if contrast(color, behind) < READABLE
    }
    assert faint == set()
    assert contrast("rgb(255, 255, 255)", "rgb(0, 0, 0)") == pytest.approx(21.0)


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


def test_contributing_lists_the_tests_of_every_package():
    page = (PROJECT / "CONTRIBUTING.md").read_text()
    folders = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("*/test_*.py")}
    listed = set(re.findall(r"^\| `tests/(\w+)` \| \d+ \| [\d,]+ \|$", page, re.M))
    assert listed == folders - {"peers"}  # which the sentence above the table names


def test_troubleshooting_names_every_shortfall():
    page = (PROJECT / "docs" / "guides" / "troubleshooting.md").read_text()
    assert [code for code in ShortfallCode if f"`{code}`" not in page] == []


def test_the_changelog_has_one_line_a_change_in_known_sections():
    lines = (PROJECT / "CHANGELOG.md").read_text().splitlines()
    sections = {line.removeprefix("### ") for line in lines if line.startswith("### ")}
    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert [line for line in lines if len(line) > 120] == []
    assert not [line for line in lines if line.startswith(" ")]
