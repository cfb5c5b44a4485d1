"""What the commands say of a trunk: its server is asked by OPTIONS, and none registers."""

from __future__ import annotations

import socket

import pytest

from softphone.cli.console.trunk_text import trunk_sentence
from softphone.events import TrunkChanged, TrunkState


@pytest.fixture
def trunk(lab):
    """`trunk(more)`: an account file of alice's whose server is the lab, without a registrar."""
    made = []

    def make(more="options_interval = 60", server=None):
        text = lab["alice"].read_text()
        (line,) = [each for each in text.splitlines() if each.startswith("registrar")]
        place = line.partition('"')[2].rstrip('"') if server is None else server
        text = text.replace(line, f'outbound_proxy = "{place}"\n{more}')
        path = lab["alice"].with_name(f"trunk{len(made)}.toml")
        path.write_text(text)
        made.append(path)
        return path

    yield make
    for path in made:
        path.unlink()


@pytest.fixture
def nobody():
    """A port of TCP on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def told(outcome):
    return [event for event in outcome.events if event["event"] == "trunk"]


def test_register_asks_the_trunks_server_and_tells_its_state(start, trunk):
    phone = start("register", "--account", trunk(), "--json")
    assert '"ready"' in phone.until('"status": 200')
    outcome = phone.end()
    assert outcome.code == 130
    assert [each["state"] for each in told(outcome)] == ["checking", "ready"]
    assert {each["server"] for each in told(outcome)} == {told(outcome)[0]["server"]}
    assert "registration" not in outcome.names()
    assert outcome.summary["reason"] == "interrupted"


def test_once_reports_the_answer_and_leaves(cli, trunk):
    outcome = cli("register", "--account", trunk(), "--once")
    assert outcome.code == 0
    assert "is ready (200 OK to OPTIONS)" in outcome.out
    assert "registered" not in outcome.out


@pytest.mark.parametrize("command", ["register", "doctor"])
def test_a_listener_whose_trunk_is_down_is_told_so(cli, trunk, nobody, command):
    listens = 'options_interval = 60\nlisten = "tcp:127.0.0.1:0"\naccept_from = ["127.0.0.1"]'
    path = trunk(listens, server=f"sip:127.0.0.1:{nobody};transport=tcp")
    once = ("--once",) if command == "register" else ()
    outcome = cli(command, "--account", path, *once, "--json")
    assert outcome.code == 1
    if command == "register":
        assert [each["state"] for each in told(outcome)] == ["checking", "down"]
        assert "is down: " in outcome.summary["reason"]


def test_answer_tells_it_while_it_waits(start, trunk):
    listens = 'options_interval = 60\nlisten = "tls:127.0.0.1:0"\naccept_from = ["127.0.0.1"]'
    phone = start("answer", "--account", trunk(listens), "--json")
    phone.until('"ready"')
    outcome = phone.end()
    assert outcome.code == 130
    assert [each["state"] for each in told(outcome)] == ["checking", "ready"]
    assert "listening" in outcome.names()


def test_a_call_tells_over_which_server_it_goes(cli, trunk):
    outcome = cli("call", "601", "--account", trunk(), "--duration", 0.2, "--json")
    assert outcome.code == 0
    assert [each["state"] for each in told(outcome)] == ["checking", "ready"]


def test_a_trunk_that_is_not_asked_says_how_it_would_be(cli, trunk):
    outcome = cli("register", "--account", trunk(more=""), "--once")
    assert outcome.code == 2
    assert "no registrar to register with; with options_interval" in outcome.err


def test_doctor_asks_the_trunks_server(cli, trunk):
    outcome = cli("doctor", "--account", trunk())
    assert outcome.code == 0, outcome.err
    (line,) = [each for each in outcome.out.splitlines() if "registration" in each]
    assert "is ready (200 OK to OPTIONS)" in line


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (TrunkChanged(TrunkState.CHECKING, "sips:a"), "asking sips:a by OPTIONS"),
        (
            TrunkChanged(TrunkState.READY, "sips:a", 405, ""),
            "the trunk to sips:a is ready (405 to OPTIONS)",
        ),
        (
            TrunkChanged(TrunkState.DOWN, "sips:a", 503, "Busy"),
            "the trunk to sips:a is down: 503 Busy",
        ),
    ],
)
def test_each_state_has_its_words(event, sentence):
    assert trunk_sentence(event) == sentence
