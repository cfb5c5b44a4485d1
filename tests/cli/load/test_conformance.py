"""`softphone load conformance`: options, exit codes, and what it writes."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from softphone.cli.load.conformance import conformance_plan
from softphone.cli.load.options import ConformanceOptions
from softphone.errors import ConfigurationError
from softphone.load.conformance import CaseVerdict, read_cases
from softphone.sans_io import Transport

FEW = ("--only", "corner-merged", "--only", "corner-version", "--rate", "10")


def test_cases_are_sent_to_a_lab_and_written_for_ci(cli, lab, tmp_path):
    page, junit = tmp_path / "cases.html", tmp_path / "cases.xml"
    ended = cli(
        *("load", "conformance", "--account", lab["alice"], "--target", "600", *FEW),
        *("--fail-on", "deviates", "--report", page, "--junit", junit),
    )
    assert ended.code == 0, ended.err
    assert "2 pass, 0 deviates, 0 fail, 0 not judged" in ended.out
    assert "RFC 3261 section 8.2.2.2" in page.read_text()
    names = [case.get("name") for case in ET.parse(junit).iter("testcase")]
    assert names == ["corner-merged", "corner-version"]


@pytest.fixture
def wrong(monkeypatch):
    """`wrong(VERDICT)` makes every case end with a verdict, and lets runs be quick."""
    monkeypatch.setattr("softphone.cli.load.conformance.MOST_RATE", 1000.0)

    def make(verdict):
        monkeypatch.setattr(
            "softphone.load.conformance.runner.judge_reply", lambda *_: (verdict, "because <so>")
        )

    return make


@pytest.mark.parametrize(
    ("verdict", "codes"),
    [
        (CaseVerdict.PASSED, (0, 0, 0)),
        (CaseVerdict.DEVIATES, (0, 0, 1)),
        (CaseVerdict.FAILED, (0, 1, 1)),
        (CaseVerdict.NOT_JUDGED, (0, 4, 4)),
    ],
)
def test_the_exit_code_is_that_of_fail_on(cli, lab, wrong, tmp_path, verdict, codes):
    wrong(verdict)
    page = tmp_path / "cases.html"
    found = [
        cli(
            *("load", "conformance", "--account", lab["alice"], "--target", "600", "--json"),
            *("--only", "corner-merged", "--rate", "1000", "--report", page, *given),
        )
        for given in ((), ("--fail-on", "fail"), ("--fail-on", "deviates"))
    ]
    assert tuple(each.code for each in found) == codes
    assert all(each.summary["counts"][verdict.value] == 1 for each in found)
    (case,) = [each for each in found[0].events if each["event"] == "case"]
    assert (case["verdict"], case["came"]) == (verdict.value, "482 Loop Detected")
    assert "because &lt;so&gt;" in page.read_text()


def test_a_line_of_progress_tells_of_what_did_not_pass(cli, lab, wrong):
    wrong(CaseVerdict.DEVIATES)
    ended = cli("load", "conformance", "--account", lab["alice"], "--target", "600", *FEW)
    assert "1 of 2: corner-merged: deviates: 482 Loop Detected" in ended.err
    assert "because <so>" in ended.out


def test_an_authority_that_did_not_sign_is_exit_code_3_and_nothing_is_sent(cli, lab, tmp_path):
    from softphone.config import load_account

    port = load_account(lab["alice"]).config.server_uri.port
    junit, page = tmp_path / "cases.xml", tmp_path / "cases.html"
    ended = cli(
        *("load", "conformance", "--target", f"sips:600@127.0.0.1:{port}", "--ca", "system"),
        *("--junit", junit, "--report", page),
    )
    assert ended.code == 3, ended.err
    assert [case.find("error") is not None for case in ET.parse(junit).iter("testcase")] == [True]
    assert "No result:" in page.read_text()


def test_nobody_there_is_exit_code_1(cli, unused_tcp_port):
    target = f"sip:600@127.0.0.1:{unused_tcp_port};transport=tcp"
    assert cli("load", "conformance", "--target", target).code == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((), "--target: give a whole URI, or --account"),
        (("--target", "600"), "--target: give a whole URI, or --account"),
        (("--target", "sip:a@127.0.0.1", "--rate", "11"), "--rate 11: expected"),
        (("--target", "sip:a@127.0.0.1", "--rate", "nan"), "--rate nan: expected"),
        (("--target", "sip:a@127.0.0.1", "--answer-timeout", "0"), "--answer-timeout 0"),
        (("--target", "sip:a@127.0.0.1", "--call", "600"), "--call: a call needs --account"),
        (("--target", "sip:a@127.0.0.1", "--only", "x"), "--only x: there is no such case"),
        (("--target", "sip:a@127.0.0.1", "--fail-on", "x"), "--fail-on x: expected fail or dev"),
        (("--target", "sip:a@127.0.0.1", "--junit", "/none/x"), "--junit /none/x"),
        (("--target", "sip:a@127.0.0.1", "--annotations", "x"), "--annotations x"),
        (
            (
                "--target",
                "sip:a@127.0.0.1;transport=sctp",
            ),
            "transport",
        ),
    ],
)
def test_what_does_not_fit_is_exit_code_2(cli, given, told):
    ended = cli("load", "conformance", *given)
    assert ended.code == 2
    assert told in ended.err


@pytest.mark.parametrize("name", ["aor", "ca", "pin", "server_name"])
def test_what_the_account_file_says_is_refused_beside_it(silent, name):
    options = ConformanceOptions(
        account=silent.account(), target="600", **{name: ["x"] if name == "ca" else "x"}
    )
    with pytest.raises(ConfigurationError, match="the account file says it"):
        conformance_plan(options, ())


def test_a_uri_names_the_server_and_how_it_is_reached():
    plan = conformance_plan(ConformanceOptions(target="sip:b@[::1]:5070;transport=tcp"), ())
    assert plan.account.aor == "sip:conformance@[::1]"
    assert (plan.account.server_uri.host, plan.account.server_uri.port) == ("::1", 5070)
    assert plan.account.transport is Transport.TCP
    assert plan.account.registrar is None
    assert (plan.rate, plan.answer_timeout) == (4.0, 4.0)


def test_the_list_sends_nothing_and_names_every_case(cli):
    ended = cli("load", "conformance", "--list", "--json")
    listed = [each["name"] for each in ended.events if each["event"] == "case"]
    assert listed == [case.name for case in read_cases()]
    assert ended.code == 0
    shown = cli("load", "conformance", "--list", "--only", "corner-merged")
    assert "1 cases" not in shown.out
    assert "1 case" in shown.out
