"""Simulated callers against a bot of known delays, through a lab over TLS and SRTP.

On virtual time: one process holds callers, lab and bot, and nothing waits.
"""

from __future__ import annotations

import asyncio
import wave
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from softphone.bot_test import (
    BotTestPlan,
    BotTestRunner,
    BotTimes,
    CallReport,
    ScriptedBot,
    parse_bot_expectation,
    read_script,
    runner,
)
from softphone.bot_test.scripted_bot import syllables
from softphone.config import load_account
from softphone.errors import ConfigurationError
from softphone.lab import LabServer
from softphone.load.run.fault import ImpairedMediaBackend
from softphone.media.engine.sockets import MediaSockets
from softphone.phone import Phone
from tests.support.virtual_loop import run_virtually

SAY = '[[step]]\nsay = "question.wav"\n'
LISTEN = "[[step]]\nlisten = 10.0\n"
WORDS = LISTEN + 'words = "how may I help you"\n'
SCRIPTS = {
    # The greeting, an answer, one that is interrupted, and the last one, after which it hangs up.
    "order": 'end = "bot"\n' + LISTEN + SAY + LISTEN + SAY + SAY + "barge_in = 0.4\n" + LISTEN,
    "menu": '[[step]]\nexpect_digits = "42"\n' + WORDS + '[[step]]\ndigits = "1"\n' + SAY + LISTEN,
    "noisy": 'codec = "PCMA"\nnoise = -40.0\nloss = 2.0\n' + LISTEN + SAY + LISTEN,
    "wrong": 'end = "bot"\n' + LISTEN + '[[step]]\nexpect_digits = "43"\nwithin = 0.5\n' + SAY,
    "silent": "[[step]]\nlisten = 0.2\n",
    "patient": 'end = "bot"\nend_within = 1.0\n' + LISTEN,
    "late": LISTEN + "[[step]]\nwait = 0.1\n" + SAY + "barge_in = 0.1\nwithin = 1.0\n",
}
OUT_OF_STEP = 0.007
"""Seconds, of which a frame of 20 ms is no multiple."""
TIMES = BotTimes(greets_after=0.4, responds_after=0.6, stops_after=0.2)


def loop_time():
    return asyncio.get_running_loop().time()


def write_scripts(folder):
    with wave.open(str(folder / "question.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(syllables(1.0).tobytes())
    for name, text in SCRIPTS.items():
        (folder / f"{name}.toml").write_text(text)


def stand_ins(patch, relayed):
    """What has no virtual time: stamps of packets, processes; relays are noted."""
    receive, make = MediaSockets.receive_packets, ImpairedMediaBackend.__init__

    def receive_now(self, phase, *, now, wall):
        # The system stamps packets with the real time, which is none here.
        return receive(self, phase, now=now, wall=0.0)

    async def understood(command, pcm, rate):
        assert rate == 8000
        return "how may we help" if abs(pcm).max() > 5000 else ""

    def noted(self, *arguments, **options):
        make(self, *arguments, **options)
        relayed.append((self, options["sent_only"]))

    patch.setattr(MediaSockets, "receive_packets", receive_now)
    patch.setattr(runner, "_transcribed", understood)
    patch.setattr(ImpairedMediaBackend, "__init__", noted)


async def run_all(folder):
    """Run each script once, and call nobody once."""
    async with LabServer(folder / "lab", clock=loop_time) as lab, Phone(clock=loop_time) as bot:
        # Three engines whose frames are due at one instant would run in an order that any other
        # timer changes, and a packet would come a frame sooner or later by it.
        await asyncio.sleep(OUT_OF_STEP)
        account = await bot.register(load_account(lab.accounts["bob"]).config)
        serving = ScriptedBot(TIMES, digits="42", answers=3)
        answering = asyncio.ensure_future(serving.serve(account))
        plan = BotTestPlan(
            lab.accounts["alice"],
            load_account(lab.accounts["alice"]).config,
            "bob",
            tuple(read_script(folder / f"{name}.toml") for name in SCRIPTS),
            calls=len(SCRIPTS),
            at_once=4,
            transcriber=("whisper",),
        )
        seen: list[CallReport] = []
        async with BotTestRunner(plan, on_call=seen.append, clock=loop_time) as running:
            result = await running.run()
            registrations = len(running._accounts)
        nobody = replace(plan, target="nobody", calls=1, scripts=plan.scripts[:1])
        async with BotTestRunner(nobody, clock=loop_time) as running:
            unanswered = await running.run()
        answering.cancel()
    assert seen == result.reports
    return SimpleNamespace(
        result=result,
        reports={report.script.name: report for report in seen},
        bots=serving.voices,
        registrations=registrations,
        unanswered=unanswered,
        plan=plan,
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A run of all scripts, each once: what was measured."""
    folder = tmp_path_factory.mktemp("bot-test")
    write_scripts(folder)
    relayed = []
    with pytest.MonkeyPatch.context() as patch:
        stand_ins(patch, relayed)
        found = run_virtually(run_all(folder))
    found.relayed = relayed
    return found


def test_the_run_is_valid_and_every_call_encrypted(world):
    load = world.result.load
    assert load.invalid_because == []
    assert (load.total.answered, load.most_up) == (len(SCRIPTS), 4)
    assert set(load.total.suites) == {"AEAD_AES_256_GCM"}
    assert [bot.late for bot in world.bots] == [0] * len(SCRIPTS)
    verdict = parse_bot_expectation("suite=AEAD_AES_256_GCM").judge(world.result.tally, load.total)
    assert verdict.met


def test_what_is_measured_is_the_bots_delay_and_the_way_through_the_lab(world):
    """Two calls lie between caller and bot: 100 to 220 ms there and back, by the frame."""
    for name in ("order", "menu"):
        measures = world.reports[name].measures
        assert measures.first_sound - TIMES.greets_after == pytest.approx(0.08, abs=0.05)
        ways = [each - TIMES.responds_after for each in measures.responses]
        assert all(0.1 <= way <= 0.22 for way in ways)
        assert max(ways) - min(ways) <= 0.03
        assert measures.talk_over == 0.0
        assert measures.dead_air >= max(measures.responses)
    (stop,) = world.reports["order"].measures.barge_ins
    assert 0.1 <= stop - TIMES.stops_after <= 0.23


def test_the_bot_hangs_up_where_the_script_says_so(world):
    order = world.reports["order"]
    assert (order.completed, order.problem) == (True, "")
    assert (order.end_cause, order.end_right) == ("remote", True)
    assert len(order.measures.responses) == 2
    # It is no lost call.
    assert world.result.load.total.dropped.total() == 0
    assert (world.reports["menu"].end_cause, world.reports["menu"].end_right) == ("local", True)


def test_digits_are_expected_sent_and_judged(world):
    menu, wrong = world.reports["menu"], world.reports["wrong"]
    assert menu.completed
    assert (menu.digits_right, menu.digits_expected) == (1, 1)
    # Digits are a turn, too: nothing was to be answered between them and what was said.
    assert len(menu.measures.responses) == 1
    assert (wrong.digits_right, wrong.digits_expected) == (0, 1)
    assert wrong.problem_text == ("step 2, expect_digits: 42 came within 0.5 s, 43 was expected")
    assert not wrong.end_right


def test_codec_noise_and_loss_are_the_callers(world):
    noisy = world.reports["noisy"]
    assert noisy.completed
    assert noisy.measures.responses[0] == pytest.approx(TIMES.responds_after + 0.16, abs=0.07)
    # Each codec and loss has a registration; only what we send is lost.
    assert world.registrations == 2
    ((relay, sent_only),) = world.relayed
    assert sent_only
    assert relay.injected["packet lost"] > 0


def test_a_step_that_does_not_come_about_is_named(world):
    problems = {name: report.problem_text for name, report in world.reports.items()}
    assert problems["silent"] == "step 1, listen: the bot said nothing within 0.2 s"
    assert problems["patient"] == "the bot did not hang up within 1 s"
    assert problems["late"] == "step 3, say: the bot did not speak within 1 s"
    assert world.reports["patient"].failed_step == 0


def test_what_the_bot_says_is_transcribed_where_words_are_expected(world):
    assert world.reports["menu"].transcripts == [("how may I help you", "how may we help")]
    assert world.reports["menu"].spoken == []
    assert (world.result.tally.word_errors, world.result.tally.words_expected) == (2, 5)


def test_the_tally_is_the_sum_of_the_calls(world):
    tally = world.result.tally
    assert (tally.calls, tally.answered, tally.completed) == (7, 7, 3)
    assert tally.by_script == Counter(dict.fromkeys(SCRIPTS, 1))
    assert tally.response.total == 4
    assert tally.barge_in.total == 1
    assert tally.end_causes == {"remote": 1, "local": 6}


def test_a_call_that_is_not_answered_is_a_problem(world):
    (report,) = world.unanswered.reports
    assert (report.answered, report.measures, report.completed) == (False, None, False)
    assert "404" in report.problem_text
    assert world.unanswered.load.total.failed == {"404 Not Found": 1}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scripts": ()}, "no script"),
        ({"calls": 0}, "0 calls"),
        ({"at_once": 0}, "0 calls"),
        ({"target": "sip:"}, "sip:"),
        ({"tolerate_late": 1.0, "answer_timeout": 0}, "0 s to answer"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(world, changes, said):
    with pytest.raises(ConfigurationError, match=said):
        replace(world.plan, **changes)


def test_scripts_have_names_of_their_own_and_texts_a_command(world, tmp_path):
    script = world.plan.scripts[0]
    with pytest.raises(ConfigurationError, match="two scripts have the same name"):
        replace(world.plan, scripts=(script, script))
    (tmp_path / "text.toml").write_text("[[step]]\ntext = 'hello'\n")
    with pytest.raises(ConfigurationError, match="text needs a text-to-speech command"):
        replace(world.plan, scripts=(read_script(tmp_path / "text.toml"),))
