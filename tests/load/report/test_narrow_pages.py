"""Pages of a load run on a telephone: as wide as the screen, in light and dark."""

from __future__ import annotations

import pytest

from softphone.load.conformance import CaseVerdict
from softphone.load.report import write_conformance, write_report
from tests.load.compare.runs import record
from tests.load.report.test_comparison_page import page as comparison_page
from tests.load.report.test_conformance_page import result_of
from tests.load.report.test_html import VERDICTS, WALL, result, search
from tests.support.browser_tab import tab

LONG = "a-run-with-a-name-of-some-length-2026-01-02"


@pytest.fixture
def pages(tmp_path):
    """A page of each kind."""
    write_report(tmp_path / "report.html", result(), VERDICTS, search=search(), wall=WALL)
    write_conformance(tmp_path / "cases.html", result_of(*CaseVerdict), wall=WALL)
    comparison_page(tmp_path, record(name="first"), record(2, name=LONG, setup_ms=30.0))
    return [tmp_path / f"{name}.html" for name in ("report", "cases", "compare")]


async def test_no_page_is_wider_than_the_screen(pages, tmp_path):
    async with tab(tmp_path) as shown:
        for page in pages:
            await shown.do("Page.navigate", url=page.as_uri())
            await shown.until("document.querySelector('h1') !== null")
            for dark in (False, True):
                assert len(await shown.picture(390, dark=dark)) > 5_000
                assert await shown.run("document.documentElement.scrollWidth") == 390, page.name
