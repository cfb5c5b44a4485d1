"""`softphone doctor`: examines an account step by step, and says what to fix.

File, certificate, DNS, port, TLS, registration: the first step that fails ends the examination,
since the later ones depend on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from softphone.account import TrustContext, tls_settings
from softphone.account.stack_settings import listener_settings
from softphone.cli.console.certificate_prompt import (
    certificate_prompt,
    open_trust_store,
    with_key_passphrase,
)
from softphone.cli.console.digest_warning import digest_text, digest_warnings
from softphone.cli.console.fips_mode import enter_mode
from softphone.cli.console.options import TrustOptions
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import DONE, FAILED, exit_code, result_of
from softphone.cli.console.trunk_text import settled_trunk, trunk_sentence
from softphone.cli.diagnose.options import DoctorOptions
from softphone.config import AccountConfig, load_account
from softphone.config.presets import preset_named
from softphone.config.tls import purpose_warnings
from softphone.errors import ConfigurationError, SoftphoneError, TransportError
from softphone.net import DnsResolver, Driver
from softphone.personas import persona_named
from softphone.phone import Phone
from softphone.sans_io import Flow, Target, Transmit, Transport
from softphone.sip import LookupPolicy
from softphone.trust import TlsSettings, client_context, server_context
from softphone.trust.fips import random_bytes
from softphone.trust.verification.checklist import revocation_outcome

STEP_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class StepResult:
    """The outcome of one step."""

    step: str
    good: bool
    detail: str
    advice: str = ""


class _AccountExamination:
    """The steps of one account; each returns a sentence, or raises."""

    def __init__(self, output: CommandOutput, path: Path, trust: TrustOptions) -> None:
        self._output = output
        self._path = path
        self._passphrase = trust.passphrase
        self._trust_context = TrustContext(
            open_trust_store(trust.store), certificate_prompt(output, trust)
        )
        self._config: AccountConfig | None = None
        self._targets: tuple[Target, ...] = ()
        self.warnings: tuple[str, ...] = ()

    @property
    def config(self) -> AccountConfig:
        """The account, once read."""
        if self._config is None:
            raise ConfigurationError("the account file has not been read")
        return self._config

    def steps(self) -> Iterator[tuple[str, Callable[[], Awaitable[str]]]]:
        """Yield the steps in order; the carrier's rules are one if the account names a preset."""
        yield "account file", self.read
        yield "media path", self.media_path
        if self.config.preset is not None:
            yield "carrier's rules", self.carrier
        yield "own certificate", self.credential
        yield "DNS", self.locate
        yield "port", self.connect
        yield "TLS and certificate", self.handshake
        yield "registration", self.register

    async def read(self) -> str:
        file = load_account(self._path)
        enter_mode(file.config.fips, str(self._path))
        self._config, self.warnings = file.config, file.warnings
        persona_named(file.config.persona).check(file.config.persona_line)
        transport = file.config.transport
        how = "by DNS" if transport is None else transport.value
        return f"{file.config.aor}, transport {how}, SRTP {file.config.srtp.value}"

    async def media_path(self) -> str:
        # After the account file, which may demand FIPS mode; loaded here, it costs the start.
        from softphone.media.kernel import describe_path, load_kernel

        load_kernel()
        return describe_path()

    async def carrier(self) -> str:
        preset = preset_named(self.config.preset or "")
        broken = len(preset.contradictions(self.config))
        kept = f"{len(preset.rules) - broken} of {len(preset.rules)} are kept"
        return f"{preset.title}, as of {preset.checked}: {kept}"

    async def credential(self) -> str:
        self._config = await with_key_passphrase(self._output, self.config, self._passphrase)
        config, settings = self.config, tls_settings(self.config)
        listens = config.listen is not None and config.listen_at()[0] is Transport.TLS
        if config.transport in (Transport.UDP, Transport.TCP) and not listens:
            return "none needed without TLS"
        client_context(settings)
        if listens:
            server_context(listener_settings(config, settings))
        dials = config.server_uri is not None
        warnings = purpose_warnings(config.tls, dials=dials, listens=listens)
        self.warnings = (*self.warnings, *warnings)
        given = (config.tls.certificate, config.tls.server_certificate if listens else None)
        names = [Path(each).name for each in given if each is not None]
        if not names:
            return "no client certificate is configured"
        return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} usable"

    async def locate(self) -> str:
        server = self.config.server_uri
        if server is None:
            return "no server: the account is called directly"
        resolver = DnsResolver(entropy=random_bytes)
        policy = LookupPolicy(server_name=self.config.tls.server_name)
        self._targets = await resolver.locate(server, policy=policy)
        return ", ".join(f"{t.transport.value} {t.host}:{t.port}" for t in self._targets[:4])

    async def connect(self) -> str:
        if not self._targets:
            return "nothing to connect to"
        target = self._targets[0]
        if target.transport is Transport.UDP:
            return "UDP has no connection to try: registration will tell"
        started = asyncio.get_running_loop().time()
        await _open_flow(replace(target, transport=Transport.TCP), TlsSettings())
        milliseconds = (asyncio.get_running_loop().time() - started) * 1000
        return f"{target.host}:{target.port} is open ({milliseconds:.0f} ms)"

    async def handshake(self) -> str:
        if not self._targets or self._targets[0].transport is not Transport.TLS:
            return "no TLS"
        flow = await _open_flow(self._targets[0], tls_settings(self.config, self._trust_context))
        identity = flow.identity
        if identity is None:
            raise TransportError("the connection has no verified peer")
        return (
            f"{identity.protocol} {identity.cipher}; {identity.subject}; verified by "
            f"{identity.verdict}; revocation: {revocation_outcome(identity)[1]}"
        )

    async def register(self) -> str:
        trust_context = self._trust_context
        async with Phone(
            trust=trust_context.trust, unknown_certificate=trust_context.unknown
        ) as phone:
            line = await phone.register(self.config)
            if line.trunk is not None:
                return f"none; {trunk_sentence(await settled_trunk(line))}"
            if line.listening is not None:
                return "listening, no registration"
            self.warnings = (*self.warnings, *digest_warnings(line))
            shown = digest_text(line)
            return f"{line.aor} is {line.registration.value}{', ' + shown if shown else ''}"


class _NullMachine:
    """A machine that sends nothing and ignores everything, to use the driver alone."""

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None: ...

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None: ...

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None: ...

    def handle_timer(self, *, now: float) -> None: ...

    def next_timer(self) -> float | None:
        return None

    def transmits(self) -> list[Transmit]:
        return []

    def next_event(self) -> None:
        return None


async def _open_flow(target: Target, settings: TlsSettings) -> Flow:
    """Open a flow, through handshake and gate, and close it.  Raises what the driver raises."""
    driver: Driver[None] = Driver(_NullMachine(), on_event=lambda _: None, tls={"": settings})
    async with driver:
        return await driver.open_flow(target)


async def examine_account(output: CommandOutput, options: DoctorOptions) -> int:
    """Examine step by step, print each finding at once, and print what to do."""
    examination = _AccountExamination(output, options.account, options.trust)
    code, advice = DONE, ""
    for step, examine in examination.steps():
        with output.waiting(f"examining: {step}"):
            finding, code = await _examined(step, examine)
        _show(output, finding)
        advice = finding.advice
        if not finding.good:
            break
    for warning in examination.warnings:
        output.warn(warning)
    result = result_of(code)
    if code == DONE:
        output.summary("Everything is in order.", result=result, status=200, reason="in order")
    else:
        output.summary(f"What to do: {advice}", result=result, status=0, reason=advice)
    return code


async def _examined(step: str, examine: Callable[[], Awaitable[str]]) -> tuple[StepResult, int]:
    """Run one step; return its finding, and the exit code for it."""
    try:
        async with asyncio.timeout(STEP_PATIENCE):
            return StepResult(step, True, await examine()), DONE
    except TimeoutError:
        detail = f"no answer within {STEP_PATIENCE:.0f} s"
        return StepResult(step, False, detail, "check the network and its firewalls"), FAILED
    except SoftphoneError as error:
        return StepResult(step, False, str(error), error.hint or "see the message"), exit_code(
            error
        )


def _show(output: CommandOutput, finding: StepResult) -> None:
    output.event(
        "finding",
        f"{'ok   ' if finding.good else 'FAILS'}  {finding.step:<21}{finding.detail}",
        step=finding.step,
        good=finding.good,
        detail=finding.detail,
        advice=finding.advice,
    )
