"""`softphone load run --tls-key-log`: the keys of all workers, and a run that is marked."""

from __future__ import annotations

import stat
from xml.etree import ElementTree as ET

import pytest

from softphone.cli.load.key_log import keyed_plan
from softphone.cli.load.options import LoadOptions
from softphone.load.plan import LoadPlan

LABEL = "CLIENT_TRAFFIC_SECRET_0 "
OPTIONS = "<scenario><recv request='OPTIONS' /></scenario>"
TIMED = {"calls": 2, "rate": 50.0, "duration": 0.5}


class Warnings:
    """Takes the warnings of a command."""

    def __init__(self):
        self.said = []

    def warn(self, sentence):
        self.said.append(sentence)


def test_two_workers_log_their_keys_to_one_file_and_the_run_is_marked(
    cli, lab, tmp_path, worker_id
):
    number = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 8
    first = 52000 + number % 9 * 100
    path, junit, report = (tmp_path / name for name in ("keys.log", "load.xml", "load.html"))
    ended = cli(
        *("load", "run", "--target", "600", "--calls", "2", "--rate", "20", "--duration", "1"),
        *("--account", lab["alice"], "--ports", f"{first}-{first + 99}", "--workers", "2"),
        *("--tls-key-log", path, "--junit", junit, "--report", report, "--json"),
    )
    assert ended.summary["calls"]["answered"] == 2, ended.summary
    lines = path.read_text().splitlines()
    assert sum(line.startswith(LABEL) for line in lines) == 2
    # Lines of both processes are whole.
    assert {len(line.split(" ")) for line in lines if line[:1] != "#"} == {3}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ended.summary["plan"]["tls_key_log"] == str(path)
    assert f"TLS keys are logged to {path}" in " ".join(ended.err.split())
    properties = ET.parse(junit).getroot().iter("property")
    assert {each.get("name"): each.get("value") for each in properties}["tls_key_log"] == str(path)
    assert "TLS keys logged to" in report.read_text()


def test_a_run_without_the_option_is_not_marked(cli, lab):
    ended = cli(
        *("load", "run", "--scenario", "handshakes", "--resumed", "0", "--account", lab["alice"]),
        *("--calls", "1", "--rate", "10", "--duration", "0.5", "--json"),
    )
    assert ended.summary["plan"]["tls_key_log"] is None


def test_handshakes_and_scenarios_of_sipp_log_theirs(cli, lab, tmp_path):
    path, scenario = tmp_path / "keys.log", tmp_path / "options.xml"
    account = ("--account", lab["alice"], "--tls-key-log", path)
    cli(
        *("load", "run", "--scenario", "handshakes", "--resumed", "0", *account),
        *("--calls", "1", "--rate", "10", "--duration", "0.5"),
    )
    handshakes = path.read_text().count(LABEL)
    assert handshakes >= 3
    scenario.write_text(
        """<scenario><send><![CDATA[
          OPTIONS sip:[service]@[remote_ip]:[remote_port] SIP/2.0
          Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
          From: <sip:load@[local_ip]>;tag=[pid]a[call_number]
          To: <sip:[service]@[remote_ip]:[remote_port]>
          Call-ID: [call_id]
          CSeq: [cseq] OPTIONS
          Content-Length: 0
        ]]></send><recv response="200" /></scenario>"""
    )
    ended = cli("load", "run", "--sipp", scenario, "--target", "600", "-m", "1", *account)
    assert path.read_text().count(LABEL) == handshakes + 1
    assert "TLS keys logged to" in ended.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--ray", "auto"), "workers of --ray would leave keys on other machines"),
        (("--no-register",), "the run has no TLS, and no keys to log"),
    ],
)
def test_what_cannot_be_kept_to_one_file_of_ours_is_refused(cli, tmp_path, words, told):
    path = tmp_path / "keys.log"
    target = "sip:a@127.0.0.1:9;transport=tcp"
    ended = cli("load", "run", "--target", target, "--tls-key-log", path, *words)
    assert ended.code == 2
    assert f"--tls-key-log: {told}" in " ".join(ended.err.split())
    assert not path.exists()


def test_a_scenario_that_waits_has_tls_where_it_listens_with_it(tmp_path):
    scenario, path = tmp_path / "waits.xml", tmp_path / "keys.log"
    scenario.write_text(OPTIONS)
    options = LoadOptions(sipp=scenario, listen="tls:127.0.0.1:0", tls_key_log=path)
    output = Warnings()
    plan = keyed_plan(output, options)
    assert plan.tls_key_log == str(path)
    assert LoadPlan.from_plain(plan.to_plain()) == plan
    assert len(output.said) == 1
