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

    terminal = dict(
        re.findall(r"│ (calls attempted|answered|packets sent / received) +│ (.+?) +│", out)
    )
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
