"""One load of a real Asterisk, read from every face: each tells the same figures."""

from __future__ import annotations

import csv
import re
import sys
from xml.etree import ElementTree

import pytest

from softphone.cli import commands
from softphone.load.live import LoadPage
from softphone.load.report import PrometheusPage

pytestmark = pytest.mark.peer("asterisk")
CALLS = 4
SETUP, MOS = "set-up p50 / p95 / p99, ms", "MOS p5 / p50, narrowband"
"""Figures of the terminal and of the report."""
FIGURES = "calls attempted|answered|packets sent / received"


@pytest.fixture
def pages(monkeypatch):
    """The live page and that of Prometheus, as they stand at the end of the run."""
    kept = {}

    class KeptPage(LoadPage):
        async def finish(self, *ended):
            await super().finish(*ended)
            kept["live"] = self._live.state()

    class KeptFigures(PrometheusPage):
        def add_second(self, second):
            super().add_second(second)
            kept["prometheus"] = self._page().body

    monkeypatch.setattr("softphone.cli.load.ui.LoadPage", KeptPage)
    monkeypatch.setattr("softphone.cli.load.load.PrometheusPage", KeptFigures)
    return kept


@pytest.fixture
def run(asterisk, authority, monkeypatch, capsys):
    """`run(…)`: calls to Asterisk's Echo over TLS with SRTP; what it printed, and its exit code."""

    def load(*arguments):
        host, port = asterisk.tls
        command = (
            *("load", "run", "--registrar", f"sips:{host}:{port}", "--no-register"),
            *("--ca", authority.certificate, "--aor", "sip:sdes@127.0.0.1"),
            *("--target", f"sip:600@{host}", "--calls", CALLS, "--rate", 10, "--duration", 1),
            *("--srtp", "required", "--suite", "AES_CM_128_HMAC_SHA1_80", "--checks", 0),
            *("--ports", "53000-53199", "--tolerate-late", 50),
            *("--expect", "answered>=100%", "--expect", "suite=AES_CM_128_HMAC_SHA1_80"),
        )
        monkeypatch.setattr(sys, "argv", ["softphone", *map(str, (*command, *arguments))])
        with pytest.raises(SystemExit) as left:
            commands.main()
        return capsys.readouterr().out, int(left.value.code or 0)

    return load


def test_terminal_page_report_junit_series_and_prometheus_tell_the_same(run, pages, tmp_path):
    report, junit, series, code = (tmp_path / name for name in ("r.html", "j.xml", "s.csv", "c"))
    out, ended = run(
        *("--report", report, "--junit", junit, "--series", series),
        *("--prometheus", 0, "--ui", 0, "--ui-code", code),
    )
    assert ended in (0, 4)  # 4: a busy machine; what was counted is the same
    assert pages["live"]["outcome"]["met"]

    terminal = figures_of_terminal(out)
    figures = dict(pages["live"]["figures"])
    page = dict(re.findall(r'<td>([^<]+)</td><td class="n">([^<]+)</td>', report.read_text()))
    with series.open() as file:
        rows = list(csv.DictReader(file))
    tree = ElementTree.parse(junit).getroot()
    lines = dict(
        line.rsplit(" ", 1) for line in pages["prometheus"].splitlines() if not line.startswith("#")
    )
    said = "\n".join(each.text or "" for each in tree.iter("system-out"))

    for name, field in (("attempted", "calls attempted"), ("answered", "answered")):
        assert terminal[field] == page[field] == figures[name] == str(CALLS)
        assert sum(int(row[name]) for row in rows) == CALLS
        assert float(lines[f"softphone_load_calls_{name}_total"]) == CALLS
        assert re.search(rf"{field}\W+{CALLS}\b", said), said
    sent = int(terminal["packets sent / received"].split(" / ")[0].replace(",", ""))
    assert page["packets sent / received"] == terminal["packets sent / received"]
    assert figures["packets sent"].replace(",", "") == str(sent)
    assert sum(int(row["packets_sent"]) for row in rows) == sent > 0
    assert float(lines["softphone_load_packets_sent_total"]) == sent
    verdicts = {case.get("name"): case.find("failure") for case in tree.iter("testcase")}
    assert verdicts["answered>=100%"] is None
    assert verdicts["suite=AES_CM_128_HMAC_SHA1_80"] is None
    assert [each["met"] for each in pages["live"]["verdicts"]] == [True, True]
    check_latency(terminal, page, figures, rows, lines, said)
    check_quality(terminal, page, figures, rows, lines, said)


def figures_of_terminal(out):
    """The rows of the terminal's table that are compared."""
    names = "|".join((FIGURES, re.escape(SETUP), re.escape(MOS)))
    return dict(re.findall(rf"│ ({names}) +│ (.+?) +│", out))


def check_latency(terminal, page, figures, rows, lines, said):
    """Every face has the same set-up latency, each as exactly as it tells it."""
    assert page[SETUP] == terminal[SETUP]
    p50, p95, p99 = map(float, terminal[SETUP].split(" / "))
    assert 0 < p50 <= p95 <= p99
    # Four significant digits each, of the same histogram.
    assert figures["set-up p50 / p99, ms"] == f"{p50:.4g} / {p99:.4g}"
    seconds = [float(row["setup_p99_ms"]) for row in rows if row["setup_p99_ms"]]
    assert max(seconds) == pytest.approx(p99, rel=0.01, abs=0.1)
    assert re.search(rf"{re.escape(SETUP)}\W+{re.escape(terminal[SETUP])}", said), said
    assert float(lines["softphone_load_setup_seconds_count"]) == CALLS
    for rank, value in ((0.5, p50), (0.99, p99)):
        low, high = bucket(lines, "setup_seconds", rank)
        assert low <= value / 1e3 * 1.001
        assert value / 1e3 <= high * 1.001


def check_quality(terminal, page, figures, rows, lines, said):
    """Every face has the same MOS: of whole calls, or of those that are up, once a second."""
    assert page[MOS] == terminal[MOS]
    p5, p50 = map(float, terminal[MOS].split(" / "))
    assert 1.0 <= p5 <= p50 <= 4.5
    assert re.search(rf"{re.escape(MOS)}\W+{re.escape(terminal[MOS])}", said), said
    # While calls are up, it is theirs so far: a call ends with what it had by then, or near it.
    seen = [float(row["mos_p50"]) for row in rows if row["mos_p50"]]
    assert min(seen) - 0.3 <= p50 <= max(seen) + 0.3
    low, high = bucket(lines, "mos", 0.5)
    assert low - 0.3 <= p50 <= high + 0.3
    assert int(float(lines["softphone_load_mos_count"])) >= len(seen)


def bucket(lines, name, rank):
    """The bounds of the bucket that a rank of a histogram of Prometheus' page is in."""
    before = 0.0
    whole = float(lines[f"softphone_load_{name}_count"])
    for line, count in lines.items():
        found = re.fullmatch(rf'softphone_load_{name}_bucket\{{le="(.+)"\}}', line)
        if found is not None:
            bound = float(found[1])
            if float(count) >= rank * whole:
                return before, bound
            before = bound
    raise AssertionError(f"{name} has no buckets")
