"""The runner of a SIPp scenario: one worker's share of a run, on the sockets of one driver.

    async with SippRunner(plan, on_second=show) as runner:   # the scenario read, the peer reached
        outcome = await runner.run_share()

It has the interface of `softphone.load.run.Runner`, and counts into the same `Tally`: a call whose
scenario ran to its end is an answered one, any other has failed by a cause.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from softphone.account import digest_credentials, tls_settings
from softphone.command_output import CommandFailed, command_output
from softphone.config import AccountConfig, TlsConfig
from softphone.config.tls import server_credential_of
from softphone.diagnostics import SipLog, combine_taps
from softphone.diagnostics.hep import HepSender
from softphone.errors import ConfigurationError, TransportError
from softphone.load.measure import FailedCall, RunSecond, Tally
from softphone.load.plan import CLEAR, LoadPlan, SippSpec, base_account, config_of, server_target
from softphone.load.run import WorkerOutcome
from softphone.load.run.arrival_pacer import ArrivalPacer
from softphone.load.run.bottleneck import BottleneckDetector
from softphone.load.run.failure_trace import FailureTrace
from softphone.load.sipp.authentication import ChallengeAnswers
from softphone.load.sipp.endpoint import SippEndpoint
from softphone.load.sipp.injection import InjectionFile, read_injection
from softphone.load.sipp.media.media_wanted import MediaAgreed, MediaWanted
from softphone.load.sipp.media.scenario_media import ScenarioMedia
from softphone.load.sipp.outcome import (
    CallBegan,
    CallOutcome,
    CommandWanted,
    ScenarioLog,
    SippEvent,
    StopWanted,
    TwinCommand,
)
from softphone.load.sipp.reader import read_scenario
from softphone.load.sipp.settings import RunSettings
from softphone.load.sipp.twin import TwinConnection, parse_twin
from softphone.net import Driver, DriverConfig
from softphone.sans_io import Address, Flow, Transport
from softphone.security import SrtpPolicy
from softphone.sip import SipUri
from softphone.trust import TlsSettings
from softphone.trust.fips import decide_mode, random_bytes, require_mode

logger = logging.getLogger("softphone.load")

GRACE = 10.0
"""Seconds that calls have to finish once the run is over."""
MOST_COMMANDS = 64
"""Commands of `exec command` that run at once; a further one is not run, and that is logged."""
MOST_COMMAND_SECONDS = 60
"""Seconds that a command may run, with what it has started that still holds its output."""
MOST_PRINTED = 65_536
"""Octets that a command may print."""
COUNTED = ("retransmissions", "malformed", "unexpected")
MOST_REFUSALS = 16
"""Different reasons of challenges that were not answered, each of which is logged once."""
_LEVELS = {
    "log": logging.INFO,
    "warning": logging.WARNING,
    "refused": logging.WARNING,
    "error": logging.ERROR,
}


class SippRunner:
    """An async context: entering reads everything and reaches the peer; leaving closes all.

    `listening` is the address of `--listen` then, None without one.
    Raises ConfigurationError before anything is sent, and what the driver raises for a peer that
    cannot be reached or is not who it should be.
    """

    def __init__(
        self,
        plan: LoadPlan,
        *,
        on_second: Callable[[RunSecond], None],
        on_progress: Callable[[int, int], None] = lambda done, whole: None,
        on_failure: Callable[[FailedCall], None] = lambda call: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if plan.sipp is None:
            raise ConfigurationError("the plan has no SIPp scenario")
        self.plan = plan
        self._spec = spec = plan.sipp
        keys = dict(spec.keys)
        self.scenario = read_scenario(
            Path(spec.scenario), keys=keys.keys(), allow_exec=spec.allow_exec
        )
        if self.scenario.twin and spec.twin is None:
            raise ConfigurationError(f"--twin: {spec.scenario} has <{self.scenario.twin}>")
        self._settings = self._make_settings(keys)
        self._on_second = on_second
        self._clock = clock
        self._stack = AsyncExitStack()
        self._bottleneck = BottleneckDetector(
            full=plan.workers >= (os.cpu_count() or 1), tolerate_late=plan.tolerate_late
        )
        self.listening: Address | None = None
        self._tally = Tally()
        self._peak = 0
        self._over = asyncio.Event()
        self._pacer = ArrivalPacer(
            plan,
            self._over,
            on_late=self._bottleneck.add_late_arrival,
            on_held_back=self._note_held_back,
            clock=clock,
        )
        self._idle = asyncio.Event()
        self._all_arrived = False
        self._grace = GRACE
        self._commands: set[asyncio.Task[None]] = set()
        self._refusals: set[str] = set()
        self._media: ScenarioMedia | None = None
        self._twin: TwinConnection | None = None
        self._suites: dict[int, str] = {}
        self._trace = None
        if plan.watched:
            self._trace = FailureTrace(on_failure, lambda: clock() - self._begun)
        self._begun = self._read_at = clock()
        self._processor = time.process_time()

    def _make_settings(self, keys: Mapping[str, str]) -> RunSettings:
        plan, spec = self.plan, self._spec
        injections = {file.name: file for file in map(read_injection, map(Path, spec.injections))}
        holding = plan.holding_time("0") if plan.hold is not None else None
        if holding is not None and holding.kind == "run":
            raise ConfigurationError("--hold run: a pause of a SIPp scenario ends by itself")
        target = self._target_uri()
        return RunSettings(
            self.scenario,
            os.getpid(),
            service=(target.user if target is not None else None) or "service",
            remote_host="" if target is None else target.host,
            media_ports=plan.ports,
            keys=keys,
            injections=injections,
            indexes=_indexes(spec, injections),
            pause=lambda number: 0.0 if holding is None else holding.seconds_of_call(number) or 0.0,
            answer_timeout=plan.answer_timeout,
            seed=plan.seed,
            wall=time.time,
        )

    def _target_uri(self) -> SipUri | None:
        """The URI that the scenario calls; None for one that waits for calls.

        Raises ConfigurationError.
        """
        if not self.scenario.calls:
            return None
        if self.plan.target is None:
            raise ConfigurationError(f"--target: {self._spec.scenario} needs somebody to call")
        return self._account().target_uri(self.plan.target)

    async def __aenter__(self) -> Self:
        account = self._account()
        has_media = self.scenario.plays or self._spec.rtp_echo
        mode = decide_mode(None, account.fips)
        require_mode(mode)
        given = account.credentials
        answers = ChallengeAnswers(
            None if given is None else digest_credentials(given), random_bytes, mode.on
        )
        self._endpoint = SippEndpoint(
            replace(
                self._settings,
                answers=answers,
                clear_media=self._may_send_clear(account),
                echo=self._spec.rtp_echo,
                entropy=random_bytes,
                media_port=self._take_port if has_media else None,
            ),
            limit=self.plan.calls,
            total=self._spec.total,
        )
        tls = tls_settings(account, fips=mode.on)
        place = self.plan.hep
        hep = None if place is None else self._stack.enter_context(HepSender(*place))
        self._driver: Driver[SippEvent] = Driver(
            self._endpoint,
            on_event=self._handle,
            tls={"": tls},
            config=DriverConfig(source=self.plan.host),
            tap=combine_taps(self._trace, SipLog(local=account.aor), hep),
        )
        try:
            await self._stack.enter_async_context(self._driver)
            self._flow = await self._open(account, tls)
            if self._spec.twin is not None:
                await self._open_twin(*parse_twin(self._spec.twin))
            if has_media:
                self._media = self._open_media()
                self._stack.push_async_callback(self._media.close)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._commands:
            # They are the user's own and may still run: those of the last calls, for one.
            await asyncio.wait(self._commands, timeout=self._grace)
        for task in self._commands:
            task.cancel()
        await asyncio.gather(*self._commands, return_exceptions=True)
        await self._stack.aclose()

    # The peer ---------------------------------------------------------------------------------

    def _account(self) -> AccountConfig:
        """The account with trust and certificates: that of the plan, or one without a server."""
        plan = self.plan
        base = plan.base
        if base.account is None and base.server is None:
            user = plan.users[0]
            tls = TlsConfig(
                ca=tuple(Path(name) for name in base.ca if name != "system"),
                system="system" in base.ca,
                pin=base.pin,
                key_log=plan.tls_key_log,
            )
            listen = self._spec.listen or "udp:127.0.0.1:0"
            return config_of(AccountConfig(aor=user.aor, listen=listen, tls=tls), user)
        return config_of(base_account(plan), plan.users[0])

    async def _open(self, account: AccountConfig, tls: TlsSettings) -> Flow | None:
        """Listen, or reach the peer: over TLS its certificate is judged before anything is sent."""
        listen = self._spec.listen
        if listen is not None:
            own = replace(account, registrar=None, outbound_proxy=None, listen=listen)
            transport, address, port = own.listen_at()
            shown = replace(tls, credential=server_credential_of(account.tls))
            over_tls = transport is Transport.TLS
            self.listening = await self._driver.listen(
                transport, address, port, tls=shown if over_tls else None
            )
        target = self._target_uri()
        if target is None:
            if listen is None:
                raise ConfigurationError(
                    f"--listen: {self._spec.scenario} waits for calls; give TRANSPORT:HOST:PORT"
                )
            return None
        server = server_target(account, target)
        if listen is None and server.transport is Transport.UDP and self.plan.host is not None:
            await self._driver.listen(server.transport, self.plan.host, 0)
        return await self._driver.open_flow(server)

    def _may_send_clear(self, account: AccountConfig) -> bool:
        """Whether media may go without a key: as the account says, else where signaling does."""
        said = account.media.srtp
        if said is None and not self.scenario.calls:
            listen = (
                account if self._spec.listen is None else replace(account, listen=self._spec.listen)
            )
            return listen.listen_at()[0] is not Transport.TLS
        return account.srtp is not SrtpPolicy.REQUIRED

    def _open_media(self) -> ScenarioMedia:
        """Take the ports that `[media_port]` names, of our own address."""
        own = self._flow.local if self._flow is not None else self.listening
        assert own is not None
        first = self.plan.ports[0]
        if first % 2:
            raise ConfigurationError(
                f"--ports {first}: media of a scenario need an even first port"
            )
        try:
            return ScenarioMedia(own[0], self.plan.ports, on_sent=self._note_packet)
        except OSError as error:
            raise TransportError(f"--ports {first}: {error.strerror or error}") from error

    async def _open_twin(self, host: str, port: int) -> None:
        """Connect to the twin, or wait for it: by what the first command of the scenario is."""
        self._twin = twin = TwinConnection(self._take_command, self._lose_twin)
        self._stack.push_async_callback(twin.close)
        if self.scenario.twin == "sendCmd":
            await twin.connect(host, port)
        else:
            await twin.listen(host, port)

    def _take_command(self, text: str) -> None:
        with self._driver.change() as now:
            self._endpoint.receive_command(text, flow=self._flow, now=now)

    def _lose_twin(self) -> None:
        """Without its twin a run that it begins calls of has nothing more to do."""
        logger.info("the twin has ended the connection")
        if self.scenario.begun_by_twin:
            self._over.set()
            self._note_idle()

    def _take_port(self, number: int, kind: str) -> int:
        """A port of a call's own; a lack of them is the generator's fault."""
        assert self._media is not None
        try:
            return self._media.port_of(number, kind)
        except OSError as error:
            self._bottleneck.add_exhausted_resource(f"ports for media: {error.strerror or error}")
            raise

    def _note_packet(self, late_ms: float | None) -> None:
        self._tally.sent += 1
        if late_ms is not None:
            self._tally.count_lateness(late_ms, 1)

    # Running ----------------------------------------------------------------------------------

    async def run_share(self) -> WorkerOutcome:
        """Run the share to its end; the outcome says why it is invalid, if it is."""
        self._begun = self._read_at = self._clock()
        self._processor = time.process_time()
        loop = asyncio.get_running_loop()
        ticking = asyncio.ensure_future(self._tick())
        arriving = asyncio.ensure_future(self._arrive())
        begins = self._flow is not None and not self.scenario.begun_by_twin
        if not begins and not self._spec.total:
            loop.call_later(self.plan.duration, self._over.set)
        try:
            await self._unless_closed(self._over)
            self._endpoint.stop_answering()
            self._note_idle()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._grace):
                    await self._unless_closed(self._idle)
            with self._driver.change() as now:
                self._endpoint.hang_up_all(now=now)
        finally:
            for task in (ticking, arriving):
                task.cancel()
            await asyncio.gather(ticking, arriving, return_exceptions=True)
        self._report_second()
        if self._trace is not None:
            self._trace.finish()
        bottleneck = self._bottleneck
        return WorkerOutcome(bottleneck.invalid_reasons(), bottleneck.failed_checks())

    async def _unless_closed(self, event: asyncio.Event) -> None:
        """Wait for an event; a fault of the machine is raised."""
        waiting = asyncio.ensure_future(event.wait())
        closed = self._driver.closed
        try:
            await asyncio.wait((waiting, closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if closed.done():
            closed.result()

    def stop_run(self) -> None:
        """End the run now, hang up all calls, and keep the counts so far."""
        self._grace = 0.0
        self._over.set()

    def change_load(self, *, rate: float | None = None, calls: int | None = None) -> None:
        """Change the rate of all workers together, or the most calls of this one.

        Calls beyond the most end as their scenario has it.
        """
        self._pacer.change(rate=rate, calls=calls)

    async def _arrive(self) -> None:
        """Begin calls on schedule."""
        flow = self._flow
        if flow is None or self.scenario.begun_by_twin:
            return

        def begin(number: int) -> None:
            with self._driver.change() as now:
                self._endpoint.start_call(flow, number + 1, now=now)

        total = self._spec.total
        await self._pacer.begin_calls(
            begin, begun=self._begun, most=total or None, ends_run=not total
        )
        self._all_arrived = True
        self._note_idle()

    def _note_held_back(self, seconds: float) -> None:
        self._tally.held_back += seconds

    # Events -----------------------------------------------------------------------------------

    def _handle(self, event: SippEvent) -> None:
        match event:
            case CallBegan():
                self._tally.attempted += 1
                self._peak = max(self._peak, self._endpoint.calls_up)
            case CallOutcome():
                self._count(event)
            case ScenarioLog():
                self._log(event)
            case CommandWanted():
                self._run_command(event)
            case TwinCommand():
                assert self._twin is not None
                self._twin.send(event.text)
            case StopWanted():
                if event.now:
                    self.stop_run()
                self._over.set()
            case _:
                self._handle_media(event)

    def _log(self, event: ScenarioLog) -> None:
        if event.kind != "refused" or self._is_new(event.text):
            logger.log(_LEVELS[event.kind], "call %d: %r", event.number, event.text)

    def _handle_media(self, event: MediaWanted) -> None:
        """Let a call send or hear; the first agreement counts as its suite."""
        if self._media is None:
            return
        self._media.handle(event)
        if isinstance(event, MediaAgreed) and event.number not in self._suites:
            suite = event.agreement.suite
            self._suites[event.number] = CLEAR if suite is None else suite.value

    def _count_media(self, number: int, *, answered: bool) -> None:
        """Count what a call has heard, where it has heard anything, and under which suite."""
        if self._media is None:
            return
        heard, suite = self._media.stop(number), self._suites.pop(number, None)
        tally = self._tally
        if suite is not None and answered:
            tally.suites[suite] += 1
        if heard is not None and heard.received:
            tally.received += heard.received
            tally.lost += heard.lost
            tally.mos.record_value(heard.mos)
            tally.jitter_ms.record_value(heard.jitter_ms)
            tally.loss.record_value(heard.loss_percent)

    def _is_new(self, refusal: str) -> bool:
        """Whether a refusal is to be logged."""
        new = refusal not in self._refusals and len(self._refusals) < MOST_REFUSALS
        if new:
            self._refusals.add(refusal)
        return new

    def _count(self, outcome: CallOutcome) -> None:
        self._count_media(outcome.number, answered=not outcome.cause)
        tally = self._tally
        if outcome.cause:
            tally.failed[outcome.cause] += 1
            if self._trace is not None:
                self._trace.add_failure(outcome.call_id, outcome.cause)
        else:
            tally.answered += 1
            tally.ended["scenario"] += 1
        if outcome.setup is not None:
            tally.setup_ms.record_value(outcome.setup * 1e3)
        for seconds, refused in outcome.registrations:
            tally.registrations += 1
            if refused:
                tally.registrations_failed[refused] += 1
            else:
                tally.registered += 1
                tally.registration_ms.record_value(seconds * 1e3)
        if self._flow is not None and not self.scenario.begun_by_twin:
            self._pacer.release_slot()
        self._note_idle()

    def _note_idle(self) -> None:
        """See whether the last call has ended."""
        endpoint, total = self._endpoint, self._spec.total
        if endpoint.calls_up:
            return
        if total and (endpoint.begun >= total or self._all_arrived):
            self._over.set()
        if self._over.is_set():
            self._idle.set()

    def _run_command(self, wanted: CommandWanted) -> None:
        if len(self._commands) >= MOST_COMMANDS:
            logger.warning("a command of the scenario was not run: %d run already", MOST_COMMANDS)
            return
        task = asyncio.ensure_future(_shell(wanted))
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)

    # Seconds ----------------------------------------------------------------------------------

    async def _tick(self) -> None:
        number = 0
        while True:
            number += 1
            await asyncio.sleep(max(0.0, self._begun + number - self._clock()))
            self._report_second()

    def _report_second(self) -> None:
        """Collect what was counted since the previous second, and pass it on."""
        if self._trace is not None:
            self._trace.show_waiting()
        now, used = self._clock(), time.process_time()
        up = self._endpoint.calls_up
        second = RunSecond(at=now - self._begun, up=up, peak=max(self._peak, up))
        second.tally, self._tally = self._tally, Tally()
        second.tally.cpu_seconds = used - self._processor
        second.cpu = second.tally.cpu_seconds / max(now - self._read_at, 1e-3)
        self._processor, self._read_at, self._peak = used, now, up
        for name in COUNTED:
            count = self._endpoint.counters.pop(name, 0)
            if count:
                second.tally.signaling[name] += count
        self._bottleneck.add_second(second)
        self._on_second(second)


async def _shell(wanted: CommandWanted) -> None:
    """Run a command of a scenario, which `--allow-exec` allowed; log what it prints.

    Its output is no part of ours, which `--json` makes lines of objects.
    """
    try:
        async with asyncio.timeout(MOST_COMMAND_SECONDS):
            printed = await command_output(
                ("/bin/sh", "-c", wanted.command),
                most=MOST_PRINTED,
                show_errors=True,
                environment={**os.environ, **wanted.environment},
            )
    except TimeoutError:
        logger.warning("a command of the scenario ran over %d s: killed", MOST_COMMAND_SECONDS)
    except CommandFailed as error:
        logger.warning("a command of the scenario %s", error)
    else:
        if printed:
            logger.info("a command of the scenario printed %r", printed.decode(errors="replace"))


def _indexes(spec: SippSpec, injections: Mapping[str, InjectionFile]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for text in spec.indexes:
        name, _, number = text.rpartition(":")
        if Path(name).name not in injections or not number.isdecimal():
            raise ConfigurationError(
                f"--inf-index {text}: expected FILE:NUMBER, a file of --inf and its field"
            )
        found[Path(name).name] = injections[Path(name).name].index(int(number))
    return found
