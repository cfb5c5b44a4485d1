"""Two runs that control the two calls of a third party (3PCC), with SIPp's commands."""

from __future__ import annotations

import asyncio

import pytest

from softphone.errors import ConfigurationError, TransportError
from softphone.load.sipp import (
    CallOutcome,
    RunSettings,
    SippEndpoint,
    python_source,
    read_scenario,
)
from softphone.load.sipp.outcome import TwinCommand
from softphone.load.sipp.runner import SippRunner
from softphone.load.sipp.twin import MOST_OCTETS, MOST_UNSENT, TwinConnection, parse_twin
from tests.load.sipp.conftest import Played, answer, eventually, flow_over, head_of, send
from tests.load.sipp.test_media import saying, sdp, with_body
from tests.load.sipp.test_sipp_runner import Answering, plan_of

__all__ = ["plan_of"]

COMMAND = """<sendCmd><![CDATA[
      Call-ID: [call_id]
      [$body]
    ]]></sendCmd>"""
SEARCH = (
    '<action><ereg regexp="Content-Length:.*" search_in="msg" assign_to="body" check_it="true" />'
    "</action>"
)
WITHOUT_LENGTH = "Content-Length: [len]"
FIRST = (
    send("INVITE", attributes='retrans="500"')
    + f'<recv response="180" optional="true" /><recv response="200">{SEARCH}</recv>{COMMAND}'
    + f"<recvCmd>{SEARCH}</recvCmd>"
    + send("ACK", cseq="1").replace(WITHOUT_LENGTH, "[$body]")
    + send("BYE")
    + '<recv response="200" />'
)
SECOND = (
    f"<recvCmd>{SEARCH}</recvCmd>"
    + send("INVITE").replace(WITHOUT_LENGTH, "[$body]")
    + f'<recv response="200">{SEARCH}</recv>'
    + send("ACK", cseq="1")
    + COMMAND
    + send("BYE")
    + '<recv response="200" />'
)


def commands_of(played):
    found = [event.text for event in played.events if isinstance(event, TwinCommand)]
    played.events = [event for event in played.events if not isinstance(event, TwinCommand)]
    return found


def command(played, *texts, flow=True):
    for text in texts:
        side = played.flow if flow else None
        played.endpoint.receive_command(text, flow=side, now=played.now)
    return played.drain()


def test_offer_and_answer_go_by_the_twins(play):
    """The offer of one end reaches the other one whole, and its answer comes back in the ACK."""
    first, second = play(FIRST), play(SECOND)
    first.call()
    offer, reply = sdp(6100), sdp(6200)
    first.get(with_body(head_of("200", "for INVITE"), offer))
    (text,) = commands_of(first)
    assert text.startswith("Call-ID: 1-7@127.0.0.1\r\nContent-Length: ")
    assert command(second, text) == ["INVITE sip:b@127.0.0.1:5060 SIP/2.0"]
    assert f"\r\nContent-Length: {len(offer)}\r\n\r\n".encode() + offer in second.sent[0]
    assert second.get(with_body(head_of("200", "for INVITE"), reply))[0].startswith("ACK")
    assert command(first, *commands_of(second))[0].startswith("ACK")
    assert b"\r\n\r\n" + reply in first.sent[1]
    for each in (first, second):
        each.get(head_of("200", "for BYE", cseq=each.sent[-1].split(b"CSeq: ")[1][:1].decode()))
        assert [outcome.cause for outcome in each.outcomes] == [""]
        assert commands_of(each) == []


def test_a_call_that_fails_ends_that_of_its_twin(play):
    first, second = play(FIRST), play(SECOND)
    first.call()
    first.get(with_body(head_of("200", "for INVITE"), sdp()))
    command(second, *commands_of(first))
    second.get(head_of("486", "for INVITE"))
    (told,) = commands_of(second)
    assert told == "call-id: 1-7@127.0.0.1\r\ninternal-cmd: abort_call\r\n\r\n"
    assert command(first, told)[0].startswith("BYE")
    assert [each.cause for each in first.outcomes] == ["the twin has given up"]
    assert commands_of(first) == []


@pytest.mark.parametrize(
    ("text", "cause"),
    [("Call-ID: 1-7@127.0.0.1\r\n", "unexpected command of the twin"), ("", "")],
)
def test_a_command_that_no_step_waits_for_fails_the_call(play, text, cause):
    played = play(FIRST)
    played.call()
    command(played, text)
    assert [each.cause for each in played.outcomes] == [cause][: bool(cause)]


def test_a_command_that_does_not_come_fails_the_call_in_time(play):
    played = play(FIRST, answer_timeout=3.0)
    played.call()
    played.get(with_body(head_of("200", "for INVITE"), sdp()))
    played.wait(3.0)
    assert [each.cause for each in played.outcomes] == ["no command of the twin in time"]
    late = play(FIRST)
    late.call()
    late.get(with_body(head_of("200", "for INVITE"), sdp()))
    late.get(head_of("INFO"))
    assert late.outcomes[0].cause.startswith("unexpected INFO at <recvCmd> in line ")


def test_commands_begin_calls_within_the_bounds_only(play):
    texts = [f"Call-ID: {number}@x\r\nContent-Length: 0\r\n" for number in range(9)]
    played = play(SECOND, limit=3)
    command(played, "no name\r\n", texts[0], flow=False)
    assert played.endpoint.counters["unexpected"] == 2
    command(played, *texts)
    assert played.endpoint.calls_up == 3
    few = play(SECOND, total=2)
    command(few, *texts)
    few.endpoint.stop_answering()
    assert few.endpoint.begun == 2
    ended = texts[0] + "internal-cmd: abort_call\r\n"
    command(few, ended, ended)
    assert [event.cause for event in few.events if isinstance(event, CallOutcome)] == [
        "the twin has given up"
    ]
    other = play(FIRST)
    command(other, texts[0])
    assert other.endpoint.calls_up == 0


def test_a_command_without_a_text_and_one_for_another_are_told_by_line(play):
    with pytest.raises(ConfigurationError) as told:
        play(send("INFO") + '<sendCmd /><sendCmd dest="s1">a</sendCmd><recvCmd src="m" />')
    for what in ("no message to send", '<sendCmd>: dest="…" is not', '<recvCmd>: src="…" is not'):
        assert what in str(told.value)


def test_commands_are_imported_as_python(play, scenario, tmp_path):
    """What is written sends the same commands, and is a twin of the same kind."""
    written = tmp_path / "written.py"
    written.write_text(python_source(scenario(FIRST)))
    read = read_scenario(written)
    assert (read.twin, read.begun_by_twin, read.calls) == ("sendCmd", False, True)
    made = Played(SippEndpoint(RunSettings(read, 7), limit=1), flow_over())
    other = play(FIRST)
    for each in (made, other):
        each.call()
        each.get(with_body(head_of("200", "for INVITE"), sdp()))
    assert commands_of(made) == commands_of(other) != []
    assert read_scenario(scenario(SECOND)).begun_by_twin


# Connections --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:6000", ("127.0.0.1", 6000)), ("[::1]:1", ("::1", 1)), ("localhost:9", None)],
)
def test_a_twin_is_on_this_machine(text, expected):
    assert parse_twin(text) == (expected or ("localhost", 9))


@pytest.mark.parametrize("text", ["192.0.2.1:6000", "twin:6000", "127.0.0.1", "127.0.0.1:0", ":1"])
def test_a_twin_elsewhere_is_refused(text):
    with pytest.raises(ConfigurationError, match=r"expected HOST:PORT of this machine"):
        parse_twin(text)


async def test_commands_go_both_ways_and_only_one_twin_is_taken(unused_tcp_port):
    heard, told, ended = [], [], []
    one = TwinConnection(heard.append, lambda: ended.append("one"))
    other = TwinConnection(told.append, lambda: ended.append("other"))
    await one.listen("127.0.0.1", unused_tcp_port)
    one.send("before\r\n")
    await other.connect("127.0.0.1", unused_tcp_port)
    other.send("a\udcff")
    other.send("b")
    await eventually(lambda: (heard, told) == (["a\udcff", "b"], ["before\r\n"]))
    third = TwinConnection(told.append, lambda: ended.append("third"))
    await third.connect("127.0.0.1", unused_tcp_port)
    await eventually(lambda: ended == ["third"])
    other.send("c" * (MOST_OCTETS + 1))
    await eventually(lambda: "one" in ended)
    for each in (third, other, one):
        await each.close()
    again = TwinConnection(heard.append)
    with pytest.raises(TransportError, match="start it first"):
        await again.connect("127.0.0.1", unused_tcp_port)
    await again.close()


async def test_commands_that_nobody_reads_end_the_connection(unused_tcp_port):
    """Before a twin is there, and when it is there and stops reading; then nothing is kept."""
    ended = []
    alone = TwinConnection(ended.append, lambda: ended.append("alone"))
    for _ in range(40):
        alone.send("x" * 60_000)
    assert ended == ["alone"] * (40 - len(alone._waiting))
    assert sum(map(len, alone._waiting)) <= MOST_UNSENT + 60_001
    one = TwinConnection(ended.append, lambda: ended.append("one"))
    await one.listen("127.0.0.1", unused_tcp_port)
    _, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
    writer.transport.pause_reading()
    await eventually(lambda: one._writer is not None)
    for _ in range(1000):
        one.send("x" * 60_000)
        if one._writer.is_closing():
            break
    assert one._writer.transport.get_write_buffer_size() <= MOST_UNSENT + 60_001
    await eventually(lambda: "one" in ended)
    one.send("to nobody")
    await one.close()
    writer.close()


async def test_two_runs_connect_two_ends(plan_of, unused_tcp_port):
    """Ours as both controllers and as both ends; each end answers what it is asked."""
    body = sdp(host="127.0.0.1")
    answering = '<recv request="INVITE" />' + saying(answer("200"), body)
    answering += '<recv request="ACK" /><recv request="BYE" />' + answer("200")
    twin = f"127.0.0.1:{unused_tcp_port}"
    spec = {"total": 2, "twin": twin}
    listen = {"listen": "udp:127.0.0.1:0", "total": 2}
    async with (
        Answering(plan_of(answering, spec=listen)) as end,
        Answering(plan_of(answering, spec=listen)) as other,
    ):
        plans = [
            plan_of(text, target=f"sip:b@127.0.0.1:{server.port};transport=udp", spec=spec)
            for text, server in ((SECOND, other), (FIRST, end))
        ]
        seconds = []
        async with SippRunner(plans[0], on_second=seconds.append) as waiting:
            running = asyncio.ensure_future(waiting.run_share())
            async with SippRunner(plans[1], on_second=seconds.append) as calling:
                await calling.run_share()
                await running
    assert sum(second.tally.answered for second in seconds) == 4


async def test_a_run_that_its_twin_begins_ends_with_it(plan_of, unused_tcp_port):
    target = "sip:b@127.0.0.1:9;transport=udp"
    spec = {"twin": f"127.0.0.1:{unused_tcp_port}"}
    async with SippRunner(plan_of(SECOND, target=target, spec=spec), on_second=print) as waiting:
        with pytest.raises(TransportError, match=f"--twin 127.0.0.1:{unused_tcp_port}: "):
            async with SippRunner(plan_of(SECOND, target=target, spec=spec), on_second=print):
                pass
        running = asyncio.ensure_future(waiting.run_share())
        twin = TwinConnection(print)
        await twin.connect("127.0.0.1", unused_tcp_port)
        await twin.close()
        await running
