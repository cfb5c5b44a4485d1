"""Somebody is asked without the loop being held, and what is secret is not shown."""

from __future__ import annotations

import asyncio
import io
import sys

import pytest

from softphone.cli.console.terminal import ask_line, is_attended
from softphone.errors import ConfigurationError
from tests.support.recorder import until
from tests.support.terminal import Terminal


@pytest.fixture
def terminal():
    with Terminal() as there:
        yield there


async def test_a_line_is_asked_for_while_the_loop_goes_on(terminal):
    with terminal.attended():
        assert is_attended()
        asked = asyncio.ensure_future(ask_line("Trust it? "))
        await until(lambda: "Trust it? " in terminal.look())
        terminal.type("y")
        for _ in range(10):
            await asyncio.sleep(0)
        assert not asked.done()
        terminal.type("es\n")
        assert await asked == "yes"


async def test_what_is_secret_is_not_shown(terminal):
    with terminal.attended():
        asked = asyncio.ensure_future(ask_line("Passphrase: ", secret=True))
        await until(lambda: "Passphrase: " in terminal.look())
        assert not terminal.echoes
        terminal.type("open sesame\n")
        assert await asked == "open sesame"
        assert terminal.echoes
        assert "sesame" not in terminal.look()


async def test_a_question_that_is_given_up_leaves_the_terminal_as_it_was(terminal):
    with terminal.attended():
        asked = asyncio.ensure_future(ask_line("Passphrase: ", secret=True))
        await until(lambda: "Passphrase: " in terminal.look())
        asked.cancel()
        await asyncio.wait([asked])
        assert terminal.echoes
        again = asyncio.ensure_future(ask_line("Once more: "))
        await until(lambda: "Once more: " in terminal.look())
        terminal.type("here\n")
        assert await again == "here"


@pytest.mark.parametrize("secret", [False, True])
async def test_what_was_typed_before_answers_nothing(terminal, secret):
    with terminal.attended():
        late = asyncio.ensure_future(ask_line("Let another browser in? "))
        await until(lambda: "browser in? " in terminal.look())
        late.cancel()
        await asyncio.wait([late])
        terminal.type("y\n")
        asked = asyncio.ensure_future(ask_line("Trust it? ", secret=secret))
        await until(lambda: "Trust it? " in terminal.look())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not asked.done()
        terminal.type("n\n")
        assert await asked == "n"


async def test_the_end_of_input_is_an_empty_line(terminal):
    with terminal.attended():
        asked = asyncio.ensure_future(ask_line("Trust it? "))
        await until(lambda: "Trust it? " in terminal.look())
        terminal.type("\x04")
        assert await asked == ""


async def test_without_a_terminal_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    assert not is_attended()
    with pytest.raises(ConfigurationError, match="nobody to ask: Trust it"):
        await ask_line("Trust it? ")
