"""`softphone lab`."""

from __future__ import annotations

import json
import re
import signal
import stat
from pathlib import Path

import pytest

from softphone.config import load_account
from tests.support.processes import runs


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_with_json_it_prints_one_object_and_ends_with_0(start, tmp_path, number):
    folder = tmp_path / "lab"
    lab = start("lab", "--dir", folder, "--json")
    ready = json.loads(lab.until("ready"))
    places = {"sip_tls", "sip_tcp", "sip_udp", "capf", "tvs", "tftp", "http", "https", "uds"}
    places |= {"voicemail", "dns", "im_presence", "im_presence_xmpp"}
    places |= {"edge", "edge_sip", "dns_outside", "sign_on"}
    more = {"extensions", "accounts", "auth_strings", "signer_sha256", "directory", "chats"}
    more |= {"shared_lines", "presence_accounts", "sign_on_accounts"}
    assert set(ready) == {"event", "capf_orders", "mics", *places, *more}
    assert ready["capf_orders"] == {"CSFALICE": ["string"], "CSFBOB": ["string"]}
    assert set(ready["auth_strings"]) == {"CSFALICE", "CSFBOB"}
    assert len(bytes.fromhex(ready["signer_sha256"])) == 32
    assert all(ready[key].startswith("127.0.0.1:") for key in places)
    written = folder / "lab.json"
    assert {"event": "ready", **json.loads(written.read_text())} == ready
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    for path in map(Path, ready["accounts"].values()):
        assert path.parent == folder
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        load_account(path)
    outcome = lab.end(number)
    assert outcome.code == 0
    assert len(outcome.events) == 1
    assert outcome.err == ""


def test_without_json_it_says_how_to_reach_it_and_cuts_no_path(start, cli, tmp_path, monkeypatch):
    folder = tmp_path / ("a-rather-long-name-for-a-folder" * 4)
    lab = start("lab", "--dir", folder, COLUMNS="40")
    lab.until("Ctrl-C")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    sign_ins_run_as_they_are_printed(cli, lab.read)
    outcome = lab.end()
    assert outcome.code == 0
    for name in ("alice", "bob", "carol", "dave"):
        assert str(folder / f"{name}.toml") in outcome.out
    assert "sip_tls" in outcome.out
    assert "softphone boot CSFALICE --server http://127.0.0.1:" in outcome.out
    assert f"softphone call 600 --account {folder}/alice.toml" in outcome.out
    assert outcome.out.endswith("\nThe lab has ended.\n")


def sign_ins_run_as_they_are_printed(cli, lines):
    """One line signs a user in inside, one outside: each as it stands, and it ends at once."""
    printed = [line.split()[1:] for line in lines if " or: softphone sign-in " in line]
    ended = [cli(*words[1:], "--once", "--json") for words in printed]
    assert [each.code for each in ended] == [0, 0], [each.err for each in ended]
    for outcome, outside in zip(ended, (False, True), strict=True):
        services = outcome.summary["services"].values()
        assert {each["outcome"] for each in services} == {"signed in"}, outcome.out
        # What goes through an edge has no lock, whatever that edge has verified.
        assert [each["by_edge"] for each in services] == [outside] * len(services)
        assert [each["lock"] for each in services] == [not outside] * len(services)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_that_it_has_ended_once_its_folder_is_gone(start, tmp_path, number):
    lab = start("lab", TMPDIR=str(tmp_path))
    lab.until("Ctrl-C")
    outcome = lab.end(number)
    assert outcome.code == 0
    assert outcome.out.endswith("\nThe lab has ended, and its folder is removed.\n")
    assert list(tmp_path.iterdir()) == []


def test_how_devices_enroll_is_said_by_option(start, tmp_path):
    orders = ("CSFALICE=null-string", "CSFALICE=mic", "CSFBOB=string:4711", "CSFBOB=lsc")
    lab = start("lab", "--dir", tmp_path, *(text for one in orders for text in ("--capf", one)))
    lab.until("Ctrl-C")
    outcome = lab.end()
    assert outcome.code == 0
    said = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert "device CSFALICE enrolls by null-string, then mic" in said
    assert f"device CSFALICE MIC {tmp_path / 'CSFALICE-mic.pem'}" in said
    assert "device CSFBOB enrolls by string, then lsc (string: 4711)" in said
    (boot,) = [line for line in said if "softphone boot CSFALICE" in line]
    assert "--auth-string" not in boot


@pytest.mark.parametrize(
    ("orders", "why"),
    [
        (["CSFALICE=sudi"], "expected DEVICE=string"),
        (["CSFDAVE=lsc"], "CSFDAVE does not enroll"),
        (["CSFALICE=string", "CSFALICE=string"], "give the digits yourself, CSFALICE=string:1234"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_a_sentence(cli, tmp_path, orders, why):
    outcome = cli("lab", "--dir", tmp_path, *(text for one in orders for text in ("--capf", one)))
    assert outcome.code == 2
    assert why in outcome.err


def test_without_a_folder_it_cleans_up_after_itself(start, tmp_path):
    lab = start("lab", "--json", TMPDIR=str(tmp_path))
    ready = json.loads(lab.until("ready"))
    assert Path(ready["accounts"]["alice"]).exists()
    assert lab.end().code == 0
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_a_sentence(cli, tmp_path):
    (tmp_path / "file").touch()
    outcome = cli("lab", "--dir", tmp_path / "file", "--json")
    assert outcome.code == 2
    assert outcome.err.startswith("error: ")
    assert outcome.names() == ["error"]


def test_a_second_lab_in_the_folder_of_one_that_runs_is_refused(start, cli, tmp_path):
    lab = start("lab", "--dir", tmp_path, "--json")
    lab.until("ready")
    written = (tmp_path / "lab.json").read_bytes()
    outcome = cli("lab", "--dir", tmp_path)
    assert outcome.code == 1
    said = " ".join(outcome.err.split())
    number = re.match(r"error: another lab \(process (\d+)\) runs in ", said)[1]
    assert said.startswith(f"error: another lab (process {number}) runs in {tmp_path}: end it")
    assert runs(int(number))
    assert (tmp_path / "lab.json").read_bytes() == written
    assert lab.end().code == 0


def test_a_report_on_a_call_is_shown(start, tmp_path):
    lab = start("lab", "--dir", tmp_path, "--json")
    json.loads(lab.until("ready"))
    account = tmp_path / "alice.toml"
    quality = '[quality]\ncollector = "sip:collector@127.0.0.1"\n'
    account.write_text(account.read_text() + quality)
    call = start("call", "600", "--account", account, "--duration", "1", "--json")
    call.until("completed")
    told = json.loads(lab.until("voice_report"))
    lab.end()
    assert told["report"] == "VQSessionReport"
    assert "alice" in told["local"]
    assert "600" in told["remote"]
    assert {"mos", "mos_far", "loss", "round_trip_ms", "call_id"} < told.keys()


def test_it_has_as_many_users_as_a_load_needs_and_a_storm_has_to_wait(start, cli, tmp_path):
    folder = tmp_path / "lab"
    lab = start("lab", "--dir", folder, "--users", "8", "--register-rate", "1")
    lab.until("Ctrl-C")
    server = json.loads((folder / "lab.json").read_text())["sip_tls"]
    storm = cli(
        *("load", "run", "--registrar", f"sips:{server}", "--ca", folder / "ca.crt", "--json"),
        *("--user-template", "load{n:05}", "--password-file", f"{folder}/{{user}}.secret"),
        *("--scenario", "register-storm", "--user-count", "8", "--calls", "8", "--rate", "500"),
        *("--duration", "0.5"),
    )
    registrations = storm.summary["registrations"]
    assert 4 <= registrations["registered"] <= 6
    assert registrations["failed"]["503 Service Unavailable"] >= 2
    outcome = lab.end()
    assert outcome.code == 0
    assert f"load00001 to load00008, --password-file '{folder}/{{user}}.secret'" in outcome.out
    assert "account load" not in outcome.out


@pytest.mark.parametrize(
    "options", [("--users", "-1"), ("--users", "10001"), ("--register-rate", "0")]
)
def test_a_crowd_has_limits(cli, tmp_path, options):
    ended = cli("lab", "--dir", tmp_path / "lab", *options)
    assert ended.code == 2
    assert options[0] in ended.err
    assert not (tmp_path / "lab").exists()
