"""The machine of a call, on virtual time: order, retransmission, branches, and what ends it."""

from __future__ import annotations

import pytest

from softphone.load.sipp import CommandWanted, ScenarioLog, StopWanted
from softphone.load.sipp.outcome import CallBegan
from softphone.sans_io import Transport
from tests.load.sipp.conftest import answer, head_of, send

INVITE = send("INVITE", attributes='retrans="500"')
RINGING = '<recv response="180" optional="true" />'
OK = '<recv response="200" />'


def invite_200(cseq=1, *lines):
    return head_of("200", "for INVITE", "Contact: <sip:b@127.0.0.1:5060>", *lines, cseq=cseq)


def at(played, step, element='<recv response="200">'):
    """Where a message was not expected: a step, with its element and line."""
    return f" at {element} in line {played.endpoint._settings.scenario.steps[step].line}"


def test_a_call_goes_through_its_steps(play):
    played = play(INVITE + RINGING + OK + send("ACK", cseq="1") + send("BYE") + OK)
    assert played.call() == ["INVITE sip:b@127.0.0.1:5060 SIP/2.0"]
    assert played.get(head_of("180", "for INVITE"), head_of("180", "for INVITE")) == []
    played.now = 2.0
    assert [line.split()[0] for line in played.get(invite_200())] == ["ACK", "BYE"]
    assert b"CSeq: 2 BYE" in played.sent[-1]
    assert b"To: <sip:b@127.0.0.1>;tag=b" in played.sent[-1]
    played.get(head_of("200", "for BYE", cseq=2))
    (outcome,) = played.outcomes
    assert (outcome.cause, outcome.setup) == ("", 2.0)
    assert played.endpoint.calls_up == 0


def test_a_request_is_repeated_over_udp_at_doubling_intervals_and_given_up(play):
    played = play(INVITE + OK)
    played.call()
    times = []
    while played.endpoint.calls_up:
        deadline = played.endpoint.next_timer()
        if played.wait(deadline - played.now):
            times.append(played.now)
    assert times == [0.5, 1.5, 3.5, 7.5, 15.5]
    assert set(played.sent) == {played.sent[0]}
    assert played.outcomes[0].cause == "no answer in time"
    assert played.endpoint.counters["retransmissions"] == 5


def test_other_requests_than_invite_keep_to_t2(play):
    played = play(send("OPTIONS", attributes='retrans="500"') + OK, answer_timeout=100.0)
    played.call()
    assert len(played.wait(40.0)) == 7
    assert played.outcomes[0].cause == "no answer in time"


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
def test_nothing_is_repeated_over_streams(play, transport):
    played = play(INVITE + OK, transport=transport, answer_timeout=32.0)
    played.call()
    assert played.wait(60.0) == []
    assert played.outcomes[0].cause == "no answer in time"


def test_what_is_waited_for_ends_the_repetition(play):
    played = play(INVITE + RINGING + OK, answer_timeout=20.0)
    played.call()
    played.get(head_of("180", "for INVITE"))
    assert played.wait(10.0) == []


def test_a_repeated_message_gets_what_was_sent_for_it(play):
    played = play(INVITE + OK + send("ACK", cseq="1") + '<pause milliseconds="60000" />')
    played.call()
    played.get(invite_200())
    assert played.get(invite_200()) == ["ACK sip:b@127.0.0.1:5060 SIP/2.0"]
    assert played.outcomes == []


def test_an_unexpected_response_fails_the_call_by_its_status_and_is_acknowledged(play):
    played = play(INVITE + RINGING + OK)
    played.call()
    assert played.get(head_of("486", "for INVITE")) == ["ACK sip:b@127.0.0.1:5060 SIP/2.0"]
    assert b"branch=z9hG4bK-7-1-0" in played.sent[-1]
    assert b"CSeq: 1 ACK" in played.sent[-1]
    assert played.outcomes[0].cause == "486 Busy Here" + at(played, 2)


def test_an_early_call_that_fails_is_canceled_and_an_answered_one_hung_up(play):
    played = play(INVITE + RINGING + OK)
    played.call()
    played.get(head_of("180", "for INVITE"))
    assert played.get(head_of("INFO")) == ["CANCEL sip:b@127.0.0.1:5060 SIP/2.0"]
    assert played.outcomes[0].cause == "unexpected INFO" + at(played, 2)
    played = play(INVITE + OK + send("ACK", cseq="1") + '<pause milliseconds="5000" />')
    played.call()
    played.get(invite_200(1, "Record-Route: <sip:127.0.0.1:5061;lr>"))
    assert played.get(head_of("FOO")) == ["BYE sip:b@127.0.0.1:5060 SIP/2.0"]
    assert b"Route: <sip:127.0.0.1:5061;lr>" in played.sent[-1]
    assert played.outcomes[0].cause == "unexpected request" + at(played, -1, "<pause>")


def test_a_response_to_another_request_is_not_taken(play):
    """A second 200 for the INVITE is no 200 for the BYE."""
    played = play(INVITE + OK + send("ACK", cseq="1") + send("BYE") + OK)
    played.call()
    played.get(invite_200())
    played.get(invite_200(1, "X-Other: copy"))
    assert played.outcomes[0].cause == "200 OK" + at(played, -1)


def test_a_branch_is_taken_when_its_variable_is_set(play):
    search = '<action><ereg regexp="X-Way: ([a-z]+)" search_in="msg" assign_to="way" /></action>'
    text = (
        send("OPTIONS")
        + f'<recv response="200" next="end" test="way">{search}</recv>'
        + send("INFO")
        + OK
        + '<label id="end" />'
        + send("MESSAGE", more="X-Way: [$way]")
    )
    played = play(text)
    played.call()
    assert played.get(head_of("200", "for OPTIONS", "X-Way: left"))[0].startswith("MESSAGE")
    assert b"X-Way: X-Way: left" in played.sent[-1]
    played = play(text)
    played.call()
    assert played.get(head_of("200", "for OPTIONS"))[0].startswith("INFO")


def test_chance_comes_from_the_seed(play):
    text = '<nop next="end" chance="0.5" />' + send("INFO") + '<label id="end" />' + send("MESSAGE")
    runs = []
    for _ in range(2):
        played = play(text, limit=100, seed=5)
        runs.append([len(played.call(number)) for number in range(1, 60)])
    assert runs[0] == runs[1]
    assert {1, 2} == set(runs[0])


def test_a_timeout_leads_to_its_label(play):
    text = (
        send("OPTIONS")
        + '<recv response="200" timeout="1500" ontimeout="late" />'
        + send("INFO")
        + '<label id="late" />'
        + send("MESSAGE")
    )
    played = play(text)
    played.call()
    assert played.wait(1.4) == []
    assert played.wait(0.2)[0].startswith("MESSAGE")
    assert played.outcomes[0].cause == ""


@pytest.mark.parametrize(
    ("pause", "low", "high"),
    [
        ('milliseconds="250"', 0.25, 0.25),
        ('distribution="uniform" min="100" max="300"', 0.1, 0.3),
        ('distribution="fixed" value="70"', 0.07, 0.07),
        ('distribution="normal" mean="1000" stdev="10"', 0.9, 1.1),
        ('distribution="exponential" mean="50"', 0.0, 3.0),
        ("", 4.0, 4.0),
    ],
)
def test_a_pause_lasts_as_its_distribution_says(play, pause, low, high):
    played = play(f"<pause {pause} />" + send("INFO"), pause=lambda number: 4.0)
    played.call()
    assert low <= played.endpoint.next_timer() <= high
    assert played.wait(high) == ["INFO sip:b@127.0.0.1:5060 SIP/2.0"]


def test_a_global_step_takes_its_message_at_any_time(play):
    text = (
        send("OPTIONS")
        + '<recv request="INFO" optional="global" />'
        + OK
        + '<pause milliseconds="1000" />'
        + send("MESSAGE")
    )
    played = play(text)
    played.call()
    played.get(head_of("200", "for OPTIONS"))
    assert played.get(head_of("INFO")) == []
    assert played.wait(1.0) == ["MESSAGE sip:b@127.0.0.1:5060 SIP/2.0"]
    assert played.outcomes[0].cause == ""


@pytest.mark.parametrize(("before", "cause"), [(16_000, ""), (17_000, "<ereg>")])
def test_a_pattern_is_searched_in_so_much_text(play, before, cause):
    """Many a pattern takes time by the square of the text."""
    text = send("OPTIONS") + (
        '<recv response="200"><action>'
        '<ereg regexp="needed" search_in="msg" check_it="true" assign_to="a" />'
        "</action></recv>"
    )
    played = play(text)
    played.call()
    message = head_of("200", "for OPTIONS").replace(b"Length: 0", b"Length: %d" % (before + 6))
    played.get(message + b"x" * before + b"needed")
    assert played.outcomes[0].cause.startswith(cause)
    assert bool(played.outcomes[0].cause) == bool(cause)


def test_actions_fail_a_call_by_their_line(play):
    text = send("OPTIONS") + (
        '<recv response="200"><action>\n'
        '<ereg regexp="X-Needed" search_in="msg" check_it="true" assign_to="a" />'
        "</action></recv>"
    )
    played = play(text)
    played.call()
    played.get(head_of("200", "for OPTIONS"))
    step = played.endpoint._settings.scenario.steps[-1]
    assert played.outcomes[0].cause == f"<ereg> in line {step.line + 1}"


def test_logs_commands_and_the_end_of_a_run_are_events(play, scenario):
    text = send("OPTIONS") + (
        '<nop><action><log message="call [call_number]" /><warning message="w" />'
        '<exec int_cmd="stop_gracefully" /></action></nop>'
    )
    played = play(text)
    played.call()
    kinds = [type(event) for event in played.events]
    assert kinds[:4] == [CallBegan, ScenarioLog, ScenarioLog, StopWanted]
    assert played.events[1].text == "call 1"
    assert not [event for event in played.events if isinstance(event, CommandWanted)]
    assert played.outcomes[0].cause == ""


def test_a_scenario_that_goes_round_fails_and_does_not_hang(play):
    played = play('<label id="again" /><nop next="again" />' + send("INFO"))
    played.call()
    assert played.outcomes[0].cause == "the scenario goes round without waiting"


def test_a_global_variable_is_every_calls(play):
    text = (
        '<Global variables="n" /><nop><action><add assign_to="n" value="1" />'
        '<add assign_to="own" value="1" /></action></nop>' + send("INFO", more="X-N: [$n] [$own]")
    )
    played = play(text)
    played.call(1)
    played.call(2)
    assert b"X-N: 1.000000 1.000000" in played.sent[0]
    assert b"X-N: 2.000000 1.000000" in played.sent[1]


def test_a_server_answers_and_absorbs_what_comes_again(play):
    text = (
        '<recv request="INVITE" />'
        + answer("180")
        + answer("200", attributes='retrans="500"')
        + '<recv request="ACK" />'
        + '<recv request="BYE" />'
        + answer("200")
        + '<timewait milliseconds="4000" />'
    )
    played = play(text)
    assert [line.split()[1] for line in played.get(head_of("INVITE"))] == ["180", "200"]
    assert played.wait(0.6) == ["SIP/2.0 200 Reason"]
    played.get(head_of("ACK"))
    assert played.wait(5.0) == []
    bye = head_of("BYE", cseq=2)
    assert played.get(bye) == ["SIP/2.0 200 Reason"]
    assert played.get(bye) == ["SIP/2.0 200 Reason"]
    assert played.outcomes == []
    played.wait(4.0)
    assert played.outcomes[0].cause == ""
    assert played.get(bye) == []


def test_a_registration_is_measured_and_a_refused_one_counted(play):
    text = send("REGISTER") + '<recv response="200" optional="true" next="end" />'
    text += '<recv response="403" /><label id="end" />'
    for status, refused in (("200", ""), ("403", "403 Forbidden")):
        played = play(text)
        played.call()
        played.now = 0.25
        played.get(head_of(status, "for REGISTER"))
        assert played.outcomes[0].registrations == ((0.25, refused),)


def test_lost_messages_are_not_sent(play):
    played = play(send("INFO", attributes='lost="100"') + send("MESSAGE", attributes='lost="0"'))
    assert [line.split()[0] for line in played.call()] == ["MESSAGE"]


def test_a_response_of_a_named_transaction_is_told_by_its_branch(play):
    text = send("INFO", attributes='start_txn="one"') + send("INFO", attributes='start_txn="two"')
    text += '<recv response="200" response_txn="one" />'
    played = play(text)
    played.call()
    other = head_of("200", "for INFO").replace(b"-7-1-0", b"-7-1-1")
    played.get(other)
    assert played.outcomes[0].cause == "200 OK" + at(played, -1)
    played = play(text)
    played.call()
    played.get(head_of("200", "for INFO"))
    assert played.outcomes[0].cause == ""


def test_jumps_outside_of_the_scenario_fail_the_call(play):
    played = play(send("INFO") + '<nop><action><jump value="99" /></action></nop>')
    played.call()
    assert played.outcomes[0].cause == "a jump to a step that is not there"


@pytest.mark.parametrize("number", ["inf", "nan", "1e999", "-1", "zero"])
def test_numbers_that_a_far_end_writes_do_no_harm(play, number):
    search = '<ereg regexp="[^ ]*$" search_in="hdr" header="X-N" assign_to="n" />'
    text = send("OPTIONS") + f'<recv response="200"><action>{search}</action></recv>'
    text += '<pause variable="n" />' + send("INFO", more="X-N: [field0 line=$n]")
    text += '<nop><action><jump variable="n" /></action></nop>'
    played = play(text)
    played.call()
    played.get(head_of("200", "for OPTIONS", f"X-N: {number}"))
    played.wait(1.0)
    assert b"INFO" in b"".join(played.sent)


def test_a_pause_that_no_number_holds_is_a_long_one(play):
    played = play('<pause distribution="lognormal" mean="9000" stdev="1" />' + send("INFO"))
    played.call()
    assert played.endpoint.next_timer() == 1e6


def test_a_server_may_begin_with_actions(play):
    text = '<nop><action><assign assign_to="a" value="1" /></action></nop>'
    played = play(text + '<recv request="OPTIONS" />' + answer("200"))
    assert played.get(head_of("OPTIONS")) == ["SIP/2.0 200 Reason"]


def test_a_request_that_is_not_waited_for_names_what_is(play):
    for text, element in (
        ('<recv request="INVITE" />', '<recv request="INVITE">'),
        ('<recv request="INV|OPT" regexp_match="true" />', '<recv request="INV|OPT">'),
    ):
        played = play('<recv request="MESSAGE" />' + answer("200") + text)
        played.get(head_of("MESSAGE"))
        played.get(head_of("INFO", cseq=2))
        assert played.outcomes[0].cause == "unexpected INFO" + at(played, -1, element)


@pytest.mark.parametrize(
    ("header", "occurrence", "found"),
    [
        ("X-N:", 1, " one"),
        ("X-N: ", 1, "one"),
        ("X-N", 1, ": one"),
        ("x-n:", 2, "two"),
        ("X-N:", 3, ""),
        ("X-M:", 1, ""),
    ],
)
def test_a_header_is_searched_as_it_came(play, header, occurrence, found):
    """What is behind the name that the scenario gives, blanks and all, as SIPp has it."""
    search = f'<ereg regexp=".*" search_in="hdr" header="{header}" occurrence="{occurrence}"'
    text = send("OPTIONS") + f'<recv response="200"><action>{search} assign_to="n" />'
    played = play(text + "</action></recv>" + send("INFO", more="X-N: ([$n])"))
    played.call()
    played.get(head_of("200", "for OPTIONS", "X-N: one", "X-N:two"))
    assert f"X-N: ({found})\r\n".encode() in played.sent[-1]


def test_the_tag_of_the_far_end_is_that_of_its_answers(play):
    """A request has it in From, where SIPp does not look."""
    text = '<recv request="OPTIONS" />' + answer("200") + send("INFO") + OK + send("INFO")
    played = play(text)
    played.get(head_of("OPTIONS"))
    assert b"To: <sip:b@127.0.0.1>\r\n" in played.sent[-1]
    played.get(head_of("200", "for INFO", cseq=2))
    assert b"To: <sip:b@127.0.0.1>;tag=b\r\n" in played.sent[-1]


def test_a_request_of_ours_counts_on_from_those_of_the_far_end(play):
    played = play('<recv request="OPTIONS" />' + answer("200") + send("INFO"))
    played.get(head_of("OPTIONS", cseq=41))
    assert b"CSeq: 42 INFO" in played.sent[-1]
