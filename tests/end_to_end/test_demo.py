"""`softphone demo --json`: within 30 seconds, every step of the story, measured."""

from __future__ import annotations

import json
import subprocess
import sys


def test_the_demo_tells_its_whole_story_within_30_seconds():
    ended = subprocess.run(
        [sys.executable, "-m", "softphone", "demo", "--json"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [e["step"] for e in events if e["event"] == "step"] == [0, 1, 2, 3, 4, 5]

    registered = {e["user"]: e for e in events if e["event"] == "registered"}
    assert registered["alice"]["certificate"] == "sip:alice@127.0.0.1"
    assert registered["bob"]["transport"] == "tls"
    assert (registered["carol"]["transport"], registered["carol"]["certificate"]) == ("udp", None)

    locks = [(e["user"], e["security"]["lock"]) for e in events if e["event"] == "security"]
    assert locks == [
        ("alice", True),
        ("bob", True),
        ("alice", False),
        ("bob", False),
        ("carol", False),
        ("alice", True),
        ("bob", True),
    ]
    heard = [(e["user"], e["tone_hz"]) for e in events if e["event"] == "heard"]
    assert heard == [("alice", 660.0), ("bob", 440.0), ("alice", 880.0), ("carol", 660.0)]
    assert all(e["level_dbm0"] > -30 for e in events if e["event"] == "heard")

    suites = {e["user"]: e["suite"] for e in events if e["event"] == "statistics"}
    assert suites == {"alice": "AEAD_AES_256_GCM", "bob": "AEAD_AES_256_GCM", "carol": None}
    assert events[-1]["event"] == "summary"
    assert events[-1]["result"] == "completed"
