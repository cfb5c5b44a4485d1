"""Runs a discovery: records, home cluster, user, devices, service profile, configuration.

Reports each step as it ends, with the reason for what follows from it.  The first record that has
servers decides whether the user is inside; if none of its servers can be reached, the next record
is tried.  Edge servers, and IM and Presence servers, are verified and sent nothing;
`softphone.edge` signs in at the former, and goes on here through its tunnel.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar
from urllib.parse import quote, urlsplit

from softphone.discovery.cache import CachedDiscovery, DiscoveryCache
from softphone.discovery.config import DiscoveryConfig
from softphone.discovery.credential_gate import AskConfirmation, CredentialGate
from softphone.discovery.credential_rule import CredentialRule, names_domain
from softphone.discovery.document import (
    ClusterUser,
    ServiceProfile,
    UdsUser,
    UserDevice,
    parse_cluster_user,
    parse_devices,
    parse_servers,
    parse_service_profile,
    parse_user,
)
from softphone.discovery.jabber_config import JabberConfig, parse_jabber_config
from softphone.discovery.records import (
    RECORD_ORDER,
    RecordAnswer,
    ServicePath,
    ServiceRecord,
    ServiceTarget,
    choose_path,
    excluded_records,
    question_of,
    read_answer,
)
from softphone.discovery.result import DiscoveryResult, DiscoveryStep, StepOutcome
from softphone.discovery.server_requests import (
    FetchedDocument,
    NoServerAnswered,
    ServerAnswer,
    ServerRequests,
)
from softphone.errors import (
    DiscoveryError,
    DiscoveryRefused,
    IdentityMismatch,
    TransportError,
)
from softphone.net import DnsResolver, run_by_size
from softphone.net.http import HttpsEnvironment, HttpsTunnel
from softphone.net.stream import Fetcher
from softphone.sans_io import Entropy
from softphone.trust.fips import random_bytes

OnDiscoveryStep: TypeAlias = Callable[[DiscoveryStep], None]
"""Called with each step, once it has ended."""
_Found: TypeAlias = dict[ServiceRecord, tuple[ServiceTarget, ...]]
_FIRST = ServiceRecord.CISCO_UDS
T = TypeVar("T")


def _no_step(_: DiscoveryStep) -> None:
    return None


@dataclass(frozen=True, slots=True)
class DiscoveryEnvironment:
    """The dependencies of a discovery.

    `fetcher` fetches CRLs and OCSP responses, None makes one.  `confirm` is asked about a server
    that `CredentialRule` does not allow; without it such a server gets no credentials.  `wall`
    gives the seconds since 1970.  A `tunnel` carries the requests of `discover_inside`.
    """

    resolver: DnsResolver
    fetcher: Fetcher | None = None
    cache: DiscoveryCache | None = None
    confirm: AskConfirmation | None = None
    on_step: OnDiscoveryStep = _no_step
    entropy: Entropy = random_bytes
    wall: Callable[[], float] = time.time
    tunnel: HttpsTunnel | None = None


@dataclass(frozen=True, slots=True)
class _ReadFile(Generic[T]):
    """A file and its parsed content, None if its server has no such file."""

    file: FetchedDocument
    content: T | None


class ServiceDiscovery:
    """The discovery of one user's services; `discover` may be called again."""

    def __init__(self, config: DiscoveryConfig, environment: DiscoveryEnvironment) -> None:
        """Raises ConfigurationError when the cache cannot be read."""
        self._config = config
        self._environment = environment
        cache = environment.cache
        self._kept = CachedDiscovery() if cache is None else cache.load(config.address)
        self._rule = CredentialRule(config.domains, self._kept.confirmed)
        https = HttpsEnvironment(
            environment.resolver.resolve, fetcher=environment.fetcher, tunnel=environment.tunnel
        )
        self.gate = CredentialGate(self._rule, environment.confirm, self._keep_confirmed)
        """Judges the servers that may get the user's credentials, those of other services, too."""
        self._servers = ServerRequests(config, self.gate, https, self._skipped)

    async def discover(self) -> DiscoveryResult:
        """Find the user's services.

        Raises DiscoveryError or a subclass: nothing found, user or password refused, credentials
        withheld; TransportError when no server answers; CertificateError or CipherRefused for a
        server that did not pass the gate.
        """
        found, fresh = await self._ask_records()
        result = await self._follow(found)
        wall = self._environment.wall()
        kept = replace(self._kept, records=found, taken=wall if fresh else self._kept.taken)
        self._store_with_settings(kept, result.config)
        return result

    async def discover_inside(
        self, result: DiscoveryResult, targets: Sequence[ServiceTarget]
    ) -> DiscoveryResult:
        """Complete the result of a discovery outside, at these UDS servers through the tunnel.

        Raises what `discover` raises, and what the tunnel raises.
        """
        inside = await self._follow_inside(result, targets)
        self._store_with_settings(self._kept, inside.config)
        return inside

    def _store_with_settings(self, kept: CachedDiscovery, config: JabberConfig | None) -> None:
        wall = self._environment.wall()
        if config is not None and not config.kept:
            kept = replace(kept, settings=config.settings, config_url=config.url, config_taken=wall)
        self._store(kept)

    # Records

    async def _ask_records(self) -> tuple[_Found, bool]:
        """Return the servers of each record, and whether they are DNS answers, not stored ones."""
        config = self._config
        domain = config.asked_domain
        self._tell("domain", StepOutcome.CHOSEN, domain, _domain_reason(config))
        left_out = excluded_records(config.excluded)
        asked = [record for record in RECORD_ORDER if record not in left_out]
        if not asked:
            raise DiscoveryError("every service is excluded: there is nothing to discover")
        async with asyncio.TaskGroup() as group:
            tasks = {record: group.create_task(self._query(record, domain)) for record in asked}
        answers = {record: task.result() for record, task in tasks.items()}
        found: _Found = {}
        for record in RECORD_ORDER:
            if record in answers:
                found[record] = self._tell_record(record, domain, answers[record])
            else:
                self._tell(record.value, StepOutcome.LEFT_OUT, "", "the service is excluded")
        failures = [each for each in answers.values() if isinstance(each, TransportError)]
        if len(failures) < len(answers):
            return found, True
        return self._kept_records(failures[0], left_out), False

    async def _query(self, record: ServiceRecord, domain: str) -> RecordAnswer | TransportError:
        try:
            records = await self._environment.resolver.query(question_of(record, domain))
        except TransportError as error:
            return error
        return read_answer(records, self._environment.entropy)

    def _tell_record(
        self, record: ServiceRecord, domain: str, answer: RecordAnswer | TransportError
    ) -> tuple[ServiceTarget, ...]:
        name = question_of(record, domain).name
        if isinstance(answer, TransportError):
            self._tell(name, StepOutcome.FAILED, str(answer), "this is taken as no answer")
            return ()
        for each in answer.unusable:
            why = "servers are configured by their full names, which certificates can name"
            self._tell(name, StepOutcome.LEFT_OUT, each, why)
        outcome = StepOutcome.FOUND if answer.targets else StepOutcome.NOTHING
        means = "these servers mean" if answer.targets else "no usable server; one would mean"
        shown = ", ".join(map(str, answer.targets))
        self._tell(name, outcome, shown, f"{means}: {RECORD_ORDER[record]}")
        return answer.targets

    def _kept_records(self, failure: TransportError, left_out: frozenset[ServiceRecord]) -> _Found:
        """Return the servers of an earlier discovery.  Raises `failure` when there are none."""
        kept = self._kept
        if not kept.valid_at(self._environment.wall()) or not kept.records:
            raise failure
        found = {each: kept.records[each] for each in kept.records if each not in left_out}
        shown = ", ".join(str(target) for targets in found.values() for target in targets)
        why = "DNS is silent; these are of an earlier discovery, and verified like any other"
        self._tell("cache", StepOutcome.FOUND, shown, why)
        return found

    # Paths

    async def _follow(self, found: _Found) -> DiscoveryResult:
        """Follow the first record with a server that answers.  Raises NoServerAnswered."""
        remaining = dict(found)
        while (path := choose_path(remaining)) is not ServicePath.NONE:
            record = next(each for each, means in RECORD_ORDER.items() if means is path)
            targets = remaining.pop(record)
            why = f"{record.value} is the first record with servers"
            self._tell("decision", StepOutcome.CHOSEN, path, why)
            result = DiscoveryResult(self._config.address, path, dict(found))
            try:
                if path is ServicePath.UDS:
                    return await self._follow_inside(result, targets)
                return await self._verify_only(result, record, targets)
            except NoServerAnswered as error:
                last = choose_path(remaining) is ServicePath.NONE
                if last or not self._config.next_record:
                    raise
                why = "all servers of a record are tried before the next record is followed"
                self._tell(record.value, StepOutcome.FAILED, str(error), why)
        self._tell("decision", StepOutcome.NOTHING, ServicePath.NONE, "no record has a server")
        raise DiscoveryError(
            f"{self._config.asked_domain} names no server: neither {_names(RECORD_ORDER)}"
        )

    async def _verify_only(
        self, result: DiscoveryResult, record: ServiceRecord, targets: Sequence[ServiceTarget]
    ) -> DiscoveryResult:
        """Verify the first edge or IM and Presence server that answers; send it nothing."""
        failures: list[str] = []
        for target in targets:
            try:
                identity = await self._servers.identify(target)
            except TransportError as error:
                failures.append(str(error))
                self._skipped(target, str(error))
                continue
            domain = self._config.asked_domain
            edge = record is ServiceRecord.COLLAB_EDGE
            if edge and not names_domain(identity, domain, record):
                raise IdentityMismatch(
                    f"the certificate of {target} does not name {domain}, as that of an edge server"
                    f" has to: as dNSName, or as SRVName {record.value}.{domain}"
                )
            why = f"its certificate names it{f', and {domain}' if edge else ''}; nothing was sent"
            self._tell("server", StepOutcome.FOUND, str(target), why)
            if edge:
                return replace(result, edge=target)
            return replace(result, nodes=(target,), config=self._kept_configuration())
        raise NoServerAnswered("; ".join(failures))

    async def _follow_inside(
        self, result: DiscoveryResult, targets: Sequence[ServiceTarget]
    ) -> DiscoveryResult:
        answer, cluster = await self._find_home(targets)
        home = cluster.home or answer.target
        name = self._name_from(answer, cluster)
        nodes = await self._nodes(home, answer.target)
        result = replace(result, home=home, nodes=nodes)
        if not self._config.has_credentials:
            why = "neither password nor token was given: user, devices and configuration need one"
            self._tell("user", StepOutcome.LEFT_OUT, name, why)
            return result
        path = f"/cucm-uds/user/{quote(name, safe='')}"
        answer = await self._servers.ask_as(name, nodes, path)
        user = await self._read(answer, parse_user)
        self._tell("user", StepOutcome.FOUND, _user_text(user), self._reason_of_credentials(answer))
        answer = await self._servers.ask_as(name, nodes, f"{path}/devices")
        devices = await self._read(answer, parse_devices)
        self._tell_devices(answer.target, devices)
        profile = await self._profile(user)
        config = await self._configuration(user)
        return replace(result, user=user, devices=devices, profile=profile, config=config)

    # Inside

    async def _find_home(
        self, targets: Sequence[ServiceTarget]
    ) -> tuple[ServerAnswer, ClusterUser]:
        """Ask for the home cluster: by user name if that is configured, else by mail address.

        If no user has the mail address, its local part is asked for as a user name.
        """
        config = self._config
        asked = [("username", config.name)]
        if config.user is None:
            asked.insert(0, ("email", config.address))
        for key, value in asked:
            path = f"/cucm-uds/clusterUser?{key}={quote(value, safe='@')}"
            answer = await self._servers.ask(targets, path)
            cluster = await self._read(answer, parse_cluster_user)
            where = cluster.home or answer.target
            if cluster.found:
                why = f"{answer.target} says so, asked by {key}"
                self._tell("home cluster", StepOutcome.FOUND, str(where), why)
                return answer, cluster
            self._tell(
                "home cluster", StepOutcome.NOTHING, value, f"{answer.target} has no such {key}"
            )
        raise DiscoveryRefused(f"no cluster knows {config.address}, nor the user {config.name}")

    def _name_from(self, answer: ServerAnswer, cluster: ClusterUser) -> str:
        """Return the user's ID: that of the answer only if its server may have credentials.

        Any other server could make us send our password under another user's name.
        """
        given, name = cluster.user_id, self._config.name
        if not given or given == name or self._config.user is not None or answer.identity is None:
            return name
        if self._rule.reason(answer.target, answer.identity, _FIRST) is None or ":" in given:
            return name
        self._tell("user name", StepOutcome.FOUND, given, f"{answer.target} tells this user's ID")
        return given

    async def _nodes(
        self, home: ServiceTarget, answering: ServiceTarget
    ) -> tuple[ServiceTarget, ...]:
        """Return the servers of the home cluster, the home server first.

        If the home server does not answer, the one that named it is asked; its list is taken if the
        home server is in it.
        """
        failure = ""
        for target in dict.fromkeys((home, answering)):
            try:
                answer = await self._servers.ask([target], "/cucm-uds/servers")
                listed = await self._read(answer, parse_servers, home.port)
            except (NoServerAnswered, DiscoveryError) as error:
                failure = failure or str(error)
                continue
            if target != home and home not in listed:
                continue
            nodes = tuple(dict.fromkeys((home, *listed)))
            why = f"{target} lists the servers of its cluster; one is asked while it answers"
            self._tell("servers", StepOutcome.FOUND, ", ".join(map(str, nodes)), why)
            return nodes
        self._tell("servers", StepOutcome.FAILED, failure, "only the home server is asked")
        return (home,)

    def _reason_of_credentials(self, answer: ServerAnswer) -> str:
        if answer.identity is None:
            return ""
        reason = self._rule.reason(answer.target, answer.identity, _FIRST)
        return f"credentials went to {answer.target}: {reason}"

    def _tell_devices(self, server: ServiceTarget, devices: Sequence[UserDevice]) -> None:
        outcome = StepOutcome.FOUND if devices else StepOutcome.NOTHING
        meaning = "the user may register these" if devices else "the user has none to register"
        shown = ", ".join(each.name for each in devices)
        self._tell("devices", outcome, shown, f"{server} says so: {meaning}")

    # Files

    async def _profile(self, user: UdsUser) -> ServiceProfile | None:
        if not user.service_profile:
            self._tell("service profile", StepOutcome.NOTHING, "", "the user has none")
            return None
        uri = user.service_profile
        found = await self._file("service profile", uri, parse_service_profile)
        if found is None or found.content is None:
            return None
        profile = found.content
        detail = f"{found.file.url}: {len(profile.servers)} servers"
        self._tell("service profile", StepOutcome.FOUND, detail, _file_reason(found.file))
        return profile

    async def _configuration(self, user: UdsUser) -> JabberConfig | None:
        """Fetch the configuration file from the file service that the service profile is on."""
        name = self._config.config_file
        if not user.service_profile:
            self._tell(name, StepOutcome.LEFT_OUT, "", "no service profile names a file service")
            return self._kept_configuration()
        parts = urlsplit(user.service_profile)
        uri = f"{parts.scheme}://{parts.netloc}/{quote(name)}"
        found = await self._file(name, uri, parse_jabber_config)
        if found is None:
            return self._kept_configuration()
        file = found.file
        if found.content is None:
            # A verified server no longer has the file: the stored settings are dropped, too.
            return JabberConfig((), file.url, verified=True)
        config = replace(
            found.content, url=file.url, verified=file.verified, fingerprint=file.fingerprint
        )
        detail = f"{file.url}: {len(config.settings)} settings"
        self._tell(name, StepOutcome.FOUND, detail, _file_reason(file))
        return config

    async def _file(self, name: str, uri: str, parse: Callable[[bytes], T]) -> _ReadFile[T] | None:
        """Fetch and parse a file; None, after a step that says why, when that fails.

        Its content is None if a verified server has no such file.
        """
        try:
            file = await self._servers.fetch_file(uri)
            if file is not None:
                return _ReadFile(file, await run_by_size(len(file.body), parse, file.body))
        except (TransportError, DiscoveryError) as error:
            self._tell(name, StepOutcome.FAILED, uri, str(error))
            return None
        self._tell(name, StepOutcome.NOTHING, uri, "its server has no such file")
        return _ReadFile(FetchedDocument(uri, b"", True), None)

    def _kept_configuration(self) -> JabberConfig | None:
        """Return the settings of an earlier file: what made the client stricter stays so."""
        config = self._kept.configuration(self._environment.wall())
        if config is not None:
            why = "of an earlier discovery: they make the client stricter at most"
            self._tell("cache", StepOutcome.FOUND, f"{len(config.settings)} settings", why)
        return config

    # What is kept

    def _skipped(self, target: ServiceTarget, failure: str) -> None:
        self._tell("server", StepOutcome.FAILED, str(target), failure)

    def _keep_confirmed(self, target: ServiceTarget) -> None:
        self._tell("confirmation", StepOutcome.FOUND, str(target), "it may have credentials")
        self._store(replace(self._kept, confirmed=self._rule.confirmed))

    def _store(self, found: CachedDiscovery) -> None:
        self._kept = found
        if self._environment.cache is not None:
            self._environment.cache.store(self._config.address, found)

    async def _read(self, answer: ServerAnswer, parse: Callable[..., T], *arguments: object) -> T:
        return await run_by_size(len(answer.body), parse, answer.body, *arguments)

    def _tell(self, name: str, outcome: StepOutcome, detail: str, why: str) -> None:
        self._environment.on_step(DiscoveryStep(name, outcome, str(detail), why))


def _domain_reason(config: DiscoveryConfig) -> str:
    if config.voice_domain is not None:
        return "it is configured as the voice services domain"
    if config.services_domain is not None:
        return "it is configured as the services domain"
    return "it is the domain of the mail address"


def _names(records: Mapping[ServiceRecord, ServicePath]) -> str:
    return " nor ".join(record.value for record in records)


def _user_text(user: UdsUser) -> str:
    shown = (user.display_name, user.number, user.directory_uri or user.email)
    return ", ".join(filter(None, (user.user_id, *shown)))


def _file_reason(file: FetchedDocument) -> str:
    if file.verified:
        return "over verified TLS; nobody signs it"
    return "in clear: anybody on the path can have written it"
