"""`softphone load run` without calls: registrations and subscriptions kept at a real lab."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest

from softphone.cli.load.options import LoadOptions
from softphone.cli.load.plan import expectations_of, plan_of
from softphone.errors import ConfigurationError
from softphone.load.plan import LoadPlan, WorkloadSpec

RUN = ("load", "run", "--calls", "4", "--rate", "50", "--duration", "1.2", "--tolerate-late", "50")


@pytest.fixture
def account(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text('aor = "sip:a@pbx.test"\nregistrar = "sips:pbx.test"\n')
    return file


def test_users_are_kept_through_an_outage_and_told_of_by_every_face(cli, lab, tmp_path):
    """One run, read as JSON lines, JUnit, a report, a series and a page of Prometheus."""
    report, junit, series = (tmp_path / name for name in ("r.html", "j.xml", "s.csv"))
    ended = cli(
        *RUN,
        *("--scenario", "subscriptions", "--event", "presence", "--account", lab["alice"]),
        *("--share-connection", "0", "--fault", "outage=400ms", "--prometheus", "0"),
        *("--aor", "alice"),
        *("--expect", "registered>=100%", "--expect", "subscribed>=100%"),
        *("--expect", "notification_p99<=20s", "--expect", "recovery_p50<=0.01ms"),
        *("--report", str(report), "--junit", str(junit), "--series", str(series), "--json"),
    )
    assert ended.code in (1, 4)
    summary = ended.summary
    assert summary["plan"]["workload"]["kind"] == "subscriptions"
    assert summary["registrations"]["registered"] == 1
    operations = summary["operations"]
    assert operations["subscription"]["succeeded"] == 1
    assert operations["notification"]["succeeded"] >= 1
    assert operations["recovery"]["attempted"] >= 1
    assert summary["injected"]["connections cut, all at once"] >= 1
    met = {verdict["expected"]: verdict["met"] for verdict in summary["verdicts"]}
    assert met["subscribed>=100%"]
    assert not met["recovery_p50<=0.01ms"]
    last = [event for event in ended.events if event["event"] == "second"][-1]
    assert set(last["operations"]) <= set(operations)
    page = report.read_text()
    assert "notification p50 / p95 / p99 / max, ms" in page
    assert "<h2>Recovery, a second</h2>" in page
    assert "<h2>Recovery: latency</h2>" in page
    assert ElementTree.parse(junit).getroot().tag == "testsuites"
    assert series.read_text().count("\n") >= 2


def test_a_handshake_rate_against_the_lab(cli, lab):
    ended = cli(
        *("load", "run", "--scenario", "handshakes", "--account", lab["alice"]),
        *("--resumed", "0", "--rate", "20", "--calls", "2", "--duration", "0.2"),
        *("--expect", "full_handshakes>=100%", "--tolerate-late", "50"),
    )
    assert ended.code in (0, 4)
    assert "full handshake: succeeded" in ended.out
    if ended.code == 0:
        assert re.search(r"valid, every verdict met: \d+ of \d+ full handshakes", ended.out)


# The plan -----------------------------------------------------------------------------------------


def plan(**given):
    return plan_of(LoadOptions(**given))


def test_kept_users_are_as_many_as_calls_and_all_of_a_file(account, tmp_path):
    made = plan(account=account, scenario="registered-users", calls=3, user_template="u{n}")
    assert (len(made.users), made.calls) == (3, 3)
    assert made.workload == WorkloadSpec("registered-users", kept=True)
    assert made.target == "sips:pbx.test"
    users = tmp_path / "users.csv"
    users.write_text("aor\nsip:a@pbx.test\nsip:b@pbx.test\n")
    made = plan(
        account=account,
        scenario="subscriptions",
        users=users,
        share_connection=0,
        expires=120,
        event="Presence",
        fault=["outage=30s", "wrong-password=50%"],
    )
    assert made.calls == 2
    assert made.workload == WorkloadSpec(
        "subscriptions", kept=True, share=0, expires=120, event="presence"
    )
    assert (made.faults.outage_every, sum(u.wrong_password for u in made.users)) == (30.0, 1)
    assert LoadPlan.from_plain(json.loads(json.dumps(made.to_plain()))) == made
    assert [len(share.users) for share in made.shares(1)] == [2]


def test_messages_take_their_server_from_the_table_im(tmp_path):
    file = tmp_path / "im.toml"
    file.write_text('[im]\njid = "a@chat.test"\npassword = "a secret"\n')
    file.chmod(0o600)
    made = plan(account=file, scenario="messages", user_template="u{n}", message_size=200)
    assert ([user.aor for user in made.users], made.target) == (["u1", "u2"], "chat.test")
    assert made.workload.size == 200
    for given, why in (
        ({}, "--user-template: messages go between users"),
        ({"aor": "sip:a@b"}, "--user-template: "),
        ({"user_template": "u{n}", "registrar": "sips:x"}, "--registrar: the file of --account"),
        ({"user_template": "u{n}", "fault": ["cut=1s"]}, "--fault cut=1s: messages makes no"),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(why)):
            plan(account=file, scenario="messages", **given)
    with pytest.raises(ConfigurationError, match="--account: give a file with a table"):
        plan(scenario="messages", user_template="u{n}")


def test_handshakes_have_one_user_and_the_server_of_the_target():
    made = plan(target="sips:pbx.test:5071", scenario="handshakes", resumed=100.0, rate=500.0)
    assert (len(made.users), made.target) == (1, "sips:pbx.test:5071")
    assert made.workload.resumed == 1.0


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"scenario": "registered-users", "srtp": "off"}, "--srtp: registered-users has no calls"),
        ({"scenario": "registered-users", "target": "1"}, "--target: users who stay registered"),
        ({"scenario": "registered-users", "event": "x"}, "--event: that is not for registered-us"),
        ({"scenario": "handshakes", "expires": 9}, "--expires: that is not for handshakes"),
        ({"scenario": "handshakes", "resumed": 101.0}, "101 % resumed"),
        ({"scenario": "handshakes", "allow_exec": True}, "--allow-exec: "),
        ({"scenario": "handshakes", "register": False}, "--no-register: "),
        ({"scenario": "handshakes", "total_calls": 1}, "--total-calls: "),
        ({"scenario": "subscriptions", "fault": ["loss=1%"]}, "--fault loss=1%: "),
        ({"scenario": "echo", "target": "1", "resumed": 1.0}, "--resumed: that is for runs with"),
        ({"scenario": "echo", "target": "1", "fault": ["outage=1s"]}, "--fault outage"),
        ({"scenario": "registered-users", "share_connection": -1}, "-1 users a connection"),
        ({"scenario": "registered-users", "expires": -1}, "-1 s until expiry"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_sent(account, given, why):
    with pytest.raises(ConfigurationError, match=re.escape(why)):
        plan(account=account, **given)


def test_messages_of_no_sensible_size_are_refused():
    with pytest.raises(ConfigurationError, match="messages of 3 octets"):
        WorkloadSpec("messages", size=3)


@pytest.mark.parametrize(
    ("scenario", "expected", "why"),
    [
        ("handshakes", "answered>=99%", "handshakes does not measure that; expected full_handsha"),
        ("registered-users", "delivered>=99%", "registered-users does not measure that"),
        ("registered-users", "suite=clear", "registered-users does not measure that"),
        ("echo", "refreshed>=99%", "echo has calls, and no such operations"),
    ],
)
def test_what_a_run_does_not_measure_cannot_be_expected(scenario, expected, why):
    with pytest.raises(ConfigurationError, match=re.escape(why)):
        expectations_of(LoadOptions(scenario=scenario, expect=[expected]))


def test_what_a_run_measures_can_be_expected():
    texts = ["registered>=100%", "refresh_p99<=1s", "full_recovery_p50<=30s", "recovery_rate>=1/s"]
    found = expectations_of(LoadOptions(scenario="registered-users", expect=texts))
    assert [each.figure.unit for each in found] == ["%", "ms", "ms", "/s"]
    with pytest.raises(ConfigurationError, match="is in percent"):
        expectations_of(LoadOptions(scenario="registered-users", expect=["recovered>=0.99"]))
