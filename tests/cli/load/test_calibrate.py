"""`softphone load calibrate`: what it keeps, and what runs say of it."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from softphone.cli.load.calibrate import _far_end
from softphone.cli.load.kept_limits import known_limit
from softphone.errors import SoftphoneError
from softphone.load import BaseSpec, LoadPlan, LoadResult, UserSpec
from softphone.load.plan import SippSpec
from tests.support.waiting import PATIENCE

CALIBRATE = ("load", "calibrate", "--calls", "1", "--most", "2", "--rate", "40", "--duration")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "softphone" / "generator-limits.json"


def test_what_is_found_is_kept_and_runs_say_their_share(cli, kept, lab):
    ended = cli(*CALIBRATE, "0.5", "--confirm", "1", "--json")
    trials = [event for event in ended.events if event["event"] == "trial"]
    assert trials, ended.err
    if not all(trial["held"] for trial in trials):  # a machine that is too busy for two calls
        assert ended.code == 1 or json.loads(kept.read_text())
        return
    assert ended.code == 0, ended.err
    assert ended.summary["capacity"]["calls"] == 2
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    limits = json.loads(kept.read_text())["limits"]
    assert [(each["calls"], each["at_least"]) for each in limits] == [(2, True)]
    limits[0] |= {"calls": 1, "at_least": False}
    kept.write_text(json.dumps({"limits": limits}))
    run = ("load", "run", "--account", lab["alice"], "--target", "600", "--calls", "2")
    ended = cli(*run, "--rate", "40", "--duration", "0.3", "--json", "--tolerate-late", "99")
    assert "itself held 1 at most when it was calibrated" in ended.err
    assert ended.summary["generator"]["calls"] == 1
    kept.write_text("[]")
    ended = cli(*run, "--rate", "40", "--duration", "0.3", "--json", "--tolerate-late", "99")
    assert "generator-limits.json holds no limits" in ended.err
    assert ended.summary["generator"] is None


def test_wrong_usage_calls_nobody_and_keeps_nothing(cli, kept):
    for option, value, words in (
        ("--most", "0", "--most 0: expected at least 1"),
        ("--confirm", "0", "--confirm 0: expected 1 or more"),
        ("--precision", "1", "--precision 1: expected a share"),
        ("--workers", "0", "--workers 0: expected 1 or more"),
        ("--suite", "ROT13", "ROT13"),
        ("--sockets", "some", "--sockets some: expected per-call or shared"),
    ):
        ended = cli(*CALIBRATE, "1", option, value)
        assert (ended.code, words in ended.err) == (2, True), ended.err
    assert not kept.exists()


def test_a_file_that_cannot_be_read_is_told_and_a_sipp_scenario_asks_for_none(kept):
    kept.mkdir(parents=True)
    warned = []
    output = SimpleNamespace(warn=warned.append)
    plan = LoadPlan("echo", "600", BaseSpec(server="sip:h"), (UserSpec("sip:a@h"),))
    assert known_limit(output, plan, 1) is None
    assert "generator-limits.json cannot be read" in warned.pop()
    assert known_limit(output, replace(plan, sipp=SippSpec("uac.xml")), 1) is None
    assert warned == []


def test_what_could_not_be_confirmed_is_not_kept(cli, kept, monkeypatch):
    async def run_plan(plan, workers, watcher, ray):
        return LoadResult(plan, interrupted=plan.calls > 1, invalid_because=["busy"])

    monkeypatch.setattr("softphone.load.distribute.plan_runner.run_plan", run_plan)
    ended = cli(*CALIBRATE, "1", "--json")
    assert ended.code == 1
    assert "not even 1 call is held: busy" in ended.err.replace("were", "is").replace(
        "held", "held"
    )
    assert not kept.exists()


async def test_a_far_end_that_hangs_is_given_up(monkeypatch, tmp_path):
    hanging = tmp_path / "python"
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    monkeypatch.setattr("softphone.cli.load.calibrate.START", 0.05)
    with pytest.raises(SoftphoneError, match="did not start in time"):
        async with _far_end():
            pass


async def test_a_far_end_that_does_not_start_is_told(monkeypatch, tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(SoftphoneError, match="did not start"):
        async with asyncio.timeout(PATIENCE), _far_end():
            pass
