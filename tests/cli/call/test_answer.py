"""`softphone answer`."""

from __future__ import annotations

import signal

KEYS = ["event", "result", "status", "reason", "security", "audio", "video", "tls_key_log"]


def test_nobody_calls_in_time(cli, tmp_path):
    """Without a registrar, which the time would have to be enough for, too."""
    account = tmp_path / "bob.toml"
    account.write_text('aor = "sip:bob@127.0.0.1"\nlisten = "udp:127.0.0.1:0"\n')
    outcome = cli("answer", "--account", account, "--timeout", 0.2, "--json")
    assert outcome.code == 1
    assert (outcome.summary["result"], outcome.summary["status"]) == ("failed", 408)
    assert "0.2 seconds" in outcome.summary["reason"]


def test_a_call_is_answered_and_a_second_one_is_busy(cli, lab, start):
    callee = start("answer", "--account", lab["bob"], "--json")
    callee.until("registered")
    caller = start("call", "bob", "--account", lab["alice"], "--json")
    caller.until("answered")
    busy = cli("call", "bob", "--account", lab["dave"], "--json")
    assert (busy.code, busy.summary["status"]) == (1, 486)
    callee.until("busy")
    assert caller.end(signal.SIGINT).code == 130
    outcome = callee.outcome()
    assert outcome.code == 0
    assert list(outcome.summary) == KEYS
    assert outcome.summary["audio"]["suite"] == "AEAD_AES_256_GCM"
    assert {"incoming", "answered", "busy"} <= set(outcome.names())


def test_a_call_that_we_refuse_is_exit_3_and_says_why(lab, start):
    callee = start("answer", "--account", lab["bob"], "--json")
    callee.until("registered")
    start("call", "bob", "--account", lab["carol"], "--json").outcome()
    outcome = callee.outcome()
    assert outcome.code == 3
    assert outcome.summary["result"] == "refused"
    assert "srtp_required" in outcome.summary["security"]["shortfalls"]
    assert "SRTP is required" in outcome.summary["reason"]
    assert outcome.summary["audio"]["packets_sent"] == 0


def test_a_signal_while_waiting_unregisters(lab, start):
    callee = start("answer", "--account", lab["bob"], "--json", "--ladder")
    callee.until("registered")
    outcome = callee.end(signal.SIGTERM)
    assert outcome.code == 130
    assert outcome.summary["result"] == "failed"
    assert outcome.err.count("REGISTER (") >= 2


def test_header_fields_of_both_ends_are_told(lab, start):
    answer = ("--header", "X-Agent: seven", "--header", "X-Agent: eight")
    callee = start("answer", "--account", lab["bob"], "--json", *answer)
    callee.until("registered")
    fields = ("--header", "X-Order:7", "--header", "User-to-User: 4869;encoding=hex")
    caller = start("call", "bob", "--account", lab["alice"], "--json", "--duration", "0.2", *fields)
    called = caller.outcome()
    outcome = callee.outcome()
    assert called.code == outcome.code == 0
    (incoming,) = [each for each in outcome.events if each["event"] == "incoming"]
    assert incoming["dialed"] == "bob"
    assert incoming["assurance"] in ("claimed", "asserted")
    assert ["X-Order", "7"] in incoming["headers"]
    assert ["User-to-User", "4869;encoding=hex"] in incoming["headers"]
    (answered,) = [each for each in called.events if each["event"] == "answered"]
    assert [value for name, value in answered["headers"] if name == "X-Agent"] == ["seven", "eight"]


def test_a_header_that_is_not_the_user_s_is_a_usage_error(lab, cli):
    for wrong, words in (
        ("Via: x", "Via is written by softphone itself"),
        ("X-A", "expected NAME:VALUE"),
        ("X A: 1", "is no name of a header field"),
    ):
        outcome = cli("call", "bob", "--account", lab["alice"], "--header", wrong)
        assert outcome.code == 2
        assert words in outcome.err
