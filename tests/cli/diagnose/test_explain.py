"""`softphone explain`: a table for people, an object a finding for scripts."""

from __future__ import annotations

from tests.diagnostics.test_refusal_analysis import CM_80, OFFER, OTHER, sdp

BAD = OFFER + sdp(crypto=[f"2 {CM_80} inline:{OTHER}"])


def test_a_file_is_explained(cli, tmp_path):
    path = tmp_path / "call.txt"
    path.write_text(BAD)
    outcome = cli("explain", str(path))
    assert outcome.code == 0
    assert "a=crypto:2" in outcome.out
    assert "m-line 1" in outcome.out
    assert OTHER not in outcome.out


def test_scripts_get_an_object_each(cli, tmp_path):
    path = tmp_path / "call.txt"
    path.write_text(BAD)
    outcome = cli("explain", str(path), "--json")
    assert '"event": "finding"' in outcome.out
    assert outcome.summary["result"] == "completed"


def test_nothing_found_is_1_and_no_file_is_2(cli, tmp_path):
    path = tmp_path / "call.txt"
    path.write_text(OFFER + sdp(crypto=[f"1 {CM_80} inline:{OTHER}"]))
    assert cli("explain", str(path)).code == 1
    path.write_text("hello\n")
    outcome = cli("explain", str(path))
    assert outcome.code == 2
    assert f"nor a command's --json in {path}" in " ".join(outcome.err.split())
    outcome = cli("explain", str(tmp_path / "none"))
    assert outcome.code == 2
    assert "cannot be read" in outcome.err


def test_a_challenge_that_was_answered_is_said_to_be_no_refusal(cli, lab, tmp_path):
    registered = cli("register", "--account", lab["carol"], "--once", "--ladder", "--json")
    assert "401 Unauthorized" in registered.err
    ladder = tmp_path / "ladder"
    ladder.write_text(registered.err)
    outcome = cli("explain", ladder, "--json")
    assert outcome.code == 1
    assert outcome.names() == ["error", "summary"]
    assert outcome.summary["reason"] == (
        "nothing in it speaks against the call: 1 challenge (401, 407) was answered with"
        " credentials, which is no refusal"
    )
