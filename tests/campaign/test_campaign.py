"""A campaign: one against the lab, and many against a stand-in of an account."""

from __future__ import annotations

import asyncio
import json
import wave
from dataclasses import replace

import numpy as np
import pytest

from softphone.campaign import (
    AttemptResult,
    Campaign,
    CampaignCall,
    CampaignRules,
    DoNotCallList,
    Journal,
    ListedNumber,
    Outcome,
    PlayFile,
    ResultsTable,
    TransferTo,
    append_campaign_figures,
    hang_up,
    load_function,
    read_call_list,
)
from softphone.campaign import campaign as module
from softphone.campaign.actions import JoinBot
from softphone.campaign.campaign import outcome_of
from softphone.config import AccountConfig, DialPolicyConfig
from softphone.errors import (
    Busy,
    CallFailed,
    CertificateError,
    ConfigurationError,
    Declined,
    DialRefused,
    LocalProtocolError,
    NoAnswer,
    NoConnection,
    NoPortFree,
    NotFound,
    Redirected,
    TransportError,
)
from softphone.events import AnswerClassified, CallEnded, CallState, EndedBy, ToneDetected
from tests.support.calling import answer_one, next_call
from tests.support.sounds import samples, silence, tone
from tests.support.waiting import PATIENCE, until

CONFIG = AccountConfig("sip:bot@pbx.test", registrar="sip:pbx.test")
FAST = {"rate": 0.0, "calls": 4}


def numbers(*names):
    return [ListedNumber(name, name, line=n) for n, name in enumerate(names, 2)]


class StandInCall:
    """An answered call: `events` come as its script has them."""

    def __init__(self, script=()):
        self.script = script
        self.state = CallState.CONFIRMED
        self.audio = self
        self.stopped = 0
        self.by = EndedBy.REMOTE

    def detect(self, **wanted):
        assert wanted == {"answer": True, "tones": True}
        return self

    def stop(self):
        self.stopped += 1

    async def ended(self):
        return CallEnded(self.by)

    async def events(self):
        for each in self.script:
            if isinstance(each, float):
                await asyncio.sleep(each)
            else:
                yield each
        await asyncio.Event().wait()


class StandInOutgoing:
    """A call to a number: `outcome` is an error, or the call that answers."""

    def __init__(self, outcome, ended):
        self.outcome = outcome
        self.ended = ended
        self.id = "call-id"

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.ended()

    async def answered(self, timeout):  # noqa: ASYNC109 - as the real one
        if isinstance(self.outcome, asyncio.Event):
            await self.outcome.wait()
            return StandInCall()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class StandInAccount:
    """An account whose calls end as `answers` say, by number; others are answered."""

    def __init__(self, answers=None, config=CONFIG):
        self.answers = answers or {}
        self.config = config
        self.dialed = []
        self.up = 0

    def dial(self, number, headers=()):
        self.dialed.append(number)
        self.up += 1
        outcome = self.answers.get(number) or StandInCall()
        outcome = outcome.pop(0) if isinstance(outcome, list) else outcome
        if isinstance(outcome, ConfigurationError):
            raise outcome
        return StandInOutgoing(outcome, self.ended)

    def ended(self):
        self.up -= 1


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "r.jsonl") as made:
        yield made


@pytest.fixture
def make(journal):
    """`make(account, numbers, actions, calls=2)`: a campaign, and the list of its results."""

    def begin(account, listed, actions=None, rules=(), **options):
        results = []
        rules = CampaignRules(**FAST | dict(rules))
        options = {"journal": journal, "classify": False} | options
        made = Campaign(account, rules, listed, actions or {}, report=results.append, **options)
        return made, results

    return begin


def outcomes(results):
    return {each.number: each.outcome.value for each in results}


# With the lab


async def serve(account, pcm):
    """Answer the next call, say `pcm`, and return what is heard to its end."""
    call = await answer_one(account)
    call.audio.use_rates(read_hz=8000, write_hz=8000)
    await call.audio.write(pcm)
    return np.concatenate([block.pcm async for block in call.audio])


async def refuse(account):
    (await next_call(account)).reject(486)


def message(path):
    """A tone of half a second as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(samples(tone(700.0, seconds=0.5)).tobytes())
    return path


async def answer_and_leave(account):
    (await answer_one(account)).hangup()


async def callees(account_of):
    """bob says nothing, dave hangs up, and carol is busy; they share a phone.

    Who is known by what they say is the dialer's test: on a busy computer sound has gaps.
    """
    silent, leaving, busy = await account_of("bob", "dave", "carol")
    return [
        asyncio.create_task(serve(silent, samples(silence(1.0)))),
        asyncio.create_task(answer_and_leave(leaving)),
        asyncio.create_task(refuse(busy)),
    ]


async def run_list(alice, tmp_path, actions):
    """Call the list by alice; return the results."""
    listed = read_call_list(tmp_path / "list.csv", alice.config, needs_zone=False)
    results: list[AttemptResult] = []
    with (
        Journal(tmp_path / "r.jsonl", aor=alice.aor) as journal,
        ResultsTable(tmp_path / "r.csv") as table,
    ):
        campaign = Campaign(
            alice,
            CampaignRules(calls=5, rate=20.0),
            listed,
            actions,
            journal=journal,
            table=table,
            do_not_call=[DoNotCallList(tmp_path / "dnc.txt", alice.config)],
            report=results.append,
        )
        await asyncio.wait_for(campaign.run(), 60)
    return results


async def test_who_answers_is_found_out_and_each_gets_its_action(account_of, tmp_path):
    sound, heard = message(tmp_path / "message.wav"), []
    called, (alice,) = await callees(account_of), await account_of("alice")
    (tmp_path / "list.csv").write_text(
        "number,header:X-Order,zone\nbob,7,UTC\ndave,,\ncarol,,\nnobody,,\n1003,,\n"
    )
    (tmp_path / "dnc.txt").write_text("1003\n")

    async def talk(made: CampaignCall) -> str:
        heard.append((made.number.number, made.attempt, made.answered_call.state))
        made.answered_call.audio.play(sound)
        await made.answered_call.audio.played()
        return "agreed"

    results = await run_list(alice, tmp_path, {Outcome.HUMAN: talk})
    assert outcomes(results) == {
        **{"bob": "silence", "dave": "hung_up", "carol": "busy", "nobody": "not_found"},
        "1003": "do_not_call",
    }
    found = {each.number: each for each in results}
    assert found["bob"].detail == "agreed"
    assert (found["carol"].status, found["nobody"].status) == (486, 404)
    assert found["bob"].seconds > 1.0
    assert found["bob"].call_id
    assert heard == [("bob", 1, CallState.CONFIRMED)]
    sound_of_bob, *_ = await asyncio.gather(*called)
    assert np.abs(sound_of_bob).max() > 1000
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines].count("dialing") == 4
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 6


# Outcomes


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Busy("b", status=486), "busy"),
        (NoAnswer("n"), "no_answer"),
        (Declined("d"), "declined"),
        (NotFound("f"), "not_found"),
        (Redirected("r"), "failed"),
        (CallFailed("f", status=503), "failed"),
        (NoConnection("c"), "failed"),
        (DialRefused("d", rule="premium"), "refused"),
        (DialRefused("d", rule="budget_per_day"), "postponed"),
        (TransportError("t"), "postponed"),
        (CertificateError("c"), "postponed"),
        (NoPortFree("p"), "postponed"),
    ],
)
def test_each_cause_is_an_outcome(error, outcome):
    assert outcome_of(error) == outcome


async def test_what_was_refused_keeps_status_and_reason(make):
    account = StandInAccount({"a": Busy("486 Busy Here", status=486)})
    seen = []

    async def later(made):
        seen.append((made.call, made.is_over))
        return "call again"

    campaign, results = make(account, numbers("a"), {Outcome.BUSY: later})
    await campaign.run()
    (result,) = results
    assert (result.status, result.reason, result.detail) == (486, "486 Busy Here", "call again")
    assert seen == [(None, True)]
    assert account.up == 0


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ([AnswerClassified("human", 0.9, (), 1.0)], "human"),
        ([AnswerClassified("silence", 0.6, (), 4.0)], "silence"),
        ([AnswerClassified("fax", 0.9, (), 1.0)], "fax"),
        ([ToneDetected("ringback", 0.1, 1.0), ToneDetected("busy", 1.0, 1.0)], "busy"),
        ([AnswerClassified("machine", 0.8, (), 2.4), ToneDetected("beep", 4.0, 0.3)], "machine"),
        ([AnswerClassified("machine", 0.8, (), 2.4)], "machine"),  # no beep comes
        ([AnswerClassified("machine", 0.8, (), 2.4), CallEnded(EndedBy.REMOTE)], "machine"),
        ([CallEnded(EndedBy.REMOTE)], "hung_up"),
        ([], "silence"),
    ],
)
async def test_who_answered_is_found_out(make, monkeypatch, script, outcome):
    monkeypatch.setattr(module, "CLASSIFY", 0.05)

    async def leave(_):
        return None

    call = StandInCall(script)
    account = StandInAccount({"a": call})
    campaign, results = make(account, numbers("a"), {Outcome.MACHINE: leave}, classify=True)
    await campaign.run()
    assert outcomes(results) == {"a": outcome}
    assert call.stopped == 1


async def test_a_machine_that_nothing_is_for_is_not_listened_to(make):
    call = StandInCall([AnswerClassified("machine", 0.8, (), 2.4)])
    campaign, results = make(StandInAccount({"a": call}), numbers("a"), classify=True)
    await asyncio.wait_for(campaign.run(), PATIENCE)
    assert outcomes(results) == {"a": "machine"}


async def test_a_call_whose_media_fail_has_failed(make):
    call = StandInCall()
    call.detect = None

    class Broken(StandInCall):
        def detect(self, **_):
            raise LocalProtocolError("no audio")

    over = Broken()
    over.state = CallState.TERMINATED
    account = StandInAccount({"a": Broken(), "b": over, "c": call})
    campaign, results = make(account, numbers("a", "b", "c"), classify=True)
    await campaign.run()
    assert outcomes(results) == {"a": "failed", "b": "hung_up", "c": "failed"}
    assert "NoneType" in next(each.detail for each in results if each.number == "c")


# Actions


async def test_a_function_that_fails_a_person_has_abandoned_them(make):
    played = []

    async def fail(made):
        raise ValueError("a fault in it")

    async def leave(made):
        made.abandon()
        return "nobody there"

    async def sorry(made):
        played.append(made.number.number)

    campaign, results = make(StandInAccount(), numbers("a"), {Outcome.ANSWERED: fail})
    await campaign.run()
    assert (results[0].outcome, results[0].detail) == ("abandoned", "failed: a fault in it")
    campaign, results = make(StandInAccount(), numbers("b"), {Outcome.ANSWERED: leave})
    await campaign.run()
    assert (results[0].outcome, results[0].detail) == ("abandoned", "nobody there")


@pytest.mark.parametrize(
    ("by", "outcome"), [(EndedBy.REMOTE, "answered"), (EndedBy.LOCAL, "abandoned")]
)
async def test_who_has_left_was_not_abandoned_and_whom_we_left_was(make, by, outcome):
    async def fail(made):
        made.call.state, made.call.by = CallState.TERMINATED, by
        raise LocalProtocolError("the call is over")

    campaign, results = make(StandInAccount(), numbers("a"), {Outcome.ANSWERED: fail})
    await campaign.run()
    assert (results[0].outcome, results[0].detail) == (outcome, "failed: the call is over")


async def test_bots_that_fail_end_the_campaign(make):
    async def fail(made):
        raise TransportError("the bot is not there")

    listed = numbers(*"abcdefgh")
    campaign, results = make(StandInAccount(), listed, {Outcome.ANSWERED: fail}, rules={"calls": 1})
    await campaign.run()
    assert [each.outcome for each in results] == ["abandoned"] * 3
    assert campaign.stopped_because.startswith("3 of 3 people who answered were abandoned")
    assert campaign.scheduler.waiting == 5


async def test_a_bot_is_told_name_and_variables(make):
    joined = []

    class Server:
        async def join(self, outgoing, call, parameters):
            joined.append((outgoing.id, parameters))

    listed = [replace(numbers("a")[0], name="Anna", variables={"order": "7"})]
    campaign, results = make(StandInAccount(), listed, {Outcome.ANSWERED: JoinBot(Server())})
    await campaign.run()
    told = {"order": "7", "outcome": "answered", "name": "Anna"}
    assert joined == [("call-id", told)]
    assert results[0].detail == "talked with the bot"
    with pytest.raises(LocalProtocolError):
        await JoinBot(Server())(CampaignCall(listed[0], Outcome.BUSY, 1))
    with pytest.raises(LocalProtocolError):
        await JoinBot(Server())(CampaignCall(listed[0], Outcome.HUMAN, 1, call=StandInCall()))


async def test_a_transfer_is_one_to_the_target(make):
    transferred = []

    class Transferable(StandInCall):
        async def transfer(self, target):
            transferred.append(target)

    account = StandInAccount({"a": Transferable()})
    campaign, results = make(account, numbers("a"), {Outcome.ANSWERED: TransferTo("600")})
    await campaign.run()
    assert (transferred, results[0].detail) == (["600"], "transferred")


async def test_people_wait_two_seconds_for_an_agent_at_most(make, monkeypatch):
    monkeypatch.setattr(module, "AGENT_PATIENCE", 0.05)
    busy, said = asyncio.Event(), []

    async def talk(made):
        await busy.wait()

    async def sorry(made):
        said.append(made.number.number)

    gone = StandInCall()
    gone.state = CallState.TERMINATED
    account = StandInAccount({"c": gone})
    campaign, results = make(
        account,
        numbers("a", "b", "c"),
        {Outcome.ANSWERED: talk, Outcome.ABANDONED: sorry},
        rules={"agents": 1, "abandoned_share": 1.0},
    )
    run = asyncio.create_task(campaign.run())
    await until(lambda: len(results) == 2)
    assert outcomes(results) == {"b": "abandoned", "c": "hung_up"}
    assert said == ["b"]
    assert campaign.scheduler.conversations == 1
    busy.set()
    await run
    assert outcomes(results)["a"] == "answered"


async def test_an_action_for_nobody_is_refused(make, tmp_path):
    for outcome, action in (
        (Outcome.POSTPONED, hang_up),
        (Outcome.BUSY, TransferTo("600")),
    ):
        with pytest.raises(ConfigurationError, match=str(outcome)):
            make(StandInAccount(), numbers("a"), {outcome: action})
    with pytest.raises(ConfigurationError, match=r"missing.wav"):
        PlayFile(tmp_path / "missing.wav")


def test_functions_are_loaded_from_files_and_modules(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("async def good(call): return 'x'\ndef plain(call): pass\n")
    assert load_function(f"{file}:good").__name__ == "good"
    assert load_function("softphone.campaign.actions:hang_up") is hang_up
    (tmp_path / "broken.py").write_text("1/0\n")
    for text, words in (
        ("hangup", "expected FILE.py:NAME"),
        (f"{file}:", "expected FILE.py:NAME"),
        (f"{file}:plain", "no async function named 'plain'"),
        (f"{file}:none", "no async function named 'none'"),
        (f"{tmp_path}/none.py:good", "there is no file"),
        (f"{tmp_path}/broken.py:good", "ZeroDivisionError"),
        ("no.such.module:good", "cannot be loaded"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            load_function(text)


# Order, and the end


async def test_calls_are_not_more_than_the_rules_say_and_the_others_follow(make):
    gate = asyncio.Event()
    account = StandInAccount(dict.fromkeys("abcdef", gate))
    campaign, results = make(account, numbers(*"abcdef"), rules={"calls": 2})
    run = asyncio.create_task(campaign.run())
    await until(lambda: len(account.dialed) == 2)
    for _ in range(50):  # passes of the loop in which a third call could begin
        await asyncio.sleep(0)
    assert account.dialed == ["a", "b"]
    assert {each.state for each in campaign.calls.values()} == {"dialing"}
    gate.set()
    await run
    assert account.dialed == list("abcdef")
    assert campaign.calls == {}
    assert len(results) == 6


async def test_draining_waits_for_the_calls_that_are_up(make):
    gate = asyncio.Event()
    account = StandInAccount({"a": gate})
    campaign, results = make(account, numbers("a", "b"), rules={"calls": 1})
    run = asyncio.create_task(campaign.run())
    await until(lambda: account.dialed)
    campaign.drain()
    await asyncio.sleep(0)
    assert not run.done()
    gate.set()
    await asyncio.wait_for(run, PATIENCE)
    assert outcomes(results) == {"a": "answered"}
    assert campaign.stopped_because == ""


async def test_who_is_cut_off_is_interrupted_and_known_to_be(make, journal, tmp_path):
    gate = asyncio.Event()
    account = StandInAccount({"a": gate})
    campaign, results = make(account, numbers("a", "b"), rules={"calls": 1})
    run = asyncio.create_task(campaign.run())
    await until(lambda: account.dialed)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert outcomes(results) == {"a": "interrupted"}
    assert account.up == 0
    assert json.loads((tmp_path / "r.jsonl").read_text().splitlines()[-1])["outcome"] == (
        "interrupted"
    )


async def test_the_do_not_call_list_is_looked_at_before_each_call(make, tmp_path):
    path = tmp_path / "dnc.txt"
    path.write_text("zoe\n")

    async def add_b(made):
        path.write_text("b\n")

    listed = [ListedNumber(f"{name}@pbx.test", name, line=n) for n, name in enumerate("abc")]
    account = StandInAccount()
    campaign, results = make(
        account,
        listed,
        {Outcome.ANSWERED: add_b},
        rules={"calls": 1},
        do_not_call=[DoNotCallList(path, CONFIG)],
    )
    await campaign.run()
    assert outcomes(results) == {"a": "answered", "b": "do_not_call", "c": "answered"}
    assert account.dialed == ["a", "c"]


async def test_without_the_list_nobody_is_called(make, tmp_path):
    path = tmp_path / "dnc.txt"
    path.write_text("zoe\n")
    guard = DoNotCallList(path, CONFIG)
    path.unlink()
    account = StandInAccount()
    campaign, results = make(account, numbers("a", "b"), do_not_call=[guard])
    await campaign.run()
    assert (account.dialed, results) == ([], [])
    assert "dnc.txt: No such file" in campaign.stopped_because


async def test_without_the_journal_nobody_is_called(make, journal, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    account = StandInAccount()
    campaign, results = make(account, numbers("a", "b"))
    await campaign.run()
    monkeypatch.undo()
    assert (account.dialed, results) == ([], [])
    assert "No space left" in campaign.stopped_because


async def test_a_result_that_cannot_be_written_ends_the_campaign(make, journal, monkeypatch):
    async def fill(made):
        monkeypatch.setattr("os.write", lambda handle, data: 0)

    account = StandInAccount()
    campaign, results = make(
        account, numbers("a", "b"), {Outcome.ANSWERED: fill}, rules={"calls": 1}
    )
    await campaign.run()
    monkeypatch.undo()
    assert (account.dialed, len(results)) == (["a"], 1)
    assert "no space" in campaign.stopped_because


async def test_what_a_limit_postpones_is_called_later(make):
    now = [1_700_000_000.0]
    refused = DialRefused("60 calls were placed within an hour", rule="calls_per_hour")
    account = StandInAccount({"a": [refused, refused, StandInCall()]})

    def wall():
        now[0] += 400.0
        return now[0]

    campaign, results = make(account, numbers("a"), wall=wall)
    await campaign.run()
    assert [each.outcome for each in results] == ["postponed", "postponed", "answered"]
    assert {each.attempt for each in results} == {1}


async def test_a_policy_with_fewer_calls_at_once_is_said(make):
    policy = DialPolicyConfig(country="49", calls_at_once=2)
    account = StandInAccount(config=replace(CONFIG, dial_policy=policy))
    with pytest.raises(ConfigurationError, match="calls_at_once of the account is 2"):
        make(account, numbers("a"))


async def test_a_second_run_goes_on(tmp_path):
    path = tmp_path / "r.jsonl"
    dialed = []
    for names in ("ab", "abc"):
        account = StandInAccount()
        with Journal(path) as journal:
            campaign = Campaign(
                account,
                CampaignRules(**FAST),
                numbers(*names),
                {},
                journal=journal,
                classify=False,
            )
            await campaign.run()
        dialed.append(account.dialed)
    assert dialed == [["a", "b"], ["c"]]


async def test_its_figures_are_for_prometheus(make):
    campaign, _ = make(StandInAccount(), numbers("a"))
    await campaign.run()
    lines = []
    append_campaign_figures(lines, campaign.scheduler)
    assert "softphone_campaign_waiting 0" in lines
    assert 'softphone_campaign_attempts_total{outcome="answered"} 1' in lines


def test_a_result_is_plain_for_json():
    made = AttemptResult("k", "1", "", 2, 1, Outcome.HUMAN, started=0.0, ended=1.0)
    plain = made.to_plain()
    assert json.loads(json.dumps(plain))["started"] == "1970-01-01T00:00:00.000+00:00"
