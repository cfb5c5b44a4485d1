"""Calls that OpenAI Realtime talks in: a stand-in of it, over the lab, under SRTP."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace

import pytest

from softphone.agents import ReportKind, SoundCoding
from softphone.agents.realtime import RealtimeAgent, Said, Tool, ToolUsed
from softphone.agents.realtime.realtime_call import next_digits
from softphone.config import DialPolicyConfig
from softphone.errors import CallError, ConfigurationError, TransportError
from softphone.events import CallState, DigitReceived, EndedBy
from softphone.media.audio import ToneSource, tone_level
from softphone.security import SecurityLevel
from tests.agents.conftest import calling
from tests.agents.realtime.conftest import KEY, realtime_config
from tests.agents.test_agent_server import AUDIBLE_DBM0, RATE, hears
from tests.agents.test_bot_trouble import announcement  # noqa: F401 - a fixture
from tests.support.calling import answer_one
from tests.support.certificates import foreign, store
from tests.support.realtime_service import ANSWER_HZ, OpenAIStandIn, tone
from tests.support.virtual_loop import run_virtually
from tests.support.waiting import PATIENCE, patiently, until

SPEECH_HZ = 450.0


async def speaks(call, service):
    """Be loud until the service has heard it, then be silent until it answers."""
    (session,) = service.sessions
    answers = session.answers
    call.audio.play(ToneSource(SPEECH_HZ))
    await until(lambda: session.ear.speaking)
    call.audio.play(None)
    await until(lambda: session.answers > answers)


async def falls_silent(call):
    """Read until a tenth of a second without the answer."""
    async with asyncio.timeout(PATIENCE):
        while True:
            pcm = (await call.audio.read(800)).pcm
            assert pcm.size, "the call is over"
            if tone_level(pcm, ANSWER_HZ, RATE) < AUDIBLE_DBM0 - 20:
                return


@pytest.mark.parametrize(
    ("codec", "coding"), [("PCMU", None), ("PCMA", None), ("PCMU", SoundCoding.PCM)]
)
async def test_a_conversation_with_an_interruption(services, talk, account_of, codec, coding):
    """The greeting is heard; when the caller speaks, it stops, and the service knows where."""
    service = await services(OpenAIStandIn(seconds=20.0))
    told = {"instructions": "Be brief.", "greeting": "Hello"}
    serving = await talk(service.url, media={"codecs": (codec,)}, coding=coding, **told)
    alice = await account_of("alice")
    async with calling(alice) as call:
        assert call.security.level is SecurityLevel.ENCRYPTED
        call.audio.use_rates(read_hz=RATE)
        await hears(call, ANSWER_HZ)
        (session,) = service.sessions
        call.audio.play(ToneSource(SPEECH_HZ))
        await until(lambda: session.of("conversation.item.truncate"))
        await falls_silent(call)
        call.audio.play(None)
        # The session goes on, with an answer to what was said.
        await until(lambda: session.answers > 1)
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert serving.kinds() == [ReportKind.JOINED, ReportKind.ENDED]
    (update,) = session.of("session.update")
    expected = f"audio/{coding.value if coding else codec.lower()}"
    assert update["session"]["audio"]["input"]["format"]["type"] == expected
    assert update["session"]["instructions"] == "Be brief."
    assert session.headers["authorization"] == f"Bearer {KEY}"
    assert session.path == "/v1/realtime?model=gpt-realtime-2.1"
    cut = session.of("conversation.item.truncate")
    assert cut[0]["item_id"] == "item_1"
    # The first tenth of a second was heard; most of twenty seconds was dropped.
    assert 100 <= cut[0]["audio_end_ms"] < 19_000
    assert all(each["audio_end_ms"] <= session.sent_ms[each["item_id"]] for each in cut)


async def test_it_greets_hears_digits_and_says_what_was_said(
    services, talk, account_of, monkeypatch
):
    monkeypatch.setattr("softphone.agents.realtime.realtime_call.DIGIT_PAUSE", PATIENCE)
    service = await services(OpenAIStandIn(seconds=20.0))
    serving = await talk(service.url, greeting="Good morning", transcript=True)
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        await hears(call, ANSWER_HZ)
        (session,) = service.sessions
        await call.send_digits("12#")
        await until(lambda: session.of("conversation.item.create"))
    (item,) = session.of("conversation.item.create")
    (content,) = item["item"]["content"]
    assert content["text"] == "The caller has pressed 12# on the telephone."
    assert "Good morning" in session.of("response.create")[0]["response"]["instructions"]
    said = [each for each in serving.reports if isinstance(each, Said)]
    assert (said[0].speaker, said[0].text) == ("bot", "beep")
    assert "beep" not in repr(said[0])


async def test_it_hangs_up_when_its_last_word_was_heard(services, talk, account_of):
    service = await services(OpenAIStandIn([("hang_up", {})]))
    serving = await talk(service.url, greeting="Goodbye")
    heard = 0
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        async for block in call.audio:
            heard += len(block) if tone_level(block.pcm, ANSWER_HZ, RATE) > AUDIBLE_DBM0 else 0
        assert (await patiently(call.ended())).by is EndedBy.REMOTE
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert heard
    (used,) = (each for each in serving.reports if isinstance(each, ToolUsed))
    assert (used.tool, used.done) == ("hang_up", True)


async def test_a_caller_who_interrupts_the_last_words_stays(services, talk, account_of):
    service = await services(OpenAIStandIn([("hang_up", {})], seconds=20.0))
    serving = await talk(service.url, greeting="Goodbye")
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        await hears(call, ANSWER_HZ)
        await speaks(call, service)
        (session,) = service.sessions
        await until(lambda: session.of("conversation.item.create"))
        (result,) = session.of("conversation.item.create")
        assert "interrupted" in json.loads(result["item"]["output"])["error"]
    assert ReportKind.BOT_FAILED not in serving.kinds()


async def test_a_transfer_is_judged_by_the_dial_policy(services, talk, account_of):
    """The model is told why not; a target that is allowed gets the caller."""
    wishes = [("transfer", {"target": "0900-1234567"}), ("transfer", {"target": "600"})]
    service = await services(OpenAIStandIn(wishes))
    policy = DialPolicyConfig(country="49", internal=("_6XX",))
    tools = (Tool.TRANSFER, Tool.SEND_DIGITS)
    serving = await talk(service.url, policy=policy, greeting="One moment", tools=tools)
    async with calling(await account_of("alice")) as call:
        await until(lambda: ReportKind.ENDED in serving.kinds())
        assert call.state is CallState.CONFIRMED
    used = [each for each in serving.reports if isinstance(each, ToolUsed)]
    assert [each.done for each in used] == [False, True]
    assert "premium" in used[0].result
    assert "123" not in used[0].result + used[0].tool
    (session,) = service.sessions
    told = [json.loads(each["item"]["output"]) for each in session.of("conversation.item.create")]
    assert told[0] == {"error": used[0].result}


async def test_it_presses_keys_and_nothing_it_was_not_offered(services, talk, account_of):
    wishes = [("send_digits", {"digits": "42"}), ("transfer", {"target": "carol"})]
    service = await services(OpenAIStandIn(wishes))
    serving = await talk(service.url, greeting="Hello")
    digits = []
    async with calling(await account_of("alice")) as call:
        async for event in call.events():
            if isinstance(event, DigitReceived):
                digits.append(event.digit)
            if len(digits) == 2:
                break
        await until(lambda: sum(isinstance(each, ToolUsed) for each in serving.reports) == 2)
    assert digits == ["4", "2"]
    used = [each for each in serving.reports if isinstance(each, ToolUsed)]
    assert [(each.tool, each.done) for each in used] == [
        ("send_digits", True),
        ("an unknown function", False),
    ]


async def test_a_model_that_may_transfer_needs_a_policy(account_of):
    account = await account_of("bob")
    with pytest.raises(ConfigurationError, match="dial policy"):
        RealtimeAgent(account, realtime_config("ws://127.0.0.1:9/", tools=(Tool.TRANSFER,)))


def test_digits_are_gathered_to_a_pause():
    """Those of one number are told together, and a caller who presses on and on is cut."""

    async def press():
        queue: asyncio.Queue[str] = asyncio.Queue()
        found = []
        gathering = asyncio.ensure_future(next_digits(queue))
        for digit, pause in (("1", 1.4), ("2", 1.4), ("3", 1.6), ("4", 0.1), ("#", 0.1)):
            queue.put_nowait(digit)
            await asyncio.sleep(pause)
            if gathering.done():
                found.append(gathering.result())
                gathering = asyncio.ensure_future(next_digits(queue))
        for _ in range(40):
            queue.put_nowait("5")
        return [*found, await gathering]

    assert run_virtually(press()) == ["123", "4#", "5" * 32]


# Calls that are placed


async def test_an_agent_calls_somebody(services, account_of):
    service = await services(OpenAIStandIn([("hang_up", {})]))
    bob, alice = await account_of("bob"), await account_of("alice")
    agent = RealtimeAgent(bob, realtime_config(service.url, greeting="Hello"))
    answering = asyncio.ensure_future(answer_one(alice))
    ended = await patiently(agent.call("alice"))
    await answering
    assert ended.by is EndedBy.LOCAL
    assert (agent.joined_total, agent.failures_total, agent.streams) == (1, 0, 0)


async def test_a_service_that_leaves_before_the_answer_ends_the_attempt(services, account_of):
    async def leaves(session):
        await stand_in.handle(session, await session.next())
        await until(lambda: alice_rings)

    alice_rings = []
    stand_in = OpenAIStandIn()
    await services(stand_in, serve=leaves)
    bob, alice = await account_of("bob"), await account_of("alice")

    async def rings():
        async for incoming in alice.incoming():
            incoming.ring()
            alice_rings.append(incoming)
            await incoming.ended
            return

    ringing = asyncio.ensure_future(rings())
    with pytest.raises(TransportError, match="closed the connection"):
        await patiently(RealtimeAgent(bob, realtime_config(stand_in.url)).call("alice"))
    await patiently(ringing)


async def test_without_a_service_nobody_is_called(account_of):
    agent = RealtimeAgent(
        await account_of("bob"), realtime_config("ws://127.0.0.1:9/", patience=0.1)
    )
    with pytest.raises(TransportError, match=r"127\.0\.0\.1:9"):
        await agent.call("alice")


# Services that fail


async def refused(alice, serving):
    """Alice calls, and nobody answers: gives why, as the agent reports it."""
    with pytest.raises(CallError) as caught:
        async with calling(alice):
            pass
    assert caught.value.status == 480
    await until(lambda: ReportKind.REFUSED in serving.kinds())
    assert serving.kinds() == [ReportKind.BOT_FAILED, ReportKind.REFUSED]
    return serving.reports[0].reason


async def failed(alice, serving):
    """Alice is answered, and hung up when the service fails: gives why."""
    async with calling(alice) as call:
        await patiently(call.ended())
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert serving.kinds() == [ReportKind.JOINED, ReportKind.BOT_FAILED, ReportKind.ENDED]
    return serving.reports[1].reason


async def test_a_service_that_wants_another_key(services, talk, account_of, caplog):
    service = await services(OpenAIStandIn(), refuse=401)
    serving = await talk(service.url)
    reason = await refused(await account_of("alice"), serving)
    assert "401" in reason
    assert service.sessions == []
    assert KEY not in caplog.text + reason


async def test_a_service_that_refuses_the_settings(services, talk, account_of, caplog):
    async def refuses(session):
        await session.next()
        await session.say("error", error={"message": f"no voice for {KEY}\x1b[2J"})
        await session.next()

    service = await services(OpenAIStandIn(), serve=refuses)
    serving = await talk(service.url)
    reason = await refused(await account_of("alice"), serving)
    assert "refuses the session: no voice for ... [2J" in reason
    assert KEY not in caplog.text + reason


async def test_a_service_that_is_silent(services, talk, account_of):
    async def silent(session):
        while await session.next() is not None:
            pass

    service = await services(OpenAIStandIn(), serve=silent)
    serving = await talk(service.url, patience=0.3)
    assert "settings within 0.3 s" in await refused(await account_of("alice"), serving)


async def test_over_tls_a_stranger_gets_nothing(
    services, talk, account_of, bot_credential, bot_tls
):
    service = await services(OpenAIStandIn(), credential=bot_credential)
    tls = replace(bot_tls(), store=store(foreign()))
    serving = await talk(service.url, tls=tls)
    assert "certificate" in await refused(await account_of("alice"), serving)
    assert service.sessions == []


async def test_over_tls_with_the_right_certificate(
    services, talk, account_of, bot_credential, bot_tls
):
    service = await services(OpenAIStandIn(seconds=20.0), credential=bot_credential)
    await talk(service.url, tls=bot_tls(), greeting="Hello")
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        await hears(call, ANSWER_HZ)
    assert service.sessions[0].headers["host"] == service.url.split("/")[2]


async def test_a_service_that_closes_leaves_the_announcement(
    services,
    talk,
    account_of,
    announcement,  # noqa: F811
):
    async def closes(session):
        await stand_in.handle(session, await session.next())
        await session.next()
        await stand_in.answer(session)
        await session.socket.close(code=1011)

    stand_in = OpenAIStandIn()
    await services(stand_in, serve=closes)
    serving = await talk(stand_in.url, announcement=announcement)
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        await hears(call, 2000.0)
        await patiently(call.ended())
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert "(1011)" in serving.reports[1].reason


async def test_without_a_service_the_announcement_is_heard(
    talk,
    account_of,
    announcement,  # noqa: F811
):
    serving = await talk("ws://127.0.0.1:9/", patience=0.1, announcement=announcement)
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        await hears(call, 2000.0)
        await patiently(call.ended())
    assert serving.kinds() == [ReportKind.BOT_FAILED]


async def test_a_flood_ends_its_call(services, talk, account_of):
    async def floods(session):
        await stand_in.handle(session, await session.next())
        await session.next()
        body = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
        delta = base64.b64encode(tone(50.0, 8000, session.ear.coding)).decode()
        for _ in range(7):
            await session.say("response.output_audio.delta", delta=delta, **body)
        while await session.next() is not None:
            pass

    stand_in = OpenAIStandIn()
    await services(stand_in, serve=floods)
    serving = await talk(stand_in.url)
    assert "300 s" in await failed(await account_of("alice"), serving)


async def test_garbage_is_left_aside_and_told_once(services, talk, account_of, caplog):
    async def talks(session):
        await stand_in.handle(session, await session.next())
        await session.next()
        for text in ("", "no json", "[]", "[" * 100_000, '{"type": []}'):
            await session.socket.send_str(text)
        await session.socket.send_bytes(b"\xff" * 160)
        for _ in range(3):
            await session.say("error", error={"message": f"odd: {KEY}"})
        for number in range(20):
            function = {"type": "function_call", "call_id": str(number), "name": "premium"}
            body = {"id": "r", "status": "completed", "output": [function]}
            await session.say("response.done", response=body)
        await stand_in.answer(session)
        while await session.next() is not None:
            pass

    stand_in = OpenAIStandIn(seconds=20.0)
    await services(stand_in, serve=talks)
    serving = await talk(stand_in.url)
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        await hears(call, ANSWER_HZ)
    assert ReportKind.BOT_FAILED not in serving.kinds()
    assert caplog.text.count("left aside") == 1
    assert caplog.text.count("reports an error") == 1
    assert KEY not in caplog.text
    assert "premium" not in caplog.text


async def test_a_fault_of_ours_ends_one_call(services, talk, account_of, monkeypatch, caplog):
    service = await services(OpenAIStandIn())
    serving = await talk(service.url, greeting="Hello")

    def broken(*_):
        raise RuntimeError("a fault")

    with monkeypatch.context() as for_now:
        for_now.setattr("softphone.agents.realtime.playback.decode_sound", broken)
        async with calling(await account_of("alice")) as call:
            await patiently(call.ended())
        await until(lambda: not serving.server._tasks)
    assert "a call of the realtime agent failed" in caplog.text
    with monkeypatch.context() as for_now:
        for_now.setattr(
            "softphone.agents.realtime.openai_dialect.OpenAIDialect._response_done", broken
        )
        async with calling(await account_of("alice")) as call:
            await patiently(call.ended())
        await until(lambda: not serving.server._tasks)
    assert serving.server.streams == 0


async def test_a_caller_who_gives_up_leaves_nothing(services, talk, account_of):
    async def silent(session):
        while await session.next() is not None:
            pass

    service = await services(OpenAIStandIn(), serve=silent)
    serving = await talk(service.url, patience=60.0)
    alice = await account_of("alice")
    async with alice.dial("bob"):
        await until(lambda: service.sessions)
    await until(lambda: not serving.server._tasks)
    assert serving.reports == []


async def test_its_figures(services, talk, account_of):
    service = await services(OpenAIStandIn())
    serving = await talk(service.url)
    async with calling(await account_of("alice")):
        await until(lambda: serving.server.streams == 1)
        lines: list[str] = []
        serving.server.append_figures(lines)
    assert "softphone_agent_streams 1" in lines
    assert 'softphone_agent_reports_total{kind="joined"} 1' in lines
