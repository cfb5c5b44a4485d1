"""The report: whole in one file, true to the figures, and looked at in Chromium."""

from __future__ import annotations

import re
import struct
import zlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.load import LoadResult
from softphone.load.capacity import CapacitySearch, CapacityTrial
from softphone.load.charts import CHARTS, run_point
from softphone.load.measure import RunSecond, Tally
from softphone.load.plan import (
    BaseSpec,
    ExpectationVerdict,
    FaultSpec,
    LoadPlan,
    SippSpec,
    UserSpec,
)
from softphone.load.report import output_text, run_properties, write_report
from softphone.load.report.html import report_page
from tests.support.browser import look

WALL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOSTILE = '<img src=x onerror="document.title=1">'
VERDICTS = [
    ExpectationVerdict("answered>=99%", True, "99.9%"),
    ExpectationVerdict("mos_p5>=4.0", False, "3.9"),
]


def result(invalid=()):
    plan = LoadPlan("echo", f"sip:{HOSTILE}@h", BaseSpec(server="sip:h"), (UserSpec("sip:a@h"),))
    made = LoadResult(plan, invalid_because=list(invalid))
    for at in range(1, 31):
        tally = Tally(attempted=50, answered=49, sent=2500 * at, received=2490 * at, lost=10)
        tally.failed["486 Busy Here"] += 1
        tally.setup_ms.record_value(20.0 + at, 48)
        tally.setup_ms.record_value(200.0)
        tally.mos.record_value(4.2)
        tally.lateness_ms.record_value(2.0 + at)
        second = RunSecond(float(at), up=50 * at, tally=tally, cpu=0.01 * at)
        second.mos_now.record_value(4.4 - at * 0.02)
        second.jitter_now_ms.record_value(1.5)
        made.add_second(second)
    made.total.dropped[HOSTILE] += 3
    return made


def search():
    found = CapacitySearch(first=100, most=1000, confirm=2)
    for calls, held in ((100, True), (200, True), (400, False), (300, True), (300, True)):
        why = "" if held else "mos_p5>=4.0: 3.2"
        found.add_trial(
            CapacityTrial(calls, held, why=why, answered=1.0, mos_p5=4.0, setup_p99_ms=30.0)
        )
    return found


def test_everything_is_in_the_one_file():
    text = report_page(result(), VERDICTS, search=search(), wall=WALL)
    assert not re.search(r'(src|href)="|url\(|@import|<script|https?:', text)
    assert text.count("<svg") == 14
    for words in ("2026-01-02 03:04:05", "mos_p5&gt;=4.0", "not met", "486 Busy Here", "1,500"):
        assert words in text


def test_the_interval_of_a_capacity_is_told_and_drawn():
    text = report_page(result(), VERDICTS, search=search(), wall=WALL)
    assert "its interval is unknown" in text
    assert "trials that held, %" not in text
    found = search()
    found.repeat, found.precision = 4, 0.3
    for calls, held in ((350, False), (320, True), (350, False), (320, True)):
        assert found.next_calls is not None
        found.add_trial(CapacityTrial(calls, held, why="" if held else "mos_p5>=4.0: 3.2"))
    text = report_page(result(), VERDICTS, search=found, wall=WALL)
    assert f"half of all trials hold {found.interval.calls} calls (95 %: " in text
    assert text.count("<svg") == 15
    assert text.count('<td class="n">350</td>') == 2
    drawing = next(part for part in text.split("<svg")[1:] if "trials that held, %" in part)
    assert drawing.count("<circle") == 6 + 3


def test_faults_on_purpose_are_told_at_its_head():
    made = result()
    assert "on purpose" not in report_page(made, [], wall=WALL)
    made.plan = replace(made.plan, faults=FaultSpec(loss=0.1))
    text = report_page(made, [], wall=WALL)
    assert text.index("faults on purpose: loss 10 %") < text.index("Figures")


def test_the_server_is_named_at_its_head():
    made = result()
    base = BaseSpec(server="sips:u:secret@pbx.example", suites=("AEAD_AES_256_GCM",))
    made.plan = replace(made.plan, base=base)
    text = report_page(made, [], wall=WALL)
    words = "server sips:pbx.example over TLS, as sip:a@h, SRTP required (AEAD_AES_256_GCM); "
    assert text.index(words) < text.index("Figures")
    found = run_properties(made)
    assert (found["server"], found["transport"]) == ("sips:pbx.example", "tls")
    assert (found["aor"], found["suites"]) == ("sip:a@h", "AEAD_AES_256_GCM")
    made.plan = replace(made.plan, base=BaseSpec(account="gone.toml"))
    assert "server " not in report_page(made, [], wall=WALL)


def test_the_calls_of_a_scenario_are_told_at_its_head():
    made = result()
    made.plan = replace(made.plan, sipp=SippSpec("a.xml", total=50), calls=10)
    assert "; server sip:h, as sip:a@h; 50 calls, 10 at once at most, " in report_page(
        made, [], wall=WALL
    )
    assert run_properties(made)["total_calls"] == "50"


def test_what_was_not_judged_is_neither_met_nor_failed():
    unjudged = ExpectationVerdict("mos_p5 not worse than before", False, "3", judged=False)
    text = report_page(result(), [VERDICTS[0], unjudged], wall=WALL)
    assert "<b>Valid</b>, 1 of 2 verdicts not judged (too few), the others met" in text
    assert '<td class="note">not judged (too few)</td>' in text
    assert "<b>Failed:</b> 1 of 3" in report_page(result(), [*VERDICTS, unjudged], wall=WALL)


def test_late_packets_that_were_to_be_borne_are_told_where_that_is_not_the_default():
    made = result()
    row = '<td>own packets to be borne late</td><td class="n">50 %</td>'
    assert "borne late" not in report_page(made, [], wall=WALL)
    made.plan = replace(made.plan, tolerate_late=50.0)
    assert row in report_page(made, [], wall=WALL)
    assert "own packets to be borne late: 50 %" in output_text(made)


def test_what_came_over_the_wire_is_escaped():
    text = report_page(result(), [ExpectationVerdict(HOSTILE, True, HOSTILE)], wall=WALL)
    assert "<img" not in text
    assert "&lt;img" in text


def test_an_invalid_run_is_said_to_be_in_the_first_place():
    text = report_page(result(invalid=["the generator used 97% of a core"]), [], wall=WALL)
    assert text.index("Invalid") < text.index("Figures")
    assert "97% of a core" in text
    text = report_page(result(invalid=["worker 1 was lost"]), [], wall=WALL)
    assert "bottleneck" not in text, "there are other reasons"


def test_all_plots_over_time_have_the_time_of_the_run():
    made = result()
    for second in made.seconds[3:]:
        second.tally.setup_ms = Tally().setup_ms
    text = report_page(made, [], wall=WALL)
    drawing = next(part for part in text.split("<h2>") if part.startswith("Set-up latency"))
    assert re.search(r'text-anchor="middle">30<', drawing)


def test_it_has_the_charts_of_the_live_page():
    """Each chart with its lines, from the points that the page gets of the same seconds."""
    made = result()
    text = report_page(made, [], wall=WALL)
    assert "MOS" in {chart.title for chart in CHARTS}
    for chart in CHARTS:
        drawing = text.partition(f"<h2>{chart.title[0].upper()}{chart.title[1:]}</h2>")[2]
        drawing = drawing.partition("</svg>")[0]
        labels = [label for _, label in chart.lines] or ["486 Busy Here"]
        for number, label in enumerate(labels, 1):
            assert f'<g class="series-{number}"><path class="line"' in drawing, chart
            assert f"<title>{label.partition(' ')[0]}" in drawing
    points = [run_point(second) for second in made.seconds]
    assert {name for chart in CHARTS for name, _ in chart.lines} < points[0].keys()
    assert "--series-1: #58a6ff" in text, "in dark, too"


def test_a_search_that_ended_early_is_not_shown_as_a_success():
    found = search()
    for _ in range(2):
        found.add_trial(CapacityTrial(350, False, valid=False, why="the generator was busy"))
    text = report_page(result(), VERDICTS[:1], search=found, wall=WALL)
    assert "A lower bound" in text
    assert "<b>Valid</b>" not in text


def test_the_curve_has_the_worst_of_each_number_and_nothing_that_is_invalid():
    found = CapacitySearch(first=100, most=1000)
    for calls, mos, valid in (
        (100, 4.4, True),
        (200, 4.1, True),
        (200, 3.1, True),
        (400, 1.0, False),
    ):
        found.add_trial(CapacityTrial(calls, valid, valid=valid, mos_p5=mos, setup_p99_ms=30.0))
    text = report_page(result(), VERDICTS[:1], search=found, wall=WALL)
    drawing = next(part for part in text.split("<svg")[1:] if "MOS, 5th percentile" in part)
    places = [float(x) for x in re.findall(r'<circle class="dot" cx="([\d.]+)"', drawing)]
    assert len(places) == 2
    assert places[1] == max(places), "the scale ends with what was judged"
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', drawing)]
    assert heights[1] > heights[0], "the worse of the two, further down"


def test_it_is_written_whole_or_not_at_all(tmp_path):
    file = tmp_path / "report.html"
    file.write_text("before")
    write_report(file, result(), VERDICTS, wall=WALL)
    assert file.read_text().endswith("</html>\n")
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_report(tmp_path / "none" / "report.html", result(), VERDICTS, wall=WALL)


def test_chromium_draws_it(tmp_path):
    """Pixels of each color of the lines and bars are there, and the page has run no script."""
    file, picture = tmp_path / "report.html", tmp_path / "report.png"
    write_report(file, result(), VERDICTS, search=search(), wall=WALL)
    options = ("--window-size=480,1400", f"--screenshot={picture}", "--dump-dom")
    dom = look(file, tmp_path, *options).decode()
    colors = pixels(picture.read_bytes())
    for color in ((0x0B, 0x62, 0xD6), (0xD1, 0x24, 0x2F)):
        assert colors.get(color, 0) > 100, color
    assert "<title>echo: sip:&lt;img" in dom
    assert dom.count("<svg") == 14


def pixels(png):
    """How many pixels of each color an 8-bit RGB(A) PNG has (ISO/IEC 15948)."""
    at, data = 8, b""
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", body[:10])
        data += body if kind == b"IDAT" else b""
        at += 12 + length
    assert depth == 8
    channels = {2: 3, 6: 4}[color]
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    before = np.zeros((width, channels), np.uint8)
    counts = Counter()
    for row in rows:
        line = unfiltered(row[0], row[1:].reshape(width, channels), before)
        packed = line[:, :3].astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        values, times = np.unique(packed, return_counts=True)
        counts.update(dict(zip(values.tolist(), times.tolist(), strict=True)))
        before = line
    return {(c >> 16, c >> 8 & 255, c & 255): n for c, n in counts.items()}


def unfiltered(kind, line, above):
    """One line of a PNG without its filter."""
    if kind == 0:
        return line
    if kind == 2:
        return line + above
    if kind == 1:
        return np.cumsum(line, axis=0, dtype=np.uint64).astype(np.uint8)
    out = np.zeros(line.shape, np.int32)
    left = corner = np.zeros(line.shape[1], np.int32)
    for x in range(line.shape[0]):
        up = above[x].astype(np.int32)
        if kind == 3:
            guess = (left + up) // 2
        else:
            estimate = left + up - corner
            a, b, c = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
            guess = np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
        left = out[x] = (line[x] + guess) & 255
        corner = up
    return out.astype(np.uint8)
