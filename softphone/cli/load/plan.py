"""Makes the plan of a load run from the options, and checks it; sends nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from softphone.cli.call.monitoring import parse_collector
from softphone.cli.load.options import LoadOptions
from softphone.cli.load.sipp_times import parse_sipp_time
from softphone.config import load_account, parse_sip_uri
from softphone.config.messaging_file import load_messaging
from softphone.errors import ConfigurationError
from softphone.load.measure import OPERATIONS
from softphone.load.plan import (
    FIELDS,
    BaseSpec,
    Expectation,
    FaultSpec,
    LoadPlan,
    OtelSpec,
    SippSpec,
    UserSpec,
    WorkloadSpec,
    base_account,
    parse_expectation,
    read_users,
    users_of_template,
)
from softphone.load.run import (
    BUILTIN_SCENARIOS,
    load_scenario,
    parse_fault,
    users_with_faults,
)
from softphone.load.sipp import SippScenario, read_injection, read_scenario
from softphone.load.sipp.twin import parse_twin
from softphone.load.workload import WORKLOADS, Workload
from softphone.monitoring import require_otel
from softphone.sip import SipUri
from softphone.trust.fips import random_bytes


def expectations_of(options: LoadOptions) -> tuple[Expectation, ...]:
    """Return the expectations of the options.

    Raises ConfigurationError, also for what a SIPp scenario cannot measure.
    """
    expectations = tuple(parse_expectation(text) for text in options.expect or ())
    for each in expectations if options.sipp is not None else ():
        _check_of_sipp(each, options)
    workload = WORKLOADS.get(options.scenario) if options.sipp is None else None
    for each in expectations:
        name = None if each.figure is None else each.figure.name
        if workload is None:
            if name in _OF_OPERATIONS:
                raise ConfigurationError(
                    f"--expect {each.text}: {options.scenario} has calls, and no such operations"
                )
        elif name not in workload.figures():
            raise ConfigurationError(
                f"--expect {each.text}: {options.scenario} does not measure that; expected"
                f" {', '.join(workload.figures())}, of which a time has _pN"
            )
    return expectations


def _check_of_sipp(each: Expectation, options: LoadOptions) -> None:
    """Raise ConfigurationError for what a SIPp scenario does not measure."""
    name = "suite" if each.figure is None else each.figure.name
    if name in _MEASURED_OF_SIPP or (name in _MEASURED_OF_MEDIA and _has_media(options)):
        return
    why = "runs without media" if name in _MEASURED_OF_MEDIA else "does not say"
    raise ConfigurationError(
        f"--expect {each.text}: {options.sipp} {why}, so that it is not"
        f" measured; expected {', '.join(_MEASURED_OF_SIPP[:-2])}, setup_pN or"
        " registration_pN"
    )


def _has_media(options: LoadOptions) -> bool:
    """Whether a SIPp scenario sends media, or what it hears back."""
    return options.rtp_echo or (options.sipp is not None and _read_scenario(options).plays)


def _read_scenario(options: LoadOptions) -> SippScenario:
    assert options.sipp is not None
    keys = dict(parse_key(text) for text in options.sipp_key or ())
    return read_scenario(options.sipp, keys=keys, allow_exec=options.allow_exec)


def plan_of(options: LoadOptions) -> LoadPlan:
    """Return the plan of the options.  Raises ConfigurationError."""
    if options.sipp is not None:
        return sipp_plan(options, options.sipp)
    if options.scenario in WORKLOADS:
        return workload_plan(options)
    _refuse(options, _OF_WORKLOADS, "that is for runs without calls (--scenario)")
    _refuse(options, _OF_SIPP, "that is for a SIPp scenario (--sipp)")
    _refuse_of_sipp(options)
    scenario = load_scenario(options.scenario, BUILTIN_SCENARIOS)
    _check_values(options)
    if scenario.callee is None and not scenario.once and not options.target:
        raise ConfigurationError(f"--target: scenario {scenario.name} needs somebody to call")
    faults = FaultSpec()
    for text in options.fault or ():
        faults = parse_fault(text, faults)
    if faults.outage_every:
        raise ConfigurationError("--fault outage: that is for registered-users and subscriptions")
    base = _base(options)
    count = options.user_count or options.calls * (2 if scenario.callee is not None else 1)
    plan = LoadPlan(
        scenario=options.scenario,
        target=None if scenario.callee is not None else options.target,
        base=base,
        users=users_with_faults(_users(options, count), faults),
        calls=options.calls,
        rate=options.rate,
        arrival=options.arrival,
        hold=options.hold,
        duration=options.duration,
        seed=options.seed,
        register_rate=options.register_rate,
        sockets=options.sockets,
        placement=options.media,
        ports=parse_ports(options.ports),
        host=options.host,
        play=None if options.play is None else str(options.play),
        checks=options.checks,
        answer_timeout=options.answer_timeout,
        tolerate_late=options.tolerate_late,
        hep=_collector(options),
        otel=otel_of(options),
        faults=faults,
    )
    plan.schedule()
    plan.holding_time(scenario.hold)
    account = base_account(plan)
    if plan.target:
        account.target_uri(plan.target)
    return plan


_OF_OPERATIONS = frozenset(
    name for each in OPERATIONS.values() for name in (each.share, each.name, each.rate)
)
_OF_WORKLOADS = ("share_connection", "expires", "event", "message_size", "resumed")
_NOT_OF_WORKLOADS = ("srtp", "suite", "codec", "play", "hold")


def workload_plan(options: LoadOptions) -> LoadPlan:
    """The plan of a load without calls.  Raises ConfigurationError."""
    kind = WORKLOADS[options.scenario]
    _refuse_for_workload(options, kind)
    _check_values(options)
    faults = FaultSpec()
    for text in options.fault or ():
        faults = parse_fault(text, faults)
        if not kind.registers or faults.loss or faults.delay:
            raise ConfigurationError(f"--fault {text}: {options.scenario} makes no such fault")
    chat = options.scenario == "messages"
    if chat:
        users, base, target = _chat_users(options)
    else:
        if kind.registers:
            _refuse(options, ("target",), "users who stay registered call nobody; leave that out")
        base = _base(options)
        count = (options.user_count or options.calls) if kind.registers else 1
        users, target = _users(options, count), None
    plan = LoadPlan(
        scenario=options.scenario,
        target=target,
        base=base,
        users=users_with_faults(users, faults),
        calls=len(users) if kind.kept else options.calls,
        rate=options.rate,
        arrival=options.arrival,
        duration=options.duration,
        seed=options.seed,
        register_rate=options.register_rate,
        host=options.host,
        answer_timeout=options.answer_timeout,
        tolerate_late=options.tolerate_late,
        hep=_collector(options),
        otel=otel_of(options),
        faults=faults,
        workload=WorkloadSpec(
            options.scenario,
            kept=kind.kept,
            share=1 if options.share_connection is None else options.share_connection,
            event=(options.event or "message-summary").lower(),
            expires=options.expires or 0,
            resumed=0.5 if options.resumed is None else options.resumed / 100.0,
            size=64 if options.message_size is None else options.message_size,
        ),
    )
    plan.schedule()
    return plan if chat else replace(plan, target=str(base_account(plan).server_uri))


def _refuse_of_sipp(options: LoadOptions) -> None:
    """Refuse the switches of SIPp scenarios for other runs.  Raises ConfigurationError."""
    for name in ("allow_exec", "rtp_echo"):
        if getattr(options, name):
            option = name.replace("_", "-")
            raise ConfigurationError(f"--{option}: that is for a SIPp scenario (--sipp)")


def _refuse_for_workload(options: LoadOptions, kind: type[Workload]) -> None:
    """Refuse what has no effect on a load without calls.  Raises ConfigurationError."""
    here = f"{options.scenario} has no calls; leave that out"
    _refuse(options, (*_NOT_OF_WORKLOADS, *_OF_SIPP), here)
    for name in _OF_WORKLOADS:
        if name not in kind.options:
            _refuse(options, (name,), f"that is not for {options.scenario}; leave it out")
    _refuse_of_sipp(options)
    if not options.register:
        raise ConfigurationError(f"--no-register: {here}")


def _chat_users(options: LoadOptions) -> tuple[tuple[UserSpec, ...], BaseSpec, str]:
    """The users of chat, the base with their file, and the domain.  Raises ConfigurationError."""
    _refuse(
        options,
        ("registrar", "ca", "pin", "server_name", "target", "algorithms", "realms"),
        "the file of --account has the server of chat and whom to trust",
    )
    if options.account is None:
        raise ConfigurationError("--account: give a file with a table [im], for server and trust")
    jid = load_messaging(options.account).config.jid
    given = _given_users(options)
    if options.aor is not None or not given:
        raise ConfigurationError("--user-template: messages go between users; give it, or --users")
    if options.users is not None:
        users = read_users(options.users)
    else:
        count = options.user_count or 2
        users = users_of_template(_pattern(options, options.user_template or ""), count)
    return users, BaseSpec(account=str(options.account)), jid.partition("@")[2]


def _check_values(options: LoadOptions) -> None:
    if options.sockets not in ("per-call", "shared"):
        raise ConfigurationError(f"--sockets {options.sockets}: expected per-call or shared")
    if options.media not in ("inline", "worker"):
        raise ConfigurationError(f"--media {options.media}: expected inline or worker")
    if not 0.0 <= options.tolerate_late < 100.0:
        raise ConfigurationError(
            f"--tolerate-late {options.tolerate_late:g}: expected a share from 0 to below 100 %"
        )


def _collector(options: LoadOptions) -> tuple[str, int] | None:
    return None if options.hep is None else parse_collector(options.hep)


def otel_of(options: LoadOptions) -> OtelSpec | None:
    """The OpenTelemetry collector, checked; None without one.  Raises ConfigurationError."""
    if options.otel is None:
        for name in ("otel_ca", "otel_token"):
            _refuse(options, (name,), "that goes with --otel URL")
        return None
    require_otel()
    token = options.otel_token
    spec = OtelSpec(
        options.otel,
        random_bytes(16).hex(),
        tuple(options.otel_ca or ()),
        None if token is None else str(token),
    )
    try:
        spec.config()
    except ConfigurationError as error:
        raise ConfigurationError(f"--otel: {error}") from error
    return spec


_OF_SIPP = (
    *("inf", "inf_index", "sipp_key", "total_calls", "pause", "rate_period", "listen", "twin"),
)
_MEASURED_OF_SIPP = ("answered", "failed", "registered", "setup", "registration")
_MEASURED_OF_MEDIA = ("mos", "jitter", "loss", "late", "lateness", "suite")
"""What a SIPp scenario measures only if it has media."""
_NOT_OF_SIPP = ("users", "user_template", "user_count", "srtp", "suite", "codec", "play", "fault")


def sipp_plan(options: LoadOptions, path: Path) -> LoadPlan:
    """The plan of a SIPp scenario, which is read here too.  Raises ConfigurationError."""
    if options.scenario != LoadOptions.scenario:
        raise ConfigurationError(f"--scenario {options.scenario}: {path} is the scenario")
    _refuse(options, _NOT_OF_SIPP, f"{path} says itself what it sends; leave that out")
    scenario = _read_scenario(options)
    if scenario.calls and not options.target:
        raise ConfigurationError(f"--target: {path} needs somebody to call")
    if not scenario.calls and options.listen is None:
        raise ConfigurationError(f"--listen: {path} waits for calls; give TRANSPORT:HOST:PORT")
    _check_twin(options, scenario)
    base = replace(_base(options), registers=False) if scenario.calls else _listener_base(options)
    user = options.aor or "sip:sipp@127.0.0.1"
    if options.account is not None and options.aor is None:
        user = load_account(options.account).config.aor
    plan = LoadPlan(
        scenario=path.name,
        target=options.target,
        base=base,
        users=users_of_template(_pattern(options, user), 1),
        calls=options.calls,
        rate=_rate_of_sipp(options),
        arrival=options.arrival,
        hold=_pause_of_sipp(options),
        duration=options.duration,
        seed=options.seed,
        ports=parse_ports(options.ports),
        host=options.host,
        answer_timeout=options.answer_timeout,
        tolerate_late=options.tolerate_late,
        hep=_collector(options),
        otel=otel_of(options),
        sipp=_sipp_spec(options, path),
    )
    plan.schedule()
    plan.holding_time("1")
    if scenario.calls:
        base_account(plan)
    return plan


def _rate_of_sipp(options: LoadOptions) -> float:
    """Calls that begin in a second: the rate, by its period.  Raises ConfigurationError."""
    if options.rate_period is None:
        return options.rate
    if options.arrival not in ("constant", "poisson"):
        raise ConfigurationError(
            f"--rate-period: --arrival {options.arrival} says itself how many calls begin when"
        )
    seconds = parse_sipp_time("--rate-period", options.rate_period)
    if not seconds:
        raise ConfigurationError(f"--rate-period {options.rate_period}: expected more than 0")
    return options.rate / seconds


def _pause_of_sipp(options: LoadOptions) -> str | None:
    """The length of a pause without one, as a holding time.  Raises ConfigurationError."""
    if options.pause is None:
        return options.hold
    if options.hold is not None:
        raise ConfigurationError("--pause: --hold says how long pauses are already")
    seconds = parse_sipp_time("--pause", options.pause)
    return str(seconds) if seconds else None


def _sipp_spec(options: LoadOptions, path: Path) -> SippSpec:
    """What is asked for of a SIPp scenario alone.  Raises ConfigurationError."""
    if options.total_calls is not None and options.total_calls < 1:
        raise ConfigurationError(f"--total-calls {options.total_calls}: expected 1 or more")
    for file in options.inf or ():
        read_injection(file)
    return SippSpec(
        str(path),
        injections=tuple(map(str, options.inf or ())),
        indexes=tuple(options.inf_index or ()),
        keys=tuple(parse_key(text) for text in options.sipp_key or ()),
        allow_exec=options.allow_exec,
        total=options.total_calls or 0,
        listen=options.listen,
        rtp_echo=options.rtp_echo,
        twin=options.twin,
    )


def _check_twin(options: LoadOptions, scenario: SippScenario) -> None:
    """Raise ConfigurationError for commands without a twin, and for a twin without commands."""
    if options.twin is None and scenario.twin:
        raise ConfigurationError(f"--twin: {options.sipp} has <{scenario.twin}>; give HOST:PORT")
    if options.twin is not None:
        parse_twin(options.twin)
        if not scenario.twin:
            raise ConfigurationError(f"--twin {options.twin}: {options.sipp} has no command for it")


def _listener_base(options: LoadOptions) -> BaseSpec:
    """What a scenario that waits trusts, and what it shows to its callers."""
    account = None if options.account is None else str(options.account)
    return BaseSpec(account=account, ca=tuple(options.ca or ()), pin=options.pin)


def parse_key(text: str) -> tuple[str, str]:
    """Read NAME=VALUE.  Raises ConfigurationError."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigurationError(f"--sipp-key {text}: expected NAME=VALUE")
    return name, value


def _base(options: LoadOptions) -> BaseSpec:
    server, registers = options.registrar, options.register
    if options.account is not None:
        _refuse(options, ("registrar",), "the account file names the server; give one of them")
        trusting = ("ca", "pin", "server_name")
        _refuse(options, trusting, "the account file says whom to trust; write it there")
    if options.account is None and server is None:
        server, registers = server_of_target(options.target), False
    return BaseSpec(
        account=None if options.account is None else str(options.account),
        server=server,
        registers=registers,
        ca=tuple(options.ca or ()),
        pin=options.pin,
        server_name=options.server_name,
        srtp=options.srtp,
        suites=tuple(options.suite or ()),
        codecs=tuple(options.codec or ()),
    )


def _refuse(options: LoadOptions, names: Sequence[str], why: str) -> None:
    """Refuse options that would have no effect.  Raises ConfigurationError."""
    for name in names:
        if getattr(options, name) is not None:
            raise ConfigurationError(f"--{name.replace('_', '-')}: {why}")


def server_of_target(target: str | None) -> str:
    """Return the server for a target: without `--server`, requests go to the target's host."""
    if not target or not target.lower().startswith(("sip:", "sips:")):
        raise ConfigurationError(
            "--registrar: give the server, or --account, or a whole URI as --target"
        )
    uri = parse_sip_uri(target, what="--target")
    return str(SipUri(uri.scheme, None, None, uri.host, uri.port, uri.parameters, ()))


def _given_users(options: LoadOptions) -> list[str]:
    """The options that say who the users are.  Raises ConfigurationError for two of them."""
    given = [
        name
        for name, value in (
            ("--users", options.users),
            ("--user-template", options.user_template),
            ("--aor", options.aor),
        )
        if value is not None
    ]
    if len(given) > 1:
        raise ConfigurationError(f"{given[1]}: {given[0]} says who calls already")
    return given


def _users(options: LoadOptions, count: int) -> tuple[UserSpec, ...]:
    """The users; `count` of a template."""
    _given_users(options)
    if options.users is not None:
        _refuse(options, FIELDS[1:], f"{options.users} says it of each user; write it there")
        return read_users(options.users)
    if options.user_template is not None:
        aor = options.user_template
        if options.account is None and not aor.lower().startswith(("sip:", "sips:")):
            aor = f"sip:{aor}@{_domain(options)}"
        return users_of_template(_pattern(options, aor), count)
    if options.account is not None and options.aor is None:
        # Options that are not given come from the account.
        return users_of_template(_pattern(options, load_account(options.account).config.aor), 1)
    return users_of_template(_pattern(options, options.aor or f"sip:load@{_domain(options)}"), 1)


def _pattern(options: LoadOptions, aor: str) -> UserSpec:
    return UserSpec(
        aor,
        username=options.username,
        password_file=options.password_file,
        certificate=options.certificate,
        key=options.key,
        algorithms=options.algorithms,
        realms=options.realms,
    )


def _domain(options: LoadOptions) -> str:
    """Return the server's domain, the default for that of its users."""
    uri = parse_sip_uri(options.registrar or server_of_target(options.target), what="--registrar")
    return f"[{uri.host}]" if ":" in uri.host else uri.host


def parse_ports(text: str) -> tuple[int, int]:
    """Parse the range of `--ports`.  Raises ConfigurationError."""
    match = re.fullmatch(r"([0-9]{1,5})\s*-\s*([0-9]{1,5})", text)
    if match is None or not 1024 <= int(match[1]) < int(match[2]) <= 65535:
        raise ConfigurationError(f"--ports {text}: expected two ports from 1024 on: 40000-49999")
    return int(match[1]), int(match[2])
