"""Calls that Gemini Live and Deepgram talk in: stand-ins of them, over the lab, under SRTP."""

from __future__ import annotations

import pytest

from softphone.agents import ReportKind, SoundCoding
from softphone.agents.realtime import Said, Tool, ToolUsed
from softphone.config import DialPolicyConfig
from softphone.media.audio import ToneSource
from softphone.security import SecurityLevel
from tests.agents.conftest import calling
from tests.agents.realtime.conftest import KEY
from tests.agents.realtime.test_openai_calls import SPEECH_HZ, falls_silent, refused, speaks
from tests.agents.test_agent_server import RATE, hears
from tests.support.realtime_service import ANSWER_HZ, DeepgramStandIn, GeminiStandIn
from tests.support.waiting import patiently, until

HEADERS = {"gemini": ("x-goog-api-key", KEY), "deepgram": ("authorization", f"Token {KEY}")}
SERVICES = {"gemini": GeminiStandIn, "deepgram": DeepgramStandIn}


@pytest.mark.parametrize("name", SERVICES)
async def test_a_conversation_with_an_interruption(services, talk, account_of, name):
    """A greeting, which the caller interrupts; a wish that the policy forbids; goodbye."""
    service = await services(SERVICES[name](seconds=20.0))
    policy = DialPolicyConfig(country="49")
    given = {"greeting": "Hello", "instructions": "Be brief.", "transcript": True}
    serving = await talk(service.url, service=name, policy=policy, tools=tuple(Tool), **given)

    def tools_used():
        return [(each.tool, each.done) for each in serving.reports if isinstance(each, ToolUsed)]

    async with calling(await account_of("alice")) as call:
        assert call.security.level is SecurityLevel.ENCRYPTED
        call.audio.use_rates(read_hz=RATE)
        await hears(call, ANSWER_HZ)
        (session,) = service.sessions
        service.seconds = 0.3
        call.audio.play(ToneSource(SPEECH_HZ))
        await until(lambda: session.ear.speaking)
        await falls_silent(call)
        call.audio.play(None)
        await until(lambda: session.answers > 1)
        # By keys from here on: a machine that stands still makes several words of one.
        service.functions = [("transfer", {"target": "0900-1234567"})]
        await call.send_digits("1#")
        await until(tools_used)
        service.functions = [("hang_up", {})]
        await call.send_digits("2#")
        await patiently(call.ended())
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert serving.kinds() == [ReportKind.JOINED, ReportKind.ENDED]
    assert tools_used() == [("transfer to 090***67", False), ("hang_up", True)]
    assert Said(serving.reports[0].call_id, "bot", "beep") in serving.reports
    header, value = HEADERS[name]
    assert session.headers[header] == value
    assert "model=" not in session.path


@pytest.mark.parametrize("coding", [SoundCoding.PCM, SoundCoding.PCMA])
async def test_deepgram_in_other_codings(services, talk, account_of, coding):
    service = await services(DeepgramStandIn())
    serving = await talk(service.url, service="deepgram", coding=coding)
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        await until(lambda: service.sessions)
        await speaks(call, service)
        await hears(call, ANSWER_HZ)
    assert ReportKind.BOT_FAILED not in serving.kinds()


async def test_a_service_that_closes_says_why(services, talk, account_of):
    async def closes(session):
        await session.next()
        await session.socket.close(code=1007, message=f"no model {KEY}".encode())

    service = await services(GeminiStandIn(), serve=closes)
    serving = await talk(service.url, service="gemini")
    reason = await refused(await account_of("alice"), serving)
    assert reason.endswith("closed the connection (1007): no model ...")


async def test_a_session_that_waits_for_the_answer_is_kept_open(
    services, talk, account_of, monkeypatch
):
    """And what the service says meanwhile is not kept."""
    monkeypatch.setattr("softphone.agents.realtime.session.KEEP_ALIVE", 0.05)

    async def slow(session):
        await session.socket.send_json({"type": "Welcome", "request_id": "1"})
        while not session.of("KeepAlive"):
            await session.next()
        await session.socket.send_bytes(b"\x00" * 8000)
        await session.socket.send_json({"type": "SettingsApplied"})
        while await session.next() is not None:
            pass

    service = await services(DeepgramStandIn(), serve=slow)
    serving = await talk(service.url, service="deepgram")
    async with calling(await account_of("alice")):
        await until(lambda: ReportKind.JOINED in serving.kinds())
    (session,) = service.sessions
    assert session.of("Settings")
