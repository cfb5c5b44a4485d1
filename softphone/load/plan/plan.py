"""The plan of a run: plain values that can be written as JSON and shared among workers.

Every worker knows the whole schedule and takes each N-th arrival of it; users, ports and the
number of calls are cut into shares.  A plan holds no secret: passwords stay in their files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from softphone.config import AccountConfig, TlsConfig, load_account
from softphone.errors import ConfigurationError
from softphone.load.measure.tally import TOLERATE_LATE
from softphone.load.plan.arrival import (
    ArrivalProcess,
    HoldingTime,
    parse_arrival,
    parse_holding_time,
)
from softphone.load.plan.otel_spec import OtelSpec
from softphone.load.plan.users import UserSpec
from softphone.security import CryptoSuite, SrtpPolicy

NODE = "node"
"""As the host: each worker uses the address of its own Ray node."""

MOST_TIMES = 4
"""How far a watched run may be raised, as a multiple of what was planned."""
LEAST_MOST_CALLS = 10
"""Calls at once up to which a watched run may be raised in any case."""
LEAST_MOST_RATE = 100.0
"""Calls a second up to which a watched run may be raised in any case."""


@dataclass(frozen=True, slots=True)
class BaseSpec:
    """What all users share: an account file or a server, and the requirements on media.

    `server` is the registrar, or the outbound proxy when `registers` is false.
    """

    account: str | None = None
    server: str | None = None
    registers: bool = True
    ca: tuple[str, ...] = ()
    pin: str | None = None
    server_name: str | None = None
    srtp: str | None = None
    suites: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """Faults that a run injects.

    `loss` is the share of packets (0.0 to 1.0) that are dropped, `delay` the seconds that the
    others are delayed, `cut_every` the seconds between two cut connections, `outage_every` those
    between two times at which all connections are cut at once.  Shares of the users have a wrong
    password, or the certificate in `certificate` (for example an expired one).
    """

    loss: float = 0.0
    delay: float = 0.0
    cut_every: float = 0.0
    wrong_password: float = 0.0
    bad_certificate: float = 0.0
    certificate: str | None = None
    key: str | None = None
    outage_every: float = 0.0

    def words(self) -> str:
        """The faults as text; "" when there are none."""
        found = (
            (self.loss, f"loss {100 * self.loss:g} %"),
            (self.delay, f"delay {self.delay * 1e3:g} ms"),
            (self.cut_every, f"a connection cut every {self.cut_every:g} s"),
            (self.outage_every, f"all connections cut every {self.outage_every:g} s"),
            (self.wrong_password, f"wrong password {100 * self.wrong_password:g} %"),
            (self.bad_certificate, f"another certificate {100 * self.bad_certificate:g} %"),
        )
        return ", ".join(text for value, text in found if value)


@dataclass(frozen=True, slots=True)
class SippSpec:
    """A SIPp scenario and what SIPp's own options say, by the paths of its files.

    `indexes` are FILE:NUMBER, an injection file and its field; `keys` the values of keywords that
    the user names; `total` ends the run after so many calls, 0 does not.  `listen` is
    TRANSPORT:HOST:PORT, where calls are waited for or sent from.  `rtp_echo` sends back what calls
    hear.  `twin` is HOST:PORT of the run that controls the other call of each (3PCC).
    """

    scenario: str
    injections: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    allow_exec: bool = False
    total: int = 0
    listen: str | None = None
    rtp_echo: bool = False
    twin: str | None = None

    def check_workers(self, workers: int) -> None:
        """Raise ConfigurationError for more workers than can share it."""
        if self.listen is not None:
            raise ConfigurationError(
                f"--workers {workers}: one address cannot be shared; leave --listen out, or"
                " start one run for each address"
            )
        if self.twin is not None:
            raise ConfigurationError(f"--workers {workers}: --twin connects two runs, not more")
        if 0 < self.total < workers:
            raise ConfigurationError(
                f"--workers {workers}: there are {self.total} calls to share (--total-calls)"
            )

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `asdict` gave, from JSON."""
        values = dict(plain)
        values["keys"] = tuple((name, value) for name, value in values["keys"])
        return cls(**values | {name: tuple(values[name]) for name in ("injections", "indexes")})


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """What a run without calls needs to know; `kind` is one of `softphone.load.workload`.

    `share` users have one connection, 0: all of them.  `event` is the event package that each
    subscribes to, with `expires` seconds asked for; of bindings, too, where it is not 0.
    `resumed` is the share of TLS handshakes that resume a session, `size` a message's octets.
    With `kept` users begin once, and stay to the end of the run.
    """

    kind: str
    kept: bool = False
    share: int = 1
    event: str = "message-summary"
    expires: int = 0
    resumed: float = 0.5
    size: int = 64

    def __post_init__(self) -> None:
        """Raises ConfigurationError."""
        if self.share < 0:
            raise ConfigurationError(f"{self.share} users a connection: expected 0 or more")
        if not 0 <= self.expires < 2**31:
            raise ConfigurationError(f"{self.expires} s until expiry: expected more than 0")
        if not 0.0 <= self.resumed <= 1.0:
            raise ConfigurationError(f"{100 * self.resumed:g} % resumed: expected 0 to 100 %")
        if not 24 <= self.size <= 60_000:
            raise ConfigurationError(f"messages of {self.size} octets: expected 24 to 60,000")


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """One run, or the share of worker `worker` among `workers`.

    `calls` is the most calls up at once, `rate` how many begin a second, `duration` the seconds
    that the load lasts once all `calls` have begun.  With `hold` None the scenario's own hold time
    applies.  `host` is the local address of signaling and media: None selects the one that leads to
    the server, NODE that of the worker's Ray node; {n} in it is the worker's number from 1 on.
    `scenario` is a name, or FILE.py:NAME.  `placement` says where the media loop runs: `inline`,
    beside the signaling, or in a `worker` process of its own.  `tolerate_late` is the share of our
    packets, in percent, that may leave more than a frame late before a run is invalid.  `sipp` is
    the SIPp scenario to run instead, which `scenario` then has the name of.  `workload` is a load
    without calls; `calls` are then the users, messages or handshakes at once, `rate` how many begin
    a second.  `watched`: messages of calls that fail are kept, and the load may be raised up to
    `most_calls` and `most_rate`.
    `hep` is the host and port of a Homer collector that gets a copy of the signaling, `otel` an
    OpenTelemetry collector that gets metrics, and a span of each call.  `tls_key_log` is the path
    of the file that all workers append the secrets of their TLS connections to.
    """

    scenario: str
    target: str | None
    base: BaseSpec
    users: tuple[UserSpec, ...]
    calls: int = 1
    rate: float = 10.0
    arrival: str = "constant"
    hold: str | None = None
    duration: float = 10.0
    seed: int = 1
    register_rate: float = 50.0
    sockets: str = "per-call"
    placement: str = "inline"
    ports: tuple[int, int] = (40000, 49999)
    host: str | None = None
    play: str | None = None
    checks: int = 8
    answer_timeout: float = 32.0
    tolerate_late: float = TOLERATE_LATE
    faults: FaultSpec = field(default_factory=FaultSpec)
    sipp: SippSpec | None = None
    workload: WorkloadSpec | None = None
    watched: bool = False
    hep: tuple[str, int] | None = None
    tls_key_log: str | None = None
    otel: OtelSpec | None = None
    worker: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        """Raises ConfigurationError."""
        if not 1 <= self.calls <= 1_000_000:
            raise ConfigurationError(f"{self.calls} calls: expected 1 to 1,000,000")
        if not 0 < self.duration < 1e7:
            raise ConfigurationError(f"a duration of {self.duration:g} s: expected more than 0")
        if not 0 < self.register_rate < 1e6:
            raise ConfigurationError("the rate of registrations is a number above 0")
        if not 0 < self.answer_timeout < 1e6:
            raise ConfigurationError(f"{self.answer_timeout:g} s to answer: expected more than 0")
        if self.checks < 0:
            raise ConfigurationError(f"{self.checks} calls to listen to: expected 0 or more")
        if not self.users:
            raise ConfigurationError("there is no user to call with")

    @property
    def has_media(self) -> bool:
        """Whether calls with media are measured: not of a SIPp scenario, nor without calls."""
        return self.sipp is None and self.workload is None

    @property
    def most_calls(self) -> int:
        """The most calls that may be up after a change: as far as the media ports go."""
        if not self.watched:
            return self.calls
        most = max(LEAST_MOST_CALLS, MOST_TIMES * self.calls)
        if self.sockets != "shared" and self.workload is None:
            first, last = self.ports
            most = min(most, (last - first) // (2 if self.target is not None else 4))
        return max(self.calls, most)

    @property
    def most_rate(self) -> float:
        """The most calls a second after a change."""
        return max(LEAST_MOST_RATE, MOST_TIMES * self.rate)

    def schedule(self) -> ArrivalProcess:
        """The arrivals of all workers together.  Raises ConfigurationError."""
        return parse_arrival(self.arrival, rate=self.rate, seed=self.seed)

    def holding_time(self, default: str) -> HoldingTime:
        """Parse `hold`, or `default` when it is None.  Raises ConfigurationError."""
        return parse_holding_time(self.hold or default, seed=self.seed)

    def shares(self, workers: int, nodes: Sequence[str] = ()) -> tuple[LoadPlan, ...]:
        """Cut the plan for `workers`.  Raises ConfigurationError when there is too little to cut.

        Pairs of a caller and its callee stay together.  `nodes` has the address of each worker's
        machine, where there are several; only workers that share an address share its ports.
        """
        pairs = [self.users[at : at + 2] for at in range(0, len(self.users), 2)]
        single = len(self.users) == 1
        most = self.calls if single else min(self.calls, len(pairs))
        if not 1 <= workers <= most:
            need = "a call" if single else "a call and a pair of users"
            raise ConfigurationError(
                f"--workers {workers}: each needs {need} of its own, and there are "
                f"{self.calls} calls and {len(self.users)} users: give 1 to {most}"
            )
        if self.sipp is not None and workers > 1:
            self.sipp.check_workers(workers)
        machines = [nodes[number] if nodes else "" for number in range(workers)]
        hosts = [_host_of(self.host, number + 1, each) for number, each in enumerate(machines)]
        places = list(zip(machines, hosts, strict=True))
        return tuple(
            replace(
                self,
                users=self.users
                if single
                else tuple(user for pair in pairs[number::workers] for user in pair),
                calls=len(range(number, self.calls, workers)),
                register_rate=self.register_rate / workers,
                sipp=_part_of_total(self.sipp, number, workers),
                ports=_part(self.ports, places[:number].count(place), places.count(place)),
                host=place[1],
                worker=number,
                workers=workers,
            )
            for number, place in enumerate(places)
        )

    def to_plain(self) -> dict[str, Any]:
        """The plan as JSON values, for `from_plain`."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return found | {
            "base": asdict(self.base),
            "faults": asdict(self.faults),
            "sipp": None if self.sipp is None else asdict(self.sipp),
            "workload": None if self.workload is None else asdict(self.workload),
            "otel": None if self.otel is None else asdict(self.otel),
            "users": [user.to_plain() for user in self.users],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_plain` gave."""
        base = dict(plain["base"])
        base.update({name: tuple(base[name]) for name in ("ca", "suites", "codecs")})
        values = dict(plain)
        values["base"] = BaseSpec(**base)
        values["faults"] = FaultSpec(**plain["faults"])
        sipp = plain["sipp"]
        values["sipp"] = None if sipp is None else SippSpec.from_plain(sipp)
        workload = plain["workload"]
        values["workload"] = None if workload is None else WorkloadSpec(**workload)
        values["users"] = tuple(UserSpec.from_plain(user) for user in plain["users"])
        values["ports"] = tuple(plain["ports"])
        otel = plain["otel"]
        values["otel"] = None if otel is None else OtelSpec.from_plain(otel)
        values["hep"] = None if plain["hep"] is None else tuple(plain["hep"])
        return cls(**values)


def base_account(plan: LoadPlan) -> AccountConfig:
    """Make the account that all users share.  Raises ConfigurationError."""
    spec = plan.base
    if spec.account is not None:
        config = load_account(spec.account).config
    else:
        config = _made(spec, plan.users[0])
    if not spec.registers and config.registrar is not None:
        proxy = config.outbound_proxy or config.registrar
        config = replace(config, registrar=None, outbound_proxy=proxy)
    if plan.tls_key_log is not None:
        config = replace(config, tls=replace(config.tls, key_log=plan.tls_key_log))
    changes: dict[str, object] = {}
    if spec.srtp is not None:
        try:
            changes["srtp"] = SrtpPolicy(spec.srtp)
        except ValueError:
            raise ConfigurationError(
                f"srtp {spec.srtp!r}: expected required, optional or off"
            ) from None
    if spec.suites:
        changes["suites"] = tuple(_suite(name) for name in spec.suites)
    if spec.codecs:
        changes["codecs"] = tuple(name.upper() for name in spec.codecs)
    # The run has its own media engine, which allocates the plan's ports.
    return config.with_media(ports=None, **changes)


def _host_of(host: str | None, number: int, node: str) -> str | None:
    """The local address of one worker.  Raises ConfigurationError for a faulty template."""
    if host is None or host == NODE:
        # Without nodes there is one machine: use the address that leads to the server.
        return None if host is None else node or None
    try:
        return str(ip_address(host.format(n=number).strip("[]")))
    except (ValueError, KeyError, IndexError, AttributeError):
        raise ConfigurationError(
            f"--host {host}: expected an address, in which {{n}} is a worker's number, or {NODE}"
        ) from None


def _part_of_total(sipp: SippSpec | None, number: int, of: int) -> SippSpec | None:
    """A SIPp scenario with the share of its calls that worker `number` of `of` runs."""
    if sipp is None or not sipp.total:
        return sipp
    return replace(sipp, total=len(range(number, sipp.total, of)))


def _part(ports: tuple[int, int], number: int, of: int) -> tuple[int, int]:
    """Part `number` of `of` parts of a port range, each of whole pairs."""
    first, last = ports
    part_size = (last - first + 1) // of & ~1
    return first + number * part_size, first + (number + 1) * part_size - 1


def _made(spec: BaseSpec, first: UserSpec) -> AccountConfig:
    if spec.server is None:
        raise ConfigurationError("give an account file, or a registrar, to call with")
    if not first.aor.lower().startswith(("sip:", "sips:")):
        raise ConfigurationError(f"user {first.aor!r}: give a domain, as in sip:{first.aor}@…")
    tls = TlsConfig(
        ca=tuple(Path(name) for name in spec.ca if name != "system"),
        system="system" in spec.ca,
        pin=spec.pin,
        server_name=spec.server_name,
    )
    return AccountConfig(
        aor=first.aor,
        registrar=spec.server if spec.registers else None,
        outbound_proxy=None if spec.registers else spec.server,
        tls=tls,
    )


def _suite(name: str) -> CryptoSuite:
    try:
        return CryptoSuite(name)
    except ValueError:
        known = ", ".join(suite.value for suite in CryptoSuite)
        raise ConfigurationError(f"suite {name!r} is unknown; known are {known}") from None
