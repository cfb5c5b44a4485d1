"""`softphone load run` against a lab that dies, or stands still, while calls are up."""

from __future__ import annotations

import json
import signal

import pytest


@pytest.mark.parametrize(
    ("number", "cause"),
    [(signal.SIGKILL, "connection lost"), (signal.SIGSTOP, "media_stopped")],
)
def test_calls_whose_server_is_gone_are_dropped(start, tmp_path, worker_id, number, cause):
    lab = start("lab", "--dir", tmp_path / "lab", "--json", real=True)
    account = json.loads(lab.until("ready"))["accounts"]["alice"]
    first = 51800 + int(worker_id.removeprefix("gw") if worker_id.startswith("gw") else 8) % 9 * 10
    ways = ("--calls", 2, "--rate", 20, "--duration", 5, "--ports", f"{first}-{first + 9}")
    wanted = ("--expect", "answered>=100%", "--expect", "dropped<=0%", "--tolerate-late", 99)
    run = start("load", "run", "--account", account, "--target", "600", *ways, *wanted, "--json")
    while not json.loads(run.until('"second"'))["packets"]["received"]:
        pass
    lab.process.send_signal(number)
    ended = run.outcome()
    assert ended.summary["calls"]["answered"] == 2
    assert ended.summary["calls"]["dropped"] == {cause: 2}
    assert ended.summary["calls"]["ended"] == {cause: 2}
    assert [verdict["met"] for verdict in ended.summary["verdicts"]] == [True, False]
    assert ended.code != 0
    assert "not met: dropped<=0% (measured: 100" in ended.err
