"""The loop of a command: asyncio's unless the environment names uvloop; signals on both kinds."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from softphone.cli.console.event_loop import VARIABLE, chosen_loop, set_handler
from softphone.errors import ConfigurationError
from tests.support.waiting import PATIENCE


def test_it_is_asyncios_unless_another_is_named(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert chosen_loop() is None
    monkeypatch.setenv(VARIABLE, "asyncio")
    assert chosen_loop() is None


def test_uvloop_is_used_where_it_is_named(monkeypatch):
    uvloop = pytest.importorskip("uvloop")
    monkeypatch.setenv(VARIABLE, "uvloop")
    with asyncio.Runner(loop_factory=chosen_loop()) as runner:
        assert isinstance(runner.get_loop(), uvloop.Loop)


def test_a_missing_or_unknown_one_is_refused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "uvloop")
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(ConfigurationError, match=r"needs uvloop: .*\[speed\]"):
        chosen_loop()
    monkeypatch.setenv(VARIABLE, "trio")
    with pytest.raises(ConfigurationError, match="'trio' is unknown; known are asyncio, uvloop"):
        chosen_loop()


@pytest.mark.parametrize("able", [True, False], ids=["by the loop", "by the process"])
async def test_a_signal_is_handled_in_the_loop(monkeypatch, able):
    if not able:

        def refuse(*_: object) -> None:
            raise NotImplementedError

        monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", refuse)
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGTERM)
    came = asyncio.Event()
    set_handler(loop, signal.SIGTERM, came.set)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(came.wait(), PATIENCE)
    finally:
        if able:
            loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
