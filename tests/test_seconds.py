"""The table of tests by package is made from the reports of a run."""

from __future__ import annotations

import os
import subprocess
import sys

from tests import seconds

CPU = '<properties><property name="cpu" value="%s"/></properties>'
REPORT = f"""<testsuites><testsuite>
<testcase classname="tests.sip.test_target" name="a">{CPU % 0.5}</testcase>
<testcase classname="tests.sip.dialog.test_route.TestRoute" name="b">{CPU % 2.25}</testcase>
<testcase classname="tests.test_names" name="c">{CPU % 0.1}</testcase>
<testcase classname="tests.test_names.TestIn" name="c">{CPU % 0.1}</testcase>
<testcase classname="tests.peers.test_video" name="d">{CPU % 9}</testcase>
<testcase classname="" name="an error of collection" time="1"/>
</testsuite></testsuites>"""
PAGE = f"""# A page

{seconds.HEAD}| `tests/rtp` | 6 | 1,227 |
| `tests/sip` | 20 | 2,328 |

After it.
"""


def test_a_report_renews_the_rows_of_its_packages_and_keeps_the_others(
    tmp_path, monkeypatch, capsys
):
    report, page = tmp_path / "report.xml", tmp_path / "page.md"
    report.write_text(REPORT)
    page.write_text(PAGE)
    monkeypatch.setattr(seconds, "PAGE", page)
    rows = "| `tests/*.py` | 1 | 2 |\n| `tests/rtp` | 6 | 1,227 |\n| `tests/sip` | 3 | 2 |\n"
    assert seconds.main([str(report)]) == 0
    assert capsys.readouterr().out == rows
    assert page.read_text() == PAGE
    assert seconds.main(["--write", str(report)]) == 0
    assert page.read_text() == f"# A page\n\n{seconds.HEAD}{rows}\nAfter it.\n"


def test_a_run_leaves_the_processor_time_of_each_test_in_its_report(tmp_path):
    spinning = "t = time.process_time()\n    while time.process_time() < t + 0.2: pass"
    test = tmp_path / "test_it.py"
    test.write_text(f"import time\ndef test_spins():\n    {spinning}\ndef test_rests(): pass\n")
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.processor_time"]
    options = ["-p", "no:cacheprovider", f"--junitxml={report}", "-c", os.devnull, str(test)]
    environ = os.environ | {"PYTHONPATH": str(seconds.PROJECT)}
    subprocess.run([*command, *options], env=environ, check=True, cwd=tmp_path, capture_output=True)
    text = report.read_text().replace('classname="', 'classname="tests.spinning.')
    report.write_text(text)
    ((spent, count),) = seconds.by_package([report]).values()
    assert count == 2
    assert 0.2 <= spent < 2.0
