"""Calibrates `softphone bot-test` on a bot of known delays: what is measured beyond them, and how
much that varies.

    python bench/call/bench_bot_test.py [--write]

Two parts.  The analysis alone: both tracks are made frame by frame, with a way of known length, so
that what is left is the error of an edge.  And whole calls through a lab, over TLS and SRTP with
jitter buffers, on virtual time: what is left is the way through two phones and the lab, which is
told as its least, mean and greatest, and by how much it differs within one call.  A busy machine
adds to that; `bot-test` calls such a run invalid.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import wave
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.python_build import measured_on
from softphone.bot_test import (
    BotTestPlan,
    BotTestRunner,
    BotTimes,
    CallMeasures,
    ScriptedBot,
    find_sounds,
    frame_levels,
    measure_call,
    read_script,
    syllables,
)
from softphone.bot_test.analysis import HOP
from softphone.bot_test.scripted_bot import BotVoice
from softphone.config import load_account
from softphone.lab import LabServer
from softphone.media import PcmBlock
from softphone.media.engine.sockets import MediaSockets
from softphone.phone import Phone
from tests.support.virtual_loop import run_virtually

RESULTS = Path(__file__).resolve().parents[1] / "results" / "bot_test.json"
RATE, FRAME = 8000, 160
WAY = 3
"""Frames of the made way, each way."""
CALLS = 8
KINDS = {
    "PCMU": "",
    "PCMA, noise -40 dBm0": 'codec = "PCMA"\nnoise = -40.0\n',
    "PCMU, 2 % of the caller's packets lost": "loss = 2.0\n",
}
STEPS = """
[[step]]
listen = 10.0
[[step]]
say = "question.wav"
[[step]]
listen = 10.0
[[step]]
say = "question.wav"
[[step]]
say = "question.wav"
barge_in = 0.4
[[step]]
listen = 10.0
"""


def analysis_errors(calls: int, noise: float) -> dict[str, list[float]]:
    """Errors in ms of figures of made calls with random delays, for one level of noise."""
    chance = np.random.default_rng(11)
    errors: dict[str, list[float]] = {"first_sound": [], "response": [], "barge_in": []}
    for _ in range(calls):
        greets, responds, stops = chance.uniform((0.1, 0.35, 0.05), (1.0, 0.9, 0.4))
        found = made_call(BotTimes(greets, responds, stops), noise, chance)
        way = 2 * WAY * 0.02
        errors["first_sound"].append((found.first_sound or 0.0) - greets - way / 2)
        errors["response"] += [(each or 0.0) - responds - way for each in found.responses]
        errors["barge_in"] += [(each or 0.0) - stops - way for each in found.barge_ins]
    return errors


def made_call(times: BotTimes, noise: float, chance: np.random.Generator) -> CallMeasures:
    """A call whose tracks are made: a turn, one that interrupts the answer, and its answer."""
    caller = np.zeros(10 * RATE, np.int16)
    turns = np.array([[3.0, 4.0], [5.6, 6.6]]) + chance.uniform(0.0, 0.02)
    for begin, _ in turns:
        at = round(begin * RATE)
        caller[at : at + RATE] = syllables(1.0)
    bot = BotVoice(times, syllables(1.5), syllables(2.5))
    heard = [np.zeros(WAY * FRAME, np.int16)]
    for number in range(caller.size // FRAME):
        at = (number - WAY) * FRAME
        if at >= 0:
            bot.write(PcmBlock(caller[at : at + FRAME], RATE, number * FRAME, 0))
        heard.append(bot.read(FRAME))
        bot.note_sent(PcmBlock(heard[-1], RATE, number * FRAME, 0))
    track = np.concatenate(heard)
    track = np.rint(track + noise * chance.standard_normal(track.size)).astype(np.int16)
    return measure_call(
        turns,
        find_sounds(frame_levels(track, RATE)),
        answered=np.array([False, True]),
        barge_in=np.array([False, True]),
        began=0.0,
        ended=10.0,
    )


async def whole_calls(folder: Path, times: BotTimes) -> dict[str, dict[str, list[float]]]:
    """What each kind of call measures beyond the bot's delays, in ms."""
    loop_time = asyncio.get_running_loop().time
    for number, (name, head) in enumerate(KINDS.items()):
        (folder / f"{number}.toml").write_text(f'name = "{name}"\n{head}{STEPS}')
    found: dict[str, dict[str, list[float]]] = {}
    async with LabServer(folder / "lab", clock=loop_time) as lab, Phone(clock=loop_time) as phone:
        account = await phone.register(load_account(lab.accounts["bob"]).config)
        answering = asyncio.ensure_future(ScriptedBot(times).serve(account))
        plan = BotTestPlan(
            lab.accounts["alice"],
            load_account(lab.accounts["alice"]).config,
            "bob",
            tuple(read_script(folder / f"{number}.toml") for number in range(len(KINDS))),
            calls=CALLS * len(KINDS),
            at_once=4,
        )
        async with BotTestRunner(plan, clock=loop_time) as runner:
            result = await runner.run()
        answering.cancel()
    for report in result.reports:
        measures = report.measures
        if not report.completed or measures is None:
            raise SystemExit(f"{report.script.name}: {report.problem_text}")
        into = found.setdefault(
            report.script.name,
            {"first_sound": [], "response": [], "barge_in": [], "within_a_call": []},
        )
        ways = [1e3 * ((each or 0.0) - times.responds_after) for each in measures.responses]
        into["first_sound"].append(1e3 * ((measures.first_sound or 0.0) - times.greets_after))
        into["response"] += ways
        into["within_a_call"].append(max(ways) - min(ways))
        stops = times.stops_after or 0.0
        into["barge_in"] += [1e3 * ((each or 0.0) - stops) for each in measures.barge_ins]
    return found


def summary(values: list[float]) -> dict[str, float]:
    """Least, mean and greatest, rounded to 0.1, and how many there are."""
    return {
        "least": round(min(values), 1),
        "mean": round(sum(values) / len(values), 1),
        "greatest": round(max(values), 1),
        "values": len(values),
    }


def receive_at_once() -> None:
    """Give packets the time at which they are read: the system stamps them with the real one."""
    receive = MediaSockets.receive_packets

    def received(self: MediaSockets, phase: int, *, now: float, wall: float) -> int:
        return receive(self, phase, now=now, wall=0.0)

    MediaSockets.receive_packets = received  # type: ignore[method-assign]


def main() -> None:
    """Measure, print, and write with --write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    receive_at_once()
    record: dict[str, Any] = {
        **measured_on(),
        "frame_ms": 1e3 * HOP,
        "analysis_error_ms": {},
        "beyond_the_bots_delay_ms": {},
    }
    for name, noise in (("no noise", 0.0), ("noise -50 dBm0", 51.0)):
        errors = analysis_errors(40, noise)
        record["analysis_error_ms"][name] = {
            figure: summary([1e3 * each for each in values]) for figure, values in errors.items()
        }
    pooled: dict[str, dict[str, list[float]]] = {}
    for times in (BotTimes(0.4, 0.6, 0.2), BotTimes(0.7123, 0.4501, 0.1007)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with wave.open(str(folder / "question.wav"), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes(syllables(1.2).tobytes())
            for kind, figures in run_virtually(whole_calls(folder, times)).items():
                for figure, values in figures.items():
                    pooled.setdefault(kind, {}).setdefault(figure, []).extend(values)
    for kind, figures in pooled.items():
        record["beyond_the_bots_delay_ms"][kind] = {
            figure: summary(values) for figure, values in figures.items()
        }
    text = json.dumps(record, indent=1)
    print(text)
    if options.write:
        RESULTS.write_text(text + "\n")


if __name__ == "__main__":
    main()
