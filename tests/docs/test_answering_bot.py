"""The page "An answering bot": its program runs, and is called."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

from tests.docs.test_blocks import PROJECT, beside_a_lab, blocks_of, environment

__all__ = ["beside_a_lab"]

PAGE = PROJECT / "docs" / "guides" / "answering-bot.md"


def test_a_caller_is_heard_recorded_and_transferred(beside_a_lab):
    program = next(found["source"] for found in blocks_of(PAGE) if found["kind"] == "python")
    (beside_a_lab / "agent.py").write_text(program)
    command = [sys.executable, "agent.py"]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as agent:
        try:
            assert agent.stdout.readline() == "ready\n"
            call = ["softphone", "call", "bob", "--account", "lab/alice.toml", "--digits", ",123"]
            called = subprocess.run(
                [*call, "--duration", "4", "--json"],
                env=environment(),
                capture_output=True,
                text=True,
                timeout=40,
                check=False,
            )
        finally:
            agent.send_signal(signal.SIGTERM)
        _, log = agent.communicate(timeout=90)
    assert called.returncode == 0, called.stdout + called.stderr
    assert json.loads(called.stdout.splitlines()[-1])["result"] == "completed"
    assert agent.returncode == 0, log
    assert "1001 calls" in log
    assert "1001 pressed '123'" in log
    assert "not transferred" not in log
    assert "Traceback" not in log
    (recording,) = beside_a_lab.glob("*.wav")
    assert recording.stat().st_size > 10_000
