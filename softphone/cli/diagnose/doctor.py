"""`softphone doctor`: examines an account step by step, and says what to fix.

File, certificates, DNS, port, TLS, registration: the first step that fails ends the examination,
since the later ones depend on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from softphone.account import TrustContext, explain_silence, tls_settings
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
from softphone.cli.diagnose.certificate_advice import (
    advise_name,
    advise_unknown,
    explain_unknown,
    unused_tls,
)
from softphone.cli.diagnose.options import DoctorOptions
from softphone.config import AccountConfig, load_account
from softphone.config.presets import preset_named
from softphone.config.tls import purpose_warnings
from softphone.errors import (
    CertificateUnknown,
    ConfigurationError,
    IdentityMismatch,
    RegistrationTimeout,
    SoftphoneError,
    TransportError,
)
from softphone.net import DnsResolver, Driver
from softphone.net.stream import connect_socket, with_port_advice
from softphone.personas import persona_named
from softphone.phone import Phone
from softphone.sans_io import Flow, Target, Transmit, Transport
from softphone.security import ClientCertificates
from softphone.sip import LookupPolicy
from softphone.trust import (
    TlsSettings,
    TrustStore,
    UnknownCertificate,
    client_context,
    server_context,
)
from softphone.trust.fips import random_bytes
from softphone.trust.verification.checklist import revocation_outcome

STEP_PATIENCE = 20.0
CONNECT_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class StepResult:
    """The outcome of one step; `advice` of a good one is for what may come to fail later."""

    step: str
    good: bool
    detail: str
    advice: str = ""

    @property
    def line(self) -> str:
        """The outcome for people."""
        mark = "FAILS" if not self.good else "note" if self.advice else "ok"
        advised = f": {self.advice}" if self.good and self.advice else ""
        return f"{mark:<7}{self.step:<21}{self.detail}{advised}"


@dataclass(frozen=True, slots=True)
class _Note:
    """The sentence of a step that fails nothing, with advice."""

    detail: str
    advice: str


class _AccountExamination:
    """The steps of one account; each returns a sentence or a note, or raises."""

    def __init__(self, output: CommandOutput, path: Path, trust: TrustOptions) -> None:
        self._output = output
        self._path = path
        self._passphrase = trust.passphrase
        self._prompt = certificate_prompt(output, trust)
        self._trust_context = TrustContext(open_trust_store(trust.store), self._ask)
        self._accepts = trust.accept is not None
        self._unknown: UnknownCertificate | None = None
        self._config: AccountConfig | None = None
        self._targets: tuple[Target, ...] = ()
        self.warnings: tuple[str, ...] = ()

    async def _ask(self, question: UnknownCertificate) -> bool:
        """Ask the user, and keep the question for what is said of the step."""
        self._unknown = question
        return await self._prompt(question)

    @property
    def config(self) -> AccountConfig:
        """The account, once read."""
        if self._config is None:
            raise ConfigurationError("the account file has not been read")
        return self._config

    def steps(self) -> Iterator[tuple[str, Callable[[], Awaitable[str | _Note]]]]:
        """Yield the steps in order; the carrier's rules are one if the account names a preset."""
        yield "account file", self.read
        yield "media path", self.media_path
        if self._config is not None and self._config.preset is not None:
            yield "carrier's rules", self.carrier
        yield "trusted CAs", self.authorities
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

    @property
    def _listens_by_tls(self) -> bool:
        return self.config.listen is not None and self.config.listen_at()[0] is Transport.TLS

    @property
    def _without_tls(self) -> bool:
        clear = self.config.transport in (Transport.UDP, Transport.TCP)
        return clear and not self._listens_by_tls

    async def authorities(self) -> str | _Note:
        config, tls = self.config, self.config.tls
        if self._without_tls:
            return self._noted("none needed without TLS", self._unused_tls(config.transport))
        if config.server_uri is None and config.client_certificates is ClientCertificates.NONE:
            return "none needed: callers are not asked for a certificate"
        settings = tls_settings(config, self._trust_context)
        if settings.pin is not None:
            return "none needed: tls.pin names the one certificate that is accepted"
        store, found = settings.store, list[str]()
        if store.anchors:
            names = ", ".join(Path(ca).name for ca in tls.ca) or "the trust store"
            found.append(f"{len(store.anchors)} from {names}")
        if settings.lists:
            found.append("the cluster's trust lists")
        named = bool(found)
        if store.system:
            found.append("the system's store")
        if pins := len(self._accepted.all_pins):
            found.append(f"accepted certificates: {pins}")
        return ", ".join(found) if named else self._authorities_note(found, store.system)

    @staticmethod
    def _noted(detail: str, advice: str | None) -> str | _Note:
        return detail if advice is None else _Note(detail, advice)

    def _unused_tls(self, transport: Transport | None) -> str | None:
        """Return what is probably meant where `[tls]` is filled in, and nothing runs over TLS."""
        if transport not in (Transport.UDP, Transport.TCP) or self._listens_by_tls:
            return None
        return unused_tls(self._path, self.config.tls, transport.upper())

    @property
    def _accepted(self) -> TrustStore:
        """The store of the certificates that a person has accepted."""
        store, phones = self.config.tls.store, self._trust_context.trust
        return (phones or TrustStore()) if store is None else TrustStore.open(store, make=False)

    def _authorities_note(self, found: list[str], system: bool) -> _Note:
        """Say whose certificates will be refused, and which line would have them accepted."""
        where = f"below [tls] in {self._path}, ca.crt being the authority's that issued it"
        if system:
            detail = f"{', '.join(found)}: a private PBX's certificate will be refused"
            return _Note(detail, f'if yours has one, write ca = ["system", "ca.crt"] {where}')
        other = "other " if found else ""
        detail = f"{', '.join(found) or 'none'}: every {other}server's certificate will be refused"
        public = 'ca = "system" is for the public authorities'
        return _Note(detail, f'write ca = "ca.crt" {where}; {public}')

    async def credential(self) -> str:
        self._config = await with_key_passphrase(self._output, self.config, self._passphrase)
        config, listens = self.config, self._listens_by_tls
        if self._without_tls:
            return "none needed without TLS"
        settings = tls_settings(config)
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

    async def locate(self) -> str | _Note:
        server = self.config.server_uri
        if server is None:
            return "no server: the account is called directly"
        resolver = DnsResolver(entropy=random_bytes)
        policy = LookupPolicy(server_name=self.config.tls.server_name)
        self._targets = await resolver.locate(server, policy=policy)
        found = ", ".join(f"{t.transport.value} {t.host}:{t.port}" for t in self._targets[:4])
        chosen = None if self.config.transport is not None else self._targets[0].transport
        return self._noted(found, self._unused_tls(chosen))

    async def connect(self) -> str:
        if not self._targets:
            return "nothing to connect to"
        target = self._targets[0]
        if target.transport is Transport.UDP:
            return "UDP has no connection to try: registration will tell"
        started = asyncio.get_running_loop().time()
        try:
            sock = await connect_socket((target.host, target.port), CONNECT_PATIENCE)
        except TransportError as error:
            raise with_port_advice(error, target.transport.upper()) from error.__cause__
        sock.close()
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

    def no_answer(self, step: str) -> StepResult:
        """Return the outcome of a step that took longer than `STEP_PATIENCE`."""
        within = f"within {STEP_PATIENCE:g} s"
        if not self._targets:
            advice = "check this machine's network, and its DNS server"
            return StepResult(step, False, f"no answer {within}", advice)
        target = self._targets[0]
        place = f"{target.transport}:{target.host}:{target.port}"
        detail = f"{place} did not answer {within}: {explain_silence(target)}"
        return StepResult(step, False, detail, self._with_tls(RegistrationTimeout(detail).hint))

    def _with_tls(self, advice: str) -> str:
        """Add to the advice, where no answer came, that TLS is probably meant."""
        unused = self._unused_tls(self._targets[0].transport) if self._targets else None
        return advice if unused is None else f"{unused}; otherwise: {advice}"

    def failure(self, step: str, error: SoftphoneError) -> StepResult:
        """Return the outcome of a step that raised `error`."""
        detail, advice = str(error), error.hint or "see the message"
        tls, question = None if self._config is None else self._config.tls, self._unknown
        if tls is not None and isinstance(error, CertificateUnknown) and question is not None:
            if not self._accepts:  # else the message tells what was accepted, and what came
                detail = explain_unknown(tls, question)
                advice = advise_unknown(self._path, tls, question, self._targets[0])
        elif tls is not None and isinstance(error, IdentityMismatch):
            advice = advise_name(tls) or advice
        elif isinstance(error, RegistrationTimeout):
            advice = self._with_tls(advice)
        return StepResult(step, False, detail, advice)

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
    code, advice, steps = DONE, "", examination.steps()
    for step, examine in steps:
        with output.waiting(f"examining: {step}"):
            finding, code = await _examined(examination, step, examine)
        _show(output, finding)
        advice = finding.advice
        if not finding.good:
            _show_not_tried(output, step, [name for name, _ in steps])
            break
    for warning in examination.warnings:
        output.warn(warning)
    result = result_of(code)
    if code == DONE:
        output.summary("Everything is in order.", result=result, status=200, reason="in order")
    else:
        output.summary(f"What to do: {advice}", result=result, status=0, reason=advice)
    return code


async def _examined(
    examination: _AccountExamination, step: str, examine: Callable[[], Awaitable[str | _Note]]
) -> tuple[StepResult, int]:
    """Run one step; return its finding, and the exit code for it."""
    try:
        async with asyncio.timeout(STEP_PATIENCE):
            found = await examine()
    except TimeoutError:
        return examination.no_answer(step), FAILED
    except SoftphoneError as error:
        return examination.failure(step, error), exit_code(error)
    note = _Note(found, "") if isinstance(found, str) else found
    return StepResult(step, True, note.detail, note.advice), DONE


def _show(output: CommandOutput, finding: StepResult) -> None:
    output.event(
        "finding",
        finding.line,
        step=finding.step,
        good=finding.good,
        detail=finding.detail,
        advice=finding.advice,
    )


def _show_not_tried(output: CommandOutput, failed: str, steps: list[str]) -> None:
    """Print the steps that need the one that has failed."""
    if steps:
        sentence = f"{'':<7}not tried, because {failed} failed: {', '.join(steps)}"
        output.event("not_tried", sentence, because=failed, steps=steps)
