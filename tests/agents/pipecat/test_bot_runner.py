"""A bot's file as its author runs it, with calls in place of rooms."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal

import pytest

from tests.support.extra_site import PIPECAT

PIPECAT.need()
from pipecat.frames.frames import EndFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.runner.types import DailyDialinRequest, RunnerArguments
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from softphone.agents import pipecat as agents_pipecat
from softphone.agents.pipecat import (
    SoftphoneParams,
    SoftphoneRunnerArguments,
    SoftphoneTransport,
    bot_runner,
    create_transport,
    main,
    run_bots,
)
from softphone.errors import CallError, ConfigurationError
from softphone.events import EndedBy
from tests.support.waiting import patiently, until

PARAMS = {"softphone": SoftphoneParams}


async def leave_at_once(arguments) -> None:
    """A bot that answers, or dials, and ends its pipeline when the far end is there."""
    transport = await create_transport(arguments, PARAMS)
    worker = PipelineWorker(Pipeline([transport.input(), transport.output()]), enable_rtvi=False)
    runner = WorkerRunner(handle_sigint=arguments.handle_sigint)
    await runner.add_workers(worker)

    @transport.event_handler("on_joined")
    async def on_joined(transport, data):
        if arguments.incoming is None:
            number = arguments.body["dialout_settings"]["phone_number"]
            await transport.start_dialout({"phoneNumber": number})

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport, client):
        await worker.queue_frame(EndFrame())

    @transport.event_handler("on_dialout_error")
    async def on_dialout_error(transport, data):
        await runner.cancel()

    await runner.run()


async def test_each_call_has_a_session_and_one_that_fails_ends_its_own_call(account_of, caplog):
    bob, alice = await account_of("bob"), await account_of("alice")
    bodies = []

    async def bot(arguments):
        bodies.append(DailyDialinRequest.model_validate(arguments.body).dialin_settings)
        if len(bodies) == 1:
            raise ZeroDivisionError
        await leave_at_once(arguments)

    serving = asyncio.ensure_future(run_bots(bob, bot))
    async with alice.dial("bob") as outgoing:
        with pytest.raises(CallError, match="480"):
            await patiently(outgoing.answered())
    assert "a session of the bot failed" in caplog.text
    async with alice.dial("bob", headers={"X-Order": "7"}) as outgoing:
        call = await patiently(outgoing.answered())
        assert (await patiently(call.ended())).by is EndedBy.REMOTE
    assert (bodies[1].From, bodies[1].To) == ("sip:alice@127.0.0.1", "bob")
    assert bodies[1].call_domain == "127.0.0.1"
    assert bodies[1].sip_headers["X-Order"] == "7"
    serving.cancel()
    await asyncio.wait([serving])


async def test_params_are_those_of_this_transport(account_of):
    arguments = SoftphoneRunnerArguments(await account_of("bob"))
    assert isinstance(await create_transport(arguments, PARAMS), SoftphoneTransport)
    with pytest.raises(ConfigurationError, match="no 'softphone'"):
        await create_transport(arguments, {"daily": SoftphoneParams})
    with pytest.raises(ConfigurationError, match="has to give SoftphoneParams"):
        await create_transport(arguments, {"softphone": TransportParams})
    # What is not ours is pipecat's own to judge.
    with pytest.raises(ValueError, match="RunnerArguments"):
        await create_transport(RunnerArguments(), PARAMS)


def options(path, target=None):
    return argparse.Namespace(account=path, target=target)


async def test_a_session_that_dials_ends_the_program(lab, account_of, capsys):
    alice = await account_of("alice")
    running = asyncio.ensure_future(
        bot_runner._run(leave_at_once, options(lab.accounts["bob"], target="alice"))
    )
    incoming = await patiently(anext(alice.incoming()))
    call = await incoming.answer()
    assert (await patiently(call.ended())).by is EndedBy.REMOTE
    await patiently(running)
    assert "sip:bob@127.0.0.1 is registered" in capsys.readouterr().out


async def test_a_signal_lets_sessions_end_and_a_second_one_ends_them(lab, account_of):
    alice = await account_of("alice")
    sessions = []

    async def bot(arguments):
        sessions.append(await arguments.incoming.answer())
        await asyncio.Event().wait()

    running = asyncio.ensure_future(bot_runner._run(bot, options(lab.accounts["bob"])))
    call = None
    async with asyncio.timeout(40):
        while call is None:
            async with alice.dial("bob") as outgoing:
                try:
                    call = await outgoing.answered()
                except CallError:  # not registered yet
                    continue
                os.kill(os.getpid(), signal.SIGTERM)
                await until(lambda: not sessions[0].audio.paused)
                os.kill(os.getpid(), signal.SIGINT)
                assert (await call.ended()).by is EndedBy.REMOTE
    await patiently(running)


def test_what_is_exported_is_there(monkeypatch):
    assert [name for name in agents_pipecat.__all__ if not hasattr(agents_pipecat, name)] == []
    assert not hasattr(agents_pipecat, "DailyTransport")
    monkeypatch.setattr(agents_pipecat, "has_module", lambda name: False)
    with pytest.raises(ModuleNotFoundError, match=r"needs pipecat: .*\[pipecat\]"):
        agents_pipecat.main  # noqa: B018 - it is looked up


def test_a_program_without_a_bot_or_an_account_says_so(tmp_path):
    with pytest.raises(SystemExit, match=r"no function `bot\(runner_args\)`"):
        main(None, ["bob.toml"])
    with pytest.raises(SystemExit, match=r"missing\.toml"):
        main(leave_at_once, [str(tmp_path / "missing.toml")])
