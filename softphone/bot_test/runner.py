"""The runner of a bot test: so many calls, some at once, each by a simulated caller.

    async with BotTestRunner(plan, on_call=show) as runner:   # sounds made, accounts registered
        result = await runner.run()

Calls are paced and counted as those of a load run are, and the run is invalid where one would be.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from softphone.account import Account, AccountDependencies
from softphone.bot_test.bot_tally import BotTally
from softphone.bot_test.caller_sounds import CallerSounds
from softphone.bot_test.script import CallerScript, EndedBySide
from softphone.bot_test.simulated_caller import CallReport, SimulatedCaller
from softphone.bot_test.speech_command import run_command
from softphone.call import Call
from softphone.config import AccountConfig
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.events import EndedBy
from softphone.load.measure import RunSecond, end_cause
from softphone.load.plan import BaseSpec, FaultSpec, LoadPlan, UserSpec
from softphone.load.result import LoadResult
from softphone.load.run.arrival_pacer import ArrivalPacer
from softphone.load.run.audio_check import AudioSources
from softphone.load.run.bottleneck import BottleneckDetector
from softphone.load.run.call_tracker import LOOK_EVERY, CallTracker
from softphone.load.run.fault import ImpairedMediaBackend
from softphone.load.run.preflight import check_resources
from softphone.load.run.resource_gauge import ResourceGauge
from softphone.media import (
    MediaBackend,
    MediaConfig,
    Pcm,
    PcmBlock,
    PortRange,
    WavSink,
    make_engine,
)
from softphone.media.bank import find_codec
from softphone.net import DnsResolver
from softphone.trust.fips import decide_mode, random_bytes, require_mode

logger = logging.getLogger("softphone.bot_test")

FILE = "{file}"
"""The word in a transcriber's command that stands for the WAV file; without it, standard input."""
TRANSCRIBED_AT_ONCE = 2
"""How many transcribers run at the same time."""


@dataclass(frozen=True, slots=True)
class BotTestPlan:
    """One bot test: `calls` calls of `scripts` in turn, `at_once` of them at most.

    `account` is the file of `config`; each codec and loss that a script names has a registration of
    its own.  `rate` is how many calls begin a second at most.  `text_to_speech` speaks the texts
    of scripts, `transcriber` understands what the bot says: it prints the text of the WAV file
    that stands for `{file}` among its words, or comes by standard input.  `tolerate_late`, `ports`,
    `host`, `answer_timeout` and `seed` are those of a `LoadPlan`.
    """

    account: Path
    config: AccountConfig
    target: str
    scripts: tuple[CallerScript, ...]
    calls: int = 1
    at_once: int = 1
    rate: float = 10.0
    seed: int = 1
    text_to_speech: tuple[str, ...] | None = None
    transcriber: tuple[str, ...] | None = None
    answer_timeout: float = 32.0
    tolerate_late: float = 1.0
    ports: tuple[int, int] = (40000, 49999)
    host: str | None = None

    def __post_init__(self) -> None:
        """Raises ConfigurationError."""
        if not self.scripts:
            raise ConfigurationError("there is no script to run")
        if not 1 <= self.calls <= 1_000_000:
            raise ConfigurationError(f"{self.calls} calls: expected 1 to 1,000,000")
        names = [script.name for script in self.scripts]
        if len(set(names)) < len(names):
            raise ConfigurationError("two scripts have the same name: give each one of its own")
        self.config.target_uri(self.target)
        for script in self.scripts:
            if script.texts and self.text_to_speech is None:
                raise ConfigurationError(
                    f"script {script.name}: text needs a text-to-speech command"
                )
        self.load_plan()

    def load_plan(self) -> LoadPlan:
        """The plan of a load run that is paced and judged alike.  Raises ConfigurationError."""
        return LoadPlan(
            scenario="bot-test",
            target=self.target,
            base=BaseSpec(account=str(self.account)),
            users=(UserSpec(self.config.aor),),
            calls=self.at_once,
            rate=self.rate,
            seed=self.seed,
            ports=self.ports,
            host=self.host,
            answer_timeout=self.answer_timeout,
            tolerate_late=self.tolerate_late,
        )

    def media_of(self, script: CallerScript) -> tuple[str | None, float]:
        """What a script's registration is chosen by: codec and loss."""
        return (None if script.codec is None else script.codec.upper(), script.loss)


@dataclass(slots=True)
class BotTestResult:
    """The result: the counts of the load run, those of the bot, and the calls.

    `reports` has the calls in the order in which they ended.
    """

    plan: BotTestPlan
    load: LoadResult
    tally: BotTally = field(default_factory=BotTally)
    reports: list[CallReport] = field(default_factory=list)


class BotTestRunner:
    """An async context: entering makes the sounds and registers; leaving closes all.

    `on_call` gets each call that is over.  `clock` gives monotonic seconds, to the media too.
    Raises ConfigurationError before anything is sent, and what a registration raises.
    """

    def __init__(
        self,
        plan: BotTestPlan,
        *,
        on_call: Callable[[CallReport], None] = lambda report: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self._load_plan = plan.load_plan()
        self._on_call = on_call
        self._clock = clock
        self._stack = AsyncExitStack()
        self._bottleneck = BottleneckDetector(full=True, tolerate_late=plan.tolerate_late)
        self._calls = CallTracker(
            target=plan.target,
            holding_time=self._load_plan.holding_time("run"),
            sounds=AudioSources(),
            starved=self._bottleneck.add_exhausted_resource,
            checks=0,
            answer_timeout=plan.answer_timeout,
            clock=clock,
        )
        self._pacer = ArrivalPacer(
            self._load_plan,
            self._calls.run_end,
            on_late=self._bottleneck.add_late_arrival,
            on_held_back=self._note_held_back,
            clock=clock,
        )
        self._sounds = CallerSounds(plan.text_to_speech)
        self._transcribing = asyncio.Semaphore(TRANSCRIBED_AT_ONCE)
        self._accounts: dict[tuple[str | None, float], Account] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._declining: list[asyncio.Task[None]] = []
        self._begun = 0.0
        self.result = BotTestResult(plan, LoadResult(self._load_plan))
        """What has been measured so far."""

    async def __aenter__(self) -> Self:
        plan = self.plan
        rates = {find_codec(name).sample_rate for name in plan.config.media.codecs}
        rates |= {find_codec(s.codec.upper()).sample_rate for s in plan.scripts if s.codec}
        check_resources(self._load_plan)
        await self._sounds.prepare(plan.scripts, sorted(rates))
        try:
            await self._open()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._close()

    async def _open(self) -> None:
        plan = self.plan
        mode = decide_mode(None, plan.config.fips)
        require_mode(mode)
        config = MediaConfig(ports=PortRange(*plan.ports), capacity=max(64, 4 * plan.at_once))
        engine = make_engine(config, entropy=random_bytes, clock=self._clock)
        await self._stack.enter_async_context(engine)
        self._gauge = ResourceGauge(engine, clock=self._clock)
        for script in plan.scripts:
            key = codec, loss = plan.media_of(script)
            if key in self._accounts:
                continue
            backend: MediaBackend = engine
            if loss:
                faults = FaultSpec(loss=loss / 100.0)
                backend = ImpairedMediaBackend(engine, faults, seed=plan.seed, sent_only=True)
            changes = {} if codec is None else {"codecs": (codec,)}
            account = Account(
                plan.config.with_media(ports=None, **changes),
                AccountDependencies(
                    media=backend,
                    resolver=DnsResolver(entropy=random_bytes),
                    entropy=random_bytes,
                    fips=mode.on,
                    clock=self._clock,
                    source=plan.host,
                ),
            )
            self._accounts[key] = account
            await account.start()
            self._declining.append(asyncio.ensure_future(_decline_calls(account)))

    async def _close(self) -> None:
        for task in (*self._tasks, *self._declining):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._declining, return_exceptions=True)
        try:
            closing = [account.close() for account in self._accounts.values()]
            left = await asyncio.gather(*closing, return_exceptions=True)
        finally:
            await self._stack.aclose()
        for outcome in left:
            if isinstance(outcome, Exception):
                logger.warning("an account could not leave as it should: %s", outcome)

    # Running ------------------------------------------------------------------------------------

    async def run(self) -> BotTestResult:
        """Run all calls to their end; the result says why it is invalid, if it is."""
        self._begun = self._clock()
        self._gauge.start()
        helpers = [asyncio.ensure_future(self._tick()), asyncio.ensure_future(self._poll_calls())]
        try:
            await self._pacer.begin_calls(
                self._start, begun=self._begun, most=self.plan.calls, ends_run=False
            )
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for task in (*helpers, *self._tasks):
                task.cancel()
            await asyncio.gather(*helpers, *self._tasks, return_exceptions=True)
        self._add_second()
        load = self.result.load
        for reason, check in self._bottleneck.failed_checks().items():
            load.add_invalid_reason(reason, check)
        return self.result

    def _note_held_back(self, seconds: float) -> None:
        self._calls.tally.held_back += seconds

    def _start(self, number: int) -> None:
        task = asyncio.ensure_future(self._play(number, self._clock() - self._pacer.waited))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, number: int, due: float) -> None:
        scripts = self.plan.scripts
        report = CallReport(number, scripts[number % len(scripts)])
        try:
            await self._call(report, due)
        except SoftphoneError as error:
            report.problem = report.problem or str(error)
        except Exception as error:
            self._bottleneck.add_scenario_error(report.script.name, error)
            logger.exception("a simulated caller has failed")
            report.problem = f"the test itself: {error!r}"
        finally:
            self._pacer.release_slot()
        await self._transcribe(report)
        self.result.tally.add_call(report)
        self.result.reports.append(report)
        self._on_call(report)

    async def _call(self, report: CallReport, due: float) -> None:
        plan, script = self.plan, report.script
        outgoing = self._accounts[plan.media_of(script)].dial(plan.target)
        call: Call | None = None
        try:
            async with self._calls.track_outgoing(outgoing, None, due=due) as call:
                report.call_id, report.answered = call.id, True
                caller = SimulatedCaller(
                    call,
                    report,
                    self._sounds,
                    transcribes=plan.transcriber is not None,
                    seed=plan.seed + report.number,
                )
                await caller.run()
                if not report.problem:
                    self._calls.ending(call)
                    await caller.await_end()
        finally:
            report.call_id = report.call_id or outgoing.id
        ended = await call.ended()
        report.end_cause = end_cause(ended)
        by_bot = script.end is EndedBySide.BOT
        report.end_right = ended.by is (EndedBy.REMOTE if by_bot else EndedBy.LOCAL)

    # Transcription ------------------------------------------------------------------------------

    async def _transcribe(self, report: CallReport) -> None:
        """Have the transcriber understand what was kept of the bot."""
        spoken, report.spoken = report.spoken, []
        for expected, pcm in spoken:
            try:
                async with self._transcribing:
                    understood = await _transcribed(self.plan.transcriber or (), pcm, report.rate)
            except (SoftphoneError, OSError) as error:
                report.problem = report.problem or f"transcriber: {error}"
                return
            report.transcripts.append((expected, understood))

    # Seconds ------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        number = 0
        while True:
            number += 1
            await asyncio.sleep(max(0.0, self._begun + number - self._clock()))
            self._add_second()

    async def _poll_calls(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self._calls.poll_some_calls()

    def _add_second(self) -> None:
        second = RunSecond(
            at=self._clock() - self._begun, up=self._calls.calls_up, peak=self._calls.take_peak()
        )
        second.tally = self._calls.take_tally()
        self._gauge.read_into(second)
        self._calls.add_current_quality(second.mos_now, second.jitter_now_ms)
        self._bottleneck.add_second(second)
        self.result.load.add_second(second)


async def _decline_calls(account: Account) -> None:
    async for incoming in account.incoming():
        incoming.reject(480, "this is a test")


async def _transcribed(command: tuple[str, ...], pcm: Pcm, rate: int) -> str:
    """Write the samples to a WAV file of our own, and return what the command understands."""
    with tempfile.TemporaryDirectory(prefix="softphone-bot-test-") as folder:
        path = Path(folder) / "bot.wav"
        sink = WavSink(path, rate)
        sink.write(PcmBlock(pcm if pcm.size else np.zeros(1, np.int16), rate, 0, 0))
        sink.close()
        words = tuple(word.replace(FILE, str(path)) for word in command)
        data = b"" if words != command else await asyncio.to_thread(path.read_bytes)
        return (await run_command(words, data)).decode("utf-8", "replace").strip()
