"""All calls of a run: which message is whose, bounds, and hostile bytes."""

from __future__ import annotations

import random

import pytest

from softphone.load.sipp import ScenarioLog, StopWanted, read_injection
from softphone.sans_io import Flow, Transport
from tests.load.sipp.conftest import LOCAL, REMOTE, answer, head_of, send

SERVER = '<recv request="OPTIONS" />' + answer("200")


def test_each_new_call_id_is_a_call_of_a_scenario_that_waits(play):
    played = play(SERVER)
    for name in ("a@b", "c@d"):
        assert played.get(head_of("OPTIONS", call=name)) == ["SIP/2.0 200 Reason"]
    assert [outcome.number for outcome in played.outcomes] == [1, 2]


def test_no_more_calls_begin_than_were_asked_for(play):
    waiting = '<recv request="INVITE" />' + answer("180") + '<recv request="CANCEL" />'
    played = play(waiting, limit=2)
    for name in "abc":
        played.get(head_of("INVITE", call=name))
    assert (played.endpoint.calls_up, played.endpoint.counters["unexpected"]) == (2, 1)
    played = play(SERVER, total=1)
    for name in "ab":
        played.get(head_of("OPTIONS", call=name))
    assert played.endpoint.begun == 1


def test_only_the_first_request_of_the_scenario_begins_a_call(play):
    played = play(SERVER)
    assert played.get(head_of("BYE"), head_of("200", "for OPTIONS")) == []
    assert (played.endpoint.begun, played.endpoint.counters["unexpected"]) == (0, 2)


def test_a_lost_connection_fails_the_calls_that_were_on_it(play):
    played = play(send("INFO") + '<recv response="200" />', transport=Transport.TCP)
    played.call()
    played.endpoint.disconnected(flow=played.flow, reason="reset", now=1.0)
    played.drain()
    assert played.outcomes[0].cause == "connection lost"


def test_a_stream_is_cut_into_messages(play):
    played = play(SERVER, transport=Transport.TCP)
    data = head_of("OPTIONS", call="a") + head_of("OPTIONS", call="b")
    sent = []
    for at in range(len(data)):
        sent += played.get(data[at : at + 1])
    assert sent == ["SIP/2.0 200 Reason"] * 2


def test_all_calls_end_with_the_run(play):
    played = play(send("INVITE") + '<recv response="180" /><recv response="200" />')
    played.call(1)
    played.call(2)
    played.get(head_of("180", "for INVITE"))
    played.endpoint.hang_up_all(now=1.0)
    assert [line.split()[0] for line in played.drain()] == ["CANCEL"]
    assert [outcome.cause for outcome in played.outcomes] == ["the run ended"] * 2


def test_each_call_has_its_line_of_an_injection_file(play, tmp_path):
    path = tmp_path / "users.csv"
    path.write_text("SEQUENTIAL\nalice;1\nbob;2\n")
    played = play(
        send("INFO", more='X-User: [field0] [field1 file="users.csv"] [field0 line=1]'),
        injections={"users.csv": read_injection(path)},
    )
    for number in (1, 2, 3):
        played.call(number)
    found = [data.split(b"X-User: ")[1].split(b"\r\n")[0] for data in played.sent]
    assert found == [b"alice 1 bob", b"bob 2 bob", b"alice 1 bob"]


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
def test_hostile_bytes_raise_nothing_and_leave_nothing(play, transport):
    """Damaged copies of good messages, on many flows: no exception, and every store is bounded."""
    waiting = '<recv request="INVITE" />' + answer("180", attributes='retrans="500"')
    waiting += '<recv request="ACK"><action><ereg regexp="(.*)x(.*)" search_in="msg"'
    waiting += ' assign_to="a,b" /></action></recv>'
    played = play(waiting, transport=transport, limit=5)
    chance = random.Random(21)
    good = [head_of(name, call=f"c{n}") for n in range(8) for name in ("INVITE", "ACK", "BYE")]
    for round_ in range(2000):
        data = bytearray(chance.choice(good))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        flow = Flow(10 + round_ % 7, transport, LOCAL, REMOTE)
        played.endpoint.receive(bytes(data), flow=flow, now=round_ / 50)
        if round_ % 100 == 0:
            played.endpoint.disconnected(flow=flow, reason=None, now=round_ / 50)
        played.endpoint.handle_timer(now=round_ / 50)
        played.drain()
    assert played.endpoint.calls_up <= 5
    assert played.endpoint.counters["malformed"] > 50


def test_ended_calls_are_remembered_up_to_a_bound(play, monkeypatch):
    monkeypatch.setattr("softphone.load.sipp.endpoint.MOST_ENDED", 20)
    played = play(SERVER)
    for number in range(30):
        played.get(head_of("OPTIONS", call=f"call{number}"))
    assert played.get(head_of("OPTIONS", call="call20")) == []
    assert played.get(head_of("OPTIONS", call="call0")) == ["SIP/2.0 200 Reason"]


FIRST = """<Global variables="n" />
<init><nop><action><assign assign_to="n" value="%s" />
<test assign_to="ok" variable="n" compare="equal" value="3" check_it="true" />
</action></nop></init>"""


def test_what_comes_before_the_first_call_comes_once(play):
    text = FIRST % 3 + '<nop><action><add assign_to="n" value="1" /></action></nop>'
    played = play(text + send("INFO", more="X-N: [$n] [$ok]"))
    played.call(1)
    played.call(2)
    assert [b"X-N: 4.000000 \r" in played.sent[0], b"X-N: 5.000000 \r" in played.sent[1]] == [
        True
    ] * 2


def test_a_run_whose_first_actions_fail_is_stopped(play):
    played = play(FIRST % 4 + send("INFO"))
    played.call(1)
    stops = [event for event in played.events if isinstance(event, StopWanted | ScenarioLog)]
    assert [type(event) for event in stops] == [ScenarioLog, StopWanted]
    assert (stops[0].kind, stops[1].now) == ("error", True)
    assert stops[0].text == "<test> in line 4"


@pytest.mark.parametrize(("order", "values"), [("USER", "1 1 2 2"), ("SEQUENTIAL", "1 1 1 1")])
def test_a_variable_of_a_user_is_kept_from_call_to_call(play, tmp_path, order, values):
    users = tmp_path / "users.csv"
    users.write_text(f"{order}\nalice\nbob\n")
    text = '<User variables="n" /><nop><action><add assign_to="n" value="1" /></action></nop>'
    played = play(
        text + send("INFO", more="X-N: [$n]"), injections={"users.csv": read_injection(users)}
    )
    for number in range(1, 5):
        played.call(number)
    counted = [data.split(b"X-N: ")[1][:1].decode() for data in played.sent]
    assert " ".join(counted) == values
