"""`softphone demo --json`: every step of the story, measured, for few seconds of the processor.

The fifth step, the chat, needs a real Prosody: it is in tests/peers.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys

import pytest

from softphone.trust.lists import can_encrypt_to
from tests.support.cisco import certificate

HANG = 120
"""Seconds that only a demo that hangs takes: how fast this machine is decides nothing."""


@pytest.fixture
def without_prosody(tmp_path, monkeypatch):
    """A Prosody that does not start: what this machine has installed decides nothing here."""
    path = tmp_path / "bin" / "prosody"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o700)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")


def processor_seconds():
    """What this process's children have used that have ended."""
    used = os.times()
    return used.children_user + used.children_system


@pytest.mark.usefixtures("without_prosody")
def test_the_demo_tells_its_whole_story():
    before = processor_seconds()
    ended = subprocess.run(
        [sys.executable, "-m", "softphone", "demo", "--json"],
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    # Beside the waits of its story, which last about ten seconds whatever the machine.
    assert processor_seconds() - before < 20
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [e["step"] for e in events if e["event"] == "step"] == [0, 1, 2, 3, 4]
    found = [(e["name"], e["number"]) for e in events if e["event"] == "contact"]
    assert found == [("Bob Example", "1002")]
    names = [(e["user"], e["name"]) for e in events if e["event"] == "name"]
    assert names == [("alice", "Bob Example"), ("bob", "Alice Example")]

    # The strict provider wraps no key as the format of these files has it.
    encrypts = can_encrypt_to(certificate("device/lsc-csf"), entropy=secrets.token_bytes)
    verified = [e for e in events if e["event"] == "verified"]
    for user, enrolls in (("alice", True), ("bob", True), ("carol", False)):
        steps = [e["step"] for e in verified if e["user"] == user]
        assert steps[:3] == ["list_accepted", "list_accepted", "configuration_verified"]
        assert ("enrolled" in steps) is enrolls
        assert steps[-1] == "registered"
        files = {e["file"]: e["basis"] for e in verified if e["user"] == user and e["basis"]}
        assert (f"CSF{user.upper()}.cnf.xml.enc.sgn" in files) is (enrolls and encrypts)
        assert files[f"CSF{user.upper()}.cnf.xml.sgn"] == "ctl"

    locks = [(e["user"], e["security"]["lock"]) for e in events if e["event"] == "security"]
    assert locks == [
        ("alice", True),
        ("bob", True),
        ("alice", False),
        ("carol", False),
        ("alice", True),
        ("bob", True),
    ]
    heard = [(e["user"], e["tone_hz"]) for e in events if e["event"] == "heard"]
    assert heard == [("alice", 660.0), ("bob", 440.0), ("alice", 880.0), ("alice", 660.0)]
    assert all(e["level_dbm0"] > -30 for e in events if e["event"] == "heard")

    suites = {e["user"]: e["suite"] for e in events if e["event"] == "statistics"}
    assert suites == {"alice": "AEAD_AES_256_GCM", "bob": "AEAD_AES_256_GCM", "carol": None}
    assert events[-1]["event"] == "summary"
    assert events[-1]["result"] == "completed"
