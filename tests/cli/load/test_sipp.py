"""`softphone load run --sipp`: options, refusals by line, and calls to a lab over TLS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.cli.load.options import LoadOptions
from softphone.cli.load.plan import expectations_of, plan_of
from softphone.errors import ConfigurationError
from softphone.load.sipp import SippRunner

REGISTER = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="register">
  <send retrans="500"><![CDATA[
      REGISTER sip:[remote_ip] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: <sip:[field0]@127.0.0.1>;tag=[pid]a[call_number]
      To: <sip:[field0]@127.0.0.1>
      Call-ID: [call_id]
      CSeq: [cseq] REGISTER
      Contact: <sip:[field0]@[local_ip]:[local_port];transport=[transport]>
      Max-Forwards: 70
      Expires: 60
      Content-Length: 0
  ]]></send>
  <recv response="401" auth="true" />
  <send retrans="500"><![CDATA[
      REGISTER sip:[remote_ip] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: <sip:[field0]@127.0.0.1>;tag=[pid]a[call_number]
      To: <sip:[field0]@127.0.0.1>
      Call-ID: [call_id]
      CSeq: [cseq] REGISTER
      Contact: <sip:[field0]@[local_ip]:[local_port];transport=[transport]>
      [authentication]
      Max-Forwards: 70
      Expires: 60
      Content-Length: 0
  ]]></send>
  <recv response="200" />
</scenario>
"""
WAITING = """<scenario>
  <recv request="OPTIONS" />
  <send><![CDATA[
      SIP/2.0 200 OK
      [last_Via:]
  ]]></send>
</scenario>
"""


@pytest.fixture
def files(tmp_path):
    """A scenario that registers, one that waits, and an injection file."""
    paths = tmp_path / "register.xml", tmp_path / "waiting.xml", tmp_path / "users.csv"
    for path, text in zip(paths, (REGISTER, WAITING, "SEQUENTIAL\ndave;x\n"), strict=True):
        path.write_text(text)
    return paths


def test_a_scenario_registers_over_tls_with_the_accounts_password(cli, lab, files):
    """The account says whom to believe, and has the password; no MD5 is needed."""
    scenario, _, users = files
    ended = cli(
        *("load", "run", "--sipp", scenario, "--inf", users, "--account", lab["dave"]),
        *("--target", "600", "--total-calls", "3", "--rate", "20", "--json"),
        *("--expect", "answered>=100%", "--expect", "registered>=100%"),
    )
    summary = ended.summary
    assert summary["calls"]["answered"] == 3, summary["calls"]
    assert summary["registrations"]["registered"] == 3
    assert [verdict["met"] for verdict in summary["verdicts"]] == [True, True]
    assert summary["plan"]["scenario"] == "register.xml"
    assert summary["plan"]["aor"].startswith("sip:dave@")
    assert ended.code == (0 if summary["valid"] else 4)


def test_a_verdict_that_is_not_met_is_exit_code_1(cli, lab, files, monkeypatch):
    monkeypatch.setattr(
        "softphone.load.sipp.runner.BottleneckDetector.invalid_reasons", lambda watch: ()
    )
    scenario, _, _ = files
    ended = cli(
        *("load", "run", "--sipp", scenario, "--account", lab["dave"], "--target", "600"),
        # The server answers no request of a user without a name.
        *("--total-calls", "1", "--expect", "answered>=100%", "--answer-timeout", "0.5"),
    )
    assert ended.code == 1  # without its file the user has no name
    assert "not met: answered>=100% (measured: 0" in ended.out


def test_credentials_that_are_refused_are_called_so_with_the_step(cli, lab, files, tmp_path):
    scenario, _, users = files
    wrong = tmp_path / "wrong.secret"
    wrong.write_text("wrong")
    wrong.chmod(0o600)
    ended = cli(
        *("load", "run", "--sipp", scenario, "--inf", users, "--account", lab["dave"]),
        *("--target", "600", "--total-calls", "2", "--password-file", wrong, "--json"),
    )
    line = REGISTER.splitlines().index('  <recv response="200" />') + 1
    refused = "the credentials were refused (401 Unauthorized)"
    assert ended.summary["calls"]["failed"] == {
        f'{refused} at <recv response="200"> in line {line}': 2
    }


def test_an_authority_that_did_not_sign_is_exit_code_3(cli, files, lab):
    scenario, _, users = files
    ended = cli(
        *("load", "run", "--sipp", scenario, "--inf", users, "--total-calls", "1"),
        *("--target", f"sips:600@127.0.0.1:{_tls_port(lab['alice'])}", "--ca", "system"),
    )
    assert ended.code == 3, ended.err
    assert "hint: put the issuing CA's certificate into --ca FILE, or give the SHA-256" in ended.err
    assert "--accept-fingerprint" not in ended.err


def _tls_port(account):
    from softphone.config import load_account

    return load_account(account).config.server_uri.port


def test_what_is_not_supported_is_exit_code_2_with_its_line(cli, files, tmp_path):
    scenario = tmp_path / "unknown.xml"
    scenario.write_text("<scenario>\n<sample />\n<recv request='A' />\n</scenario>")
    ended = cli("load", "run", "--sipp", scenario, "--target", "sip:a@127.0.0.1")
    assert ended.code == 2
    assert f"{scenario}:2: <sample> is not supported" in ended.err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "--target: .* needs somebody to call"),
        ({"target": "sip:a@127.0.0.1", "users": "u.csv"}, "--users: .* says itself"),
        ({"target": "sip:a@127.0.0.1", "suite": ["x"]}, "--suite: .* says itself"),
        ({"target": "sip:a@127.0.0.1", "scenario": "pair"}, "--scenario pair"),
        ({"target": "sip:a@127.0.0.1", "total_calls": 0}, "--total-calls 0"),
        ({"target": "sip:a@127.0.0.1", "sipp_key": ["x"]}, "--sipp-key x: expected NAME=VALUE"),
        ({"target": "sip:a@127.0.0.1", "hold": "never"}, "hold 'never'"),
        ({"target": "sip:a@127.0.0.1", "hold": "5", "pause": "1"}, "--pause: --hold says"),
        ({"target": "sip:a@127.0.0.1", "pause": "1d"}, "--pause 1d: expected milliseconds"),
        ({"target": "sip:a@127.0.0.1", "rate_period": "0"}, "--rate-period 0: expected more"),
        (
            {"target": "sip:a@127.0.0.1", "rate_period": "2s", "arrival": "ramp:1-5:3"},
            "--rate-period: --arrival ramp:1-5:3 says itself",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(files, given, told):
    with pytest.raises(ConfigurationError, match=told):
        plan_of(LoadOptions(sipp=files[0], **given))


@pytest.mark.parametrize(
    "text",
    [
        *("mos_p5>=4", "audio>=99%", "loss<=1%", "loss_p95<=1%", "jitter_p95<=5", "late<=1%"),
        *("lateness_p99<=5", "dropped<=1%", "suite=clear"),
    ],
)
def test_an_expectation_that_no_scenario_measures_is_refused_before_anything_is_sent(
    cli, files, text
):
    ended = cli(
        *("load", "run", "--sipp", files[0], "--target", "sip:a@127.0.0.1:9", "--expect", text)
    )
    assert ended.code == 2
    why = "does not say" if text.startswith(("audio", "dropped")) else "runs without media"
    assert f"--expect {text}: {files[0]} {why}" in ended.err
    expectations_of(LoadOptions(expect=[text], target="600"))


@pytest.mark.parametrize("text", ["mos_p5>=4", "loss<=1%", "jitter_p95<=5", "late<=1%"])
def test_a_scenario_with_media_is_judged_by_them(files, text):
    options = LoadOptions(sipp=files[1], listen="udp:127.0.0.1:0", rtp_echo=True, expect=[text])
    assert len(expectations_of(options)) == 1
    assert plan_of(options).sipp.rtp_echo
    with pytest.raises(ConfigurationError, match=r"waiting\.xml runs without media"):
        expectations_of(replace(options, rtp_echo=False))


def test_no_scenario_says_what_only_a_phone_hears(files):
    with pytest.raises(ConfigurationError, match=r"audio>=99%: .* does not say, so that it is not"):
        expectations_of(LoadOptions(sipp=files[1], rtp_echo=True, expect=["audio>=99%"]))


def test_an_expectation_of_what_a_scenario_measures_is_taken(files):
    names = ("answered>=99%", "failed<=1%", "registered>=99%", "setup_p99<=1s")
    texts = [*names, "registration_p95<=1s"]
    assert len(expectations_of(LoadOptions(sipp=files[0], expect=texts))) == len(texts)


COMMANDED = "<scenario><sendCmd>Call-ID: [call_id]</sendCmd><recv request='A' /></scenario>"


@pytest.mark.parametrize(
    ("scenario", "twin", "told"),
    [
        (COMMANDED, None, r"--twin: .* has <sendCmd>; give HOST:PORT"),
        (COMMANDED, "192.0.2.1:6000", "--twin 192.0.2.1:6000: expected HOST:PORT of this machine"),
        (WAITING, "127.0.0.1:6000", "--twin 127.0.0.1:6000: .* has no command for it"),
    ],
)
def test_commands_need_a_twin_of_this_machine(tmp_path, scenario, twin, told):
    path = tmp_path / "a.xml"
    path.write_text(scenario)
    options = LoadOptions(sipp=path, listen="udp:127.0.0.1:0", twin=twin)
    with pytest.raises(ConfigurationError, match=told):
        plan_of(options)


def test_a_scenario_with_a_twin_is_of_one_worker(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(COMMANDED)
    options = LoadOptions(sipp=path, listen="udp:127.0.0.1:0", twin="127.0.0.1:6000")
    spec = plan_of(options).sipp
    assert spec.twin == "127.0.0.1:6000"
    with pytest.raises(ConfigurationError, match="--twin connects two runs, not more"):
        replace(spec, listen=None).check_workers(2)
    with pytest.raises(ConfigurationError, match=r"--twin: .* has <sendCmd>"):
        SippRunner(
            replace(plan_of(options), sipp=replace(spec, twin=None)), on_second=lambda second: None
        )


def test_a_scenario_that_waits_needs_an_address(files):
    with pytest.raises(ConfigurationError, match=r"--listen: .* waits for calls"):
        plan_of(LoadOptions(sipp=files[1]))
    made = plan_of(LoadOptions(sipp=files[1], listen="udp:127.0.0.1:0"))
    assert made.sipp.listen == "udp:127.0.0.1:0"
    assert made.target is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"inf": ["a"]}, "--inf: that is for a SIPp scenario"),
        ({"listen": "udp:127.0.0.1:0"}, "--listen: that is for a SIPp scenario"),
        ({"rtp_echo": True}, "--rtp-echo: that is for a SIPp scenario"),
        ({"allow_exec": True}, "--allow-exec: that is for a SIPp scenario"),
        ({"total_calls": 5}, "--total-calls: that is for a SIPp scenario"),
        ({"pause": "500"}, "--pause: that is for a SIPp scenario"),
        ({"rate_period": "500"}, "--rate-period: that is for a SIPp scenario"),
    ],
)
def test_options_of_scenarios_are_refused_without_one(given, told):
    with pytest.raises(ConfigurationError, match=told):
        plan_of(LoadOptions(target="sip:a@127.0.0.1;transport=tcp", **given))


@pytest.mark.parametrize(
    ("period", "rate"),
    [("1000", 20.0), ("2000", 10.0), ("500ms", 40.0), ("5s", 4.0), ("1m", 1 / 3), ("0.5h", 1 / 90)],
)
def test_the_rate_counts_calls_in_its_period_as_sipp_has_it(files, period, rate):
    options = LoadOptions(sipp=files[0], target="sip:a@127.0.0.1", rate=20.0, rate_period=period)
    assert plan_of(options).rate == pytest.approx(rate)


@pytest.mark.parametrize(("pause", "hold"), [("2000", "2.0"), ("3s", "3.0"), ("0", None)])
def test_the_length_of_pauses_is_in_milliseconds_as_sipp_has_it(files, pause, hold):
    options = LoadOptions(sipp=files[0], target="sip:a@127.0.0.1", pause=pause)
    assert plan_of(options).hold == hold


def test_a_run_takes_the_short_options_of_sipp(cli, lab, files):
    scenario, _, users = files
    scenario.write_text(REGISTER.replace("</scenario>", "<pause /></scenario>"))
    ended = cli(
        *("load", "run", "--sipp", scenario, "--inf", users, "--account", lab["dave"]),
        *("--target", "600", "-r", "10", "-rp", "500", "-l", "2", "-m", "3", "-d", "300"),
        "--json",
    )
    plan, calls = ended.summary["plan"], ended.summary["calls"]
    assert (plan["rate"], plan["calls"], plan["hold"]) == (20.0, 2, "0.3")
    assert calls["answered"] == 3, calls
    # At most two at once, each of which pauses: the third begins when the first has ended.
    assert calls["most_up"] == 2
    assert calls["held_back_s"] > 0.1


def test_short_options_that_only_scenarios_have_are_wrong_usage_without_one(cli):
    for words in (("-m", "3"), ("-d", "300"), ("-rp", "500")):
        ended = cli("load", "run", "--target", "sip:a@127.0.0.1", *words)
        assert ended.code == 2
        assert "that is for a SIPp scenario (--sipp)" in ended.err


def test_a_scenario_is_imported_as_python_that_runs(cli, lab, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scenario, _, users = files
    ended = cli("load", "import", scenario)
    assert ended.code == 0, ended.err
    assert "written: register.py; run it with: softphone load run --sipp register.py" in ended.out
    assert (tmp_path / "register.py").stat().st_mode & 0o777 == 0o600
    ended = cli(
        *("load", "run", "--sipp", "register.py", "--inf", users, "--account", lab["dave"]),
        *("--target", "600", "--total-calls", "2", "--rate", "20", "--json"),
    )
    assert ended.summary["registrations"]["registered"] == 2
    assert ended.summary["plan"]["scenario"] == "register.py"


@pytest.mark.parametrize(
    ("text", "output", "code", "told"),
    [
        ("<scenario>\n<sample />\n</scenario>", "a.py", 2, ".xml:2: <sample> is not supported"),
        (WAITING, "here.py", 2, "it is there already; give another name"),
        (WAITING, "a.txt", 2, "a file of Python ends in .py"),
        (WAITING, "none/a.py", 1, "cannot be written: No such file or directory"),
    ],
)
def test_nothing_is_written_of_what_cannot_be_imported(cli, tmp_path, text, output, code, told):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "here.py").write_text("mine")
    scenario = tmp_path / "given.xml"
    scenario.write_text(text)
    ended = cli("load", "import", scenario, "--output", folder / output)
    assert (ended.code, told in ended.err) == (code, True), ended.err
    assert [path.name for path in folder.rglob("*")] == ["here.py"]
    assert (folder / "here.py").read_text() == "mine"
