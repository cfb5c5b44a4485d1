"""The runner: one worker's share of a run, in one event loop on one media engine.

    async with Runner(plan, on_second=show) as runner:   # ports checked, users registered
        outcome = await runner.run_share()

Calls begin on schedule, at most `plan.calls` are up at once, and the end of each has a cause.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Self

from softphone.account import AccountDependencies
from softphone.call import IncomingCall
from softphone.diagnostics import combine_taps
from softphone.diagnostics.hep import HepSender
from softphone.errors import ConfigurationError, LocalProtocolError, SoftphoneError
from softphone.load.measure import FailedCall, GeneratorCheck, RunSecond, failure_cause
from softphone.load.plan import LoadPlan, UserSpec, base_account, config_of
from softphone.load.run.arrival_pacer import ArrivalPacer
from softphone.load.run.audio_check import AudioSources
from softphone.load.run.bottleneck import BottleneckDetector
from softphone.load.run.builtin_scenarios import BUILTIN_SCENARIOS
from softphone.load.run.call_tracker import LOOK_EVERY, CallTracker
from softphone.load.run.failure_trace import FailureTrace
from softphone.load.run.fault import ImpairedMediaBackend, injected_users
from softphone.load.run.preflight import check_resources
from softphone.load.run.resource_gauge import ResourceGauge
from softphone.load.run.scenario import Scenario, ScenarioRun, load_scenario
from softphone.load.run.user import TRIES, LoadUser
from softphone.media import MediaBackend, MediaConfig, PortRange, SocketSharing, make_engine
from softphone.monitoring import CallSpans, OtlpExporter, require_otel, span_provider
from softphone.monitoring.otlp import SPANS
from softphone.net import DnsResolver
from softphone.srtp import sessions_side_by_side
from softphone.trust.fips import decide_mode, random_bytes, require_mode

logger = logging.getLogger("softphone.load")

AT_ONCE = 64
"""Registrations and unregistrations that may be in progress at the same time."""
GRACE = 10.0
"""Seconds that scenario runs have to finish once the load run is over."""


@dataclass(frozen=True, slots=True)
class WorkerOutcome:
    """The outcome of a worker's share: the reasons why the run is invalid, () when it is valid.

    `failed_checks` has the check that each reason belongs to.
    """

    invalid_because: tuple[str, ...] = ()
    failed_checks: Mapping[str, GeneratorCheck] = field(default_factory=dict)


class Runner:
    """An async context: entering checks resources, opens media and registers; leaving closes all.

    `on_second` receives every second of the run, and a last one with what was left to count.
    `on_progress(done, all)` reports the registrations, and `on_failure`, of a plan that is
    watched, calls that failed.
    `scenario` takes the place of the plan's.
    Raises ConfigurationError before anything is sent.
    """

    def __init__(
        self,
        plan: LoadPlan,
        *,
        on_second: Callable[[RunSecond], None],
        scenario: Scenario | None = None,
        on_progress: Callable[[int, int], None] = lambda done, whole: None,
        on_failure: Callable[[FailedCall], None] = lambda call: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self.scenario = scenario or load_scenario(plan.scenario, BUILTIN_SCENARIOS)
        self._on_second = on_second
        self._on_progress = on_progress
        self._clock = clock
        self._stack = AsyncExitStack()
        self._bottleneck = BottleneckDetector(
            shared=plan.sockets == "shared",
            full=_cores_taken(plan) >= (os.cpu_count() or 1),
            tolerate_late=plan.tolerate_late,
        )
        self._users: list[LoadUser] = []
        self._scenario_tasks: set[asyncio.Task[None]] = set()
        self._callee_tasks: set[asyncio.Task[None]] = set()
        self._injected: Counter[str] = Counter()
        self._begun = 0.0
        self._trace = None
        if plan.watched:
            self._trace = FailureTrace(on_failure, lambda: clock() - self._begun)
        self._complained = False
        _check_sides(plan, self.scenario)

    async def __aenter__(self) -> Self:
        plan = self.plan
        self._calls = CallTracker(
            target=plan.target or "",
            holding_time=plan.holding_time(self.scenario.hold),
            sounds=AudioSources(plan.play),
            starved=self._bottleneck.add_exhausted_resource,
            failed=self._note_failure,
            checks=plan.checks,
            answer_timeout=plan.answer_timeout,
            clock=self._clock,
        )
        self._pacer = ArrivalPacer(
            plan,
            self._calls.run_end,
            on_late=self._bottleneck.add_late_arrival,
            on_held_back=self._note_held_back,
            clock=self._clock,
        )
        self._base = base_account(plan)
        for user in plan.users:
            config_of(self._base, user)  # what is wrong with one is said before anything is sent
        check_resources(plan)
        try:
            await self._open()
            self._users = [self._user(number, spec) for number, spec in enumerate(plan.users)]
            if self.scenario.registers:
                await self._register()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._close()

    async def _open(self) -> None:
        plan = self.plan
        config = MediaConfig(
            ports=PortRange(*plan.ports),
            sharing=SocketSharing(plan.sockets),
            capacity=max(64, 4 * plan.calls, 2 * plan.most_calls),
            placement=plan.placement,
        )
        mode = decide_mode(None, self._base.fips)
        require_mode(mode)
        engine = make_engine(config, entropy=random_bytes)
        await self._stack.enter_async_context(engine)
        port: MediaBackend = engine
        if plan.faults.loss or plan.faults.delay:
            port = impaired = ImpairedMediaBackend(port, plan.faults, seed=plan.seed)
            self._injected = impaired.injected
        hep = None if plan.hep is None else self._stack.enter_context(HepSender(*plan.hep))
        self._setup = AccountDependencies(
            media=port,
            resolver=DnsResolver(entropy=random_bytes),
            entropy=random_bytes,
            fips=mode.on,
            source=plan.host,
            tap=combine_taps(self._trace, hep),
            observers=await self._call_observers(),
        )
        self._gauge = ResourceGauge(engine)

    async def _call_observers(self) -> tuple[CallSpans, ...]:
        """What makes a span of each call, and sends them until the runner is closed."""
        plan = self.plan
        if plan.otel is None:
            return ()
        require_otel()
        exporter = await self._stack.enter_async_context(OtlpExporter(plan.otel.config(), SPANS))
        resource = plan.otel.resource(plan.scenario, plan.worker)
        return (CallSpans(span_provider(exporter, resource)),)

    def _user(self, number: int, spec: UserSpec) -> LoadUser:
        return LoadUser(
            number,
            lambda: config_of(self._base, spec),
            self._setup,
            tally=lambda: self._calls.tally,
            clock=self._clock,
        )

    async def _close(self) -> None:
        for task in (*self._scenario_tasks, *self._callee_tasks):
            task.cancel()
        await asyncio.gather(*self._scenario_tasks, *self._callee_tasks, return_exceptions=True)
        gate = asyncio.Semaphore(AT_ONCE)

        async def leave(user: LoadUser) -> None:
            async with gate:
                await user.close()

        try:
            left = await asyncio.gather(*map(leave, self._users), return_exceptions=True)
        finally:
            await self._stack.aclose()
        for outcome in left:
            if isinstance(outcome, Exception):
                logger.warning("a user could not leave as it should: %s", outcome)

    # Registering --------------------------------------------------------------------------------

    async def _register(self) -> None:
        """Register all users, evenly over time.  Raises the first failure when none registers."""
        gate = asyncio.Semaphore(AT_ONCE)
        done = 0
        failures: list[SoftphoneError] = []

        async def one(user: LoadUser, at: float) -> None:
            nonlocal done
            await asyncio.sleep(max(0.0, at - self._clock()))
            try:
                await user.register(tries=TRIES, gate=gate)
            except SoftphoneError as error:
                failures.append(error)
            done += 1
            self._on_progress(done, len(self._users))

        begun = self._clock()
        rate = self.plan.register_rate
        async with asyncio.TaskGroup() as group:
            for number, user in enumerate(self._users):
                group.create_task(one(user, begun + number / rate))
        if not any(user.is_registered for user in self._users) and failures:
            raise failures[0]

    # Running ------------------------------------------------------------------------------------

    async def run_share(self) -> WorkerOutcome:
        """Run the share to its end; the outcome says why it is invalid, if it is."""
        self._begun = self._clock()
        self._gauge.start()
        self._calls.tally.injected.update(injected_users(self.plan))
        self._attend()
        helpers = [asyncio.ensure_future(self._tick()), asyncio.ensure_future(self._poll_calls())]
        if self.plan.faults.cut_every:
            helpers.append(asyncio.ensure_future(self._cut()))
        try:
            with sessions_side_by_side():
                await self._arrive()
                await self._calls.run_end.wait()
                if self._scenario_tasks:
                    await asyncio.wait(self._scenario_tasks, timeout=GRACE)
        finally:
            self._calls.run_end.set()
            for task in (*helpers, *self._scenario_tasks, *self._callee_tasks):
                task.cancel()
            await asyncio.gather(
                *helpers, *self._scenario_tasks, *self._callee_tasks, return_exceptions=True
            )
        self._report_second()
        if self._trace is not None:
            self._trace.finish()
        bottleneck = self._bottleneck
        return WorkerOutcome(bottleneck.invalid_reasons(), bottleneck.failed_checks())

    def stop_run(self) -> None:
        """End the run now: hang up all calls, and keep the counts so far."""
        self._calls.run_end.set()

    def change_load(self, *, rate: float | None = None, calls: int | None = None) -> None:
        """Change the rate of all workers together, or the most calls of this one.

        Calls that would last until the end of the run are hung up beyond the most, newest first.
        """
        self._pacer.change(rate=rate, calls=calls)
        if calls is not None and self._lasting:
            self._calls.end_newest(self._calls.calls_up - calls)

    @property
    def _lasting(self) -> bool:
        """Whether calls stay until the end of the run."""
        return self.plan.holding_time(self.scenario.hold).kind == "run" and not self.scenario.once

    async def _arrive(self) -> None:
        """Start scenarios on schedule; the run ends `duration` after the last of `calls` began."""
        callers = self._callers()
        turns = itertools.cycle(callers)
        await self._pacer.begin_calls(
            lambda number: self._start(next(turns), number),
            begun=self._begun,
            most=len(callers) if self.scenario.once else None,
            lasting=self._lasting,
        )

    def _note_held_back(self, seconds: float) -> None:
        self._calls.tally.held_back += seconds

    def _note_failure(self, call_id: str, cause: str) -> None:
        """Keep the messages of a call that failed, where the run is watched."""
        if self._trace is not None:
            self._trace.add_failure(call_id, cause)

    def _callers(self) -> list[tuple[LoadUser, str]]:
        """The callers, each with its callee's AOR or "".  Raises ConfigurationError for none."""
        if not self.scenario.registers:
            return [(user, "") for user in self._users]
        if self.scenario.callee is None:
            found = [(user, "") for user in self._users if user.is_registered]
        else:
            pairs = zip(self._users[::2], self._users[1::2], strict=False)
            found = [(a, b.aor) for a, b in pairs if a.is_registered and b.is_registered]
        if not found:
            raise ConfigurationError("there is nobody to call: no pair of users has registered")
        return found

    def _start(self, who: tuple[LoadUser, str], number: int) -> None:
        user, partner = who
        turn = self._make_scenario_run(user, number, partner, waited=self._pacer.waited)

        async def play() -> None:
            try:
                await self._contained(self.scenario.caller(turn))
            finally:
                self._pacer.release_slot()

        self._spawn(play(), self._scenario_tasks)

    def _make_scenario_run(
        self, user: LoadUser, number: int, partner: str = "", *, waited: float = 0.0
    ) -> ScenarioRun:
        """Make a scenario run; in a pair, each of the two plays the tone of its own number."""
        two = self.scenario.callee is not None
        says = user.number if two else number
        hears = (says ^ 1 if two else says) if self.scenario.echoes else None
        return ScenarioRun(
            user, self._calls, number, partner=partner, says=says, hears=hears, waited=waited
        )

    def _spawn(
        self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]
    ) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    async def _contained(self, work: Any) -> None:
        """Await a scenario; call failures are already counted, its own faults are logged once."""
        try:
            await work
        except SoftphoneError:
            return
        except Exception as error:
            self._calls.tally.dropped[failure_cause(error)] += 1
            self._bottleneck.add_scenario_error(self.scenario.name, error)
            if not self._complained:
                self._complained = True
                logger.exception("the scenario %s has failed", self.scenario.name)

    # Callees ------------------------------------------------------------------------------------

    def _attend(self) -> None:
        if self.scenario.callee is not None:
            for user in self._users[1::2]:
                if user.is_registered:
                    self._spawn(self._answer_calls(user), self._callee_tasks)

    async def _answer_calls(self, user: LoadUser) -> None:
        async for incoming in user.account.incoming():
            self._spawn(self._answer(user, incoming), self._scenario_tasks)

    async def _answer(self, user: LoadUser, incoming: IncomingCall) -> None:
        callee = self.scenario.callee
        if callee is not None:
            await self._contained(callee(self._make_scenario_run(user, user.number), incoming))

    # Seconds ------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        number = 0
        while True:
            number += 1
            await asyncio.sleep(max(0.0, self._begun + number - self._clock()))
            self._report_second()

    async def _poll_calls(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self._calls.poll_some_calls()

    def _report_second(self) -> None:
        """Collect what was counted since the previous second, and pass it on."""
        if self._trace is not None:
            self._trace.show_waiting()
        second = RunSecond(
            at=self._clock() - self._begun, up=self._calls.calls_up, peak=self._calls.take_peak()
        )
        second.tally = self._calls.take_tally()
        second.tally.injected.update(self._injected)
        self._injected.clear()
        self._gauge.read_into(second)
        self._calls.add_current_quality(second.mos_now, second.jitter_now_ms)
        self._bottleneck.add_second(second)
        self._on_second(second)

    async def _cut(self) -> None:
        """Cut one user's connection every `cut_every` seconds, each user in turn."""
        number = 0
        while True:
            await asyncio.sleep(self.plan.faults.cut_every)
            ready = [user for user in self._users if user.is_registered]
            if ready:
                with suppress(LocalProtocolError):
                    ready[number % len(ready)].account.drop_connection()
                    self._calls.tally.injected["connection cut"] += 1
                number += 1


def _cores_taken(plan: LoadPlan) -> int:
    """How many processes a run keeps busy, of those known to be on this machine."""
    return plan.workers * (2 if plan.placement == "worker" else 1)


def _check_sides(plan: LoadPlan, scenario: Scenario) -> None:
    if scenario.callee is not None and (len(plan.users) < 2 or len(plan.users) % 2):
        raise ConfigurationError(
            f"scenario {scenario.name} needs pairs of users, a caller and a callee each: "
            f"there are {len(plan.users)}; give two for each pair (--user-count, or --users)"
        )
    if scenario.callee is not None and not plan.base.registers:
        raise ConfigurationError(f"scenario {scenario.name} needs users that register")
