"""The documentation site: built without a warning, each page reached, nothing fetched elsewhere."""

from __future__ import annotations

import datetime
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

from softphone.config import presets
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
SEEN = {
    "https://github.com/pradyunsg/furo": "2026-11-29",  # the theme's name, below each page
    "https://keepachangelog.com/en/1.1.0/": "2026-11-28",
    "https://modelcontextprotocol.io": "2026-11-29",
    "https://semver.org": "2026-11-28",
    "https://www.standardwebhooks.com": "2026-11-28",
}
SOURCES = {source: presets.CHECKED for each in presets.PRESETS.values() for source in each.sources}
"""Every link to other sites, and the day on which it was last looked at.

No test asks a server: a new link is opened, and written down here; what is gone leaves the list.
"""
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
    """The folder of the built site: the first process that asks builds it for all of a run.

    The two runs of `make test` share one: the folder SOFTPHONE_SITE.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    if given := os.environ.get("SOFTPHONE_SITE"):
        shared = Path(given)
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
    """The links and the names of places of one page; what it loads, from styles, too."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.loads: list[str] = []
        self._in_style = False
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.places |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag != "a":  # an image, a script, a style, a use of an SVG's symbol
            self.loads += [found[key] for key in LOADING if found.get(key)]
            self.loads += re.findall(r"[^\s,]\S*", found.get("srcset") or "")[::2]
        self.loads += loaded_by_style(found.get("style") or "")
        self._in_style = tag == "style"

    def handle_data(self, data):
        if self._in_style:
            self.loads += loaded_by_style(data)


LOADING = ("src", "href", "xlink:href", "data", "poster", "action")
"""The attributes whose address a browser fetches."""


def loaded_by_style(text: str) -> list[str]:
    """What a style sheet loads: `url(...)` in any quotes, and `@import "..."`."""
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    quoted = r"""\burl\(\s*(?:"([^"]*)"|'([^']*)'|([^)"'\s]+))\s*\)|@import\s+["']([^"']+)"""
    return ["".join(each) for each in re.findall(quoted, bare, re.I)]


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_link_within_the_site_leads_somewhere(site, pages):
    broken = []
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


def test_nothing_is_loaded_from_elsewhere(site, pages):
    loaded = {(path, each) for path, page in pages.items() for each in page.loads}
    by_styles = {
        (path, each) for path in site.rglob("*.css") for each in loaded_by_style(path.read_text())
    }
    assert loaded
    assert by_styles
    assert [each for each in loaded | by_styles if is_elsewhere(*each)] == []


def is_elsewhere(path: Path, address: str) -> bool:
    """Whether a browser that shows a file would leave the site for an address, or find nothing."""
    parts = urlsplit(address)
    if parts.scheme == "data":
        return False
    inside = not (parts.scheme or parts.netloc)
    return not inside or bool(
        parts.path and not (path.parent / unquote(parts.path)).resolve().exists()
    )


@pytest.mark.parametrize(
    ("style", "loads"),
    [
        ("a { background: url(//a.test/x.png) }", ["//a.test/x.png"]),
        ('@font-face { src: URL( "https://a.test/f" ) }', ["https://a.test/f"]),
        ("@import 'https://a.test/c.css';", ["https://a.test/c.css"]),
        ("a { b: url('data:image/svg+xml,<svg fill=\"a(b)\">') }", None),
        ("/* url(https://a.test) */ a { color: red }", []),
    ],
)
def test_what_a_style_loads_is_found(style, loads, tmp_path):
    found = loaded_by_style(style)
    assert len(found) == 1 if loads is None else found == loads
    assert [is_elsewhere(tmp_path / "a.css", each) for each in found] == [bool(loads)] * len(found)


def test_what_a_page_loads_is_found(tmp_path):
    page = tmp_path / "a.html"
    page.write_text(
        '<img srcset="//a.test/1 1x, b.png 2x"><div style="background:url(//a.test/2)"></div>'
        '<style>p { background: url("//a.test/3") }</style><object data="//a.test/4"></object>'
        '<a href="//a.test/5"></a><p>url(//a.test/6)</p>'
    )
    loads = Page(page).loads
    assert loads == ["//a.test/1", "b.png", "//a.test/2", "//a.test/3", "//a.test/4"]
    assert all(is_elsewhere(page, each) for each in loads)


def test_links_to_other_sites_are_those_that_somebody_has_seen(pages):
    links = {each for page in pages.values() for each in page.links}
    files = [*PROJECT.glob("*.md"), *(PROJECT / "examples").rglob("*.md")]
    written = "".join(path.read_text() for path in files)
    links |= set(re.findall(r"(?:\]\(|<)(https?:[^)>\s]+)", written))
    outside = {each for each in links if urlsplit(each).scheme or urlsplit(each).netloc}
    assert outside - set(SOURCES) == set(SEEN), "open a new link, and write down when"
    for link, day in (SEEN | SOURCES).items():
        parts = urlsplit(link)
        assert parts.scheme == "https", link
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), link
        assert not re.search(r"[^!-~]", link), link
        assert datetime.date.fromisoformat(day) <= datetime.datetime.now(datetime.UTC).date()


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
