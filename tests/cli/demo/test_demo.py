"""`softphone demo` when what it promises does not hold; the whole of it is in end_to_end."""

from __future__ import annotations

import logging

import pytest

from softphone.cli.console.output import CommandOutput
from softphone.cli.demo import demo
from softphone.cli.demo.options import DemoOptions


@pytest.mark.parametrize("flag", [(), ("--json",)])
def test_what_does_not_hold_is_exit_1_and_says_what(cli, monkeypatch, flag):
    async def broken(face, lab, stack):
        raise demo.DemoFailed("bob does not hear alice: -60 dBm0")

    monkeypatch.setattr(demo, "_story", broken)
    outcome = cli("demo", *flag)
    assert outcome.code == 1
    assert "error: bob does not hear alice" in outcome.err
    if flag:
        assert outcome.summary["result"] == "failed"


def test_a_demo_that_takes_too_long_is_given_up(cli, monkeypatch):
    async def endless(face, lab, stack):
        import asyncio

        await asyncio.Event().wait()

    monkeypatch.setattr(demo, "_story", endless)
    monkeypatch.setattr(demo, "WHOLE_PATIENCE", 0.3)
    outcome = cli("demo")
    assert outcome.code == 1
    assert "not through within" in outcome.err


def test_a_party_without_a_call_is_named():
    with pytest.raises(demo.DemoFailed, match="bob is in no call"):
        assert demo.DemoPhone("bob", None).current_call


def test_its_help_tells_the_story_that_it_tells(cli):
    shown = " ".join(cli("demo", "--help").out.split())
    assert "boot from bare names" in shown
    assert "the lock follows each transfer" in shown


async def test_what_the_demo_silences_speaks_again_afterwards(monkeypatch):
    logger = logging.getLogger("softphone.trust")
    before, levels = logger.level, []

    async def story(*_):
        levels.append(logger.level)

    monkeypatch.setattr(demo, "_story", story)
    assert await demo.run_demo(CommandOutput(json=True), DemoOptions()) == 0
    assert levels == [logging.ERROR]
    assert logger.level == before
