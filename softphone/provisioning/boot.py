"""Boots a Cisco device: from its name to a verified configuration.

    trust lists, configuration, enrollment where asked for, then lists and configuration again

Each step is verified before the next one starts, and stored atomically: run an interrupted boot
again.  Registration follows in `Phone.boot`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.net import DriverConfig
from softphone.net.verified import TvsAsker
from softphone.provisioning.boot_step import BootStep, OnBootStep, StepKind
from softphone.provisioning.capf_enrollment import EnrollmentPlan, enroll
from softphone.provisioning.config_document import ConfigDocument
from softphone.provisioning.config_fetch import ConfigFetch, plain_is_due
from softphone.provisioning.config_store import ConfigStore
from softphone.provisioning.device_config import DeviceConfig, TvsEndpoint
from softphone.provisioning.enrollment_decision import (
    AuthenticationStringNeeded,
    EnrollmentAction,
    EnrollmentDecision,
    EnrollmentNeeded,
    EnrollmentSituation,
    certificate_hash,
    decide_enrollment,
)
from softphone.provisioning.fetch_error import FileMissing
from softphone.provisioning.file_client import FailoverFileClient, FileClient
from softphone.provisioning.file_name import check_device
from softphone.provisioning.listed_tls_settings import HttpsTrust, listed_settings
from softphone.provisioning.trust_list_fetch import TrustListFetch
from softphone.sans_io import Address, Entropy
from softphone.security import KeyMaterial
from softphone.trust import (
    Bootstrap,
    CapfOperation,
    CapfRequest,
    FileRefusalReason,
    FileRefused,
    Identity,
    IdentityStore,
    Service,
    TrustLists,
    TrustListStore,
)
from softphone.trust.fips import random_bytes
from softphone.trust.lists import device_key
from softphone.trust.tvs import tvs_device_name
from softphone.trust.verification import AskTvs

_BY_CERTIFICATE = (3, 4)
_TVS_PATIENCE = 10.0
_CSF = 503
_PRODUCTS = {"CSF": _CSF, "TCT": 562, "BOT": 575, "TAB": 652, "SEP": 0}
"""Product numbers by the first letters of a device's name; SEP is the prefix of many products."""
_PAUSES = (1.0, 2.0, 4.0, 5.0)
"""Seconds before each retry for a configuration that is not there yet; the last repeats."""


@dataclass(frozen=True, slots=True)
class BootPlan:
    """Which device boots, from which servers, and how to trust its first trust list.

    `store` is the folder of trust lists, identities and configurations; `string` the
    authentication string of an enrollment, `passphrase` that of the device's key; `model` the
    product number that is sent to servers (503 is a CSF soft phone), None to derive it from the
    name.  `take_over` is for the registration that follows: it ends the registration of another
    client of the same device, whose user has agreed.  After an enrollment the server makes the
    configuration again for the new certificate, so it is asked for during `patience` seconds.
    """

    device: str
    servers: Sequence[FileClient]
    store: str | os.PathLike[str]
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    string: KeyMaterial | None = None
    passphrase: KeyMaterial | None = None
    web: HttpsTrust = field(default_factory=HttpsTrust)
    """The trust settings of the HTTPS servers among `servers`; a boot updates its lists."""
    model: int | None = None
    take_over: bool = False
    patience: float = 60.0
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep
    driver: DriverConfig = field(default_factory=DriverConfig)
    entropy: Entropy = random_bytes

    @property
    def product(self) -> int:
        """The product number to register with: `model`, else by the name, else 503 (CSF)."""
        return self.model or _PRODUCTS.get(self.device[:3].upper()) or _CSF


@dataclass(frozen=True, slots=True)
class Booted:
    """A booted device, ready to register: its configuration, identity and trust lists."""

    device: str
    configuration: ConfigDocument
    lists: TrustLists
    identity: Identity | None
    store: Path
    tvs: AskTvs | None = None
    """Asks the cluster's TVS about servers that the lists do not name."""
    passphrase: KeyMaterial | None = None
    installation: str | None = None
    """Twelve hex digits, the same at every boot from this store."""

    @property
    def config(self) -> DeviceConfig:
        """The parsed configuration."""
        return self.configuration.config


async def boot_device(plan: BootPlan, on_step: OnBootStep = lambda step: None) -> Booted:
    """Boot a device, as a phone does before it registers; calls `on_step` for each step.

    Raises TrustRefused (a list or file is not trusted), CertificateError, CapfError,
    TransportError (no server answers and no configuration is stored, or FileMissing),
    EnrollmentNeeded (the authentication string is missing, say), ConfigurationError (the store
    cannot be used).
    """
    return await _Boot(plan, on_step).run()


class _Boot:
    """One boot of one device."""

    def __init__(self, plan: BootPlan, tell: OnBootStep) -> None:
        check_device(plan.device)
        if plan.bootstrap.verified_server and not all(
            each.address.startswith("https://") for each in plan.servers
        ):
            raise ConfigurationError(
                "a list that is trusted for its server is fetched over HTTPS only: name no other"
                " server (Bootstrap.verified_server)"
            )
        CapfRequest(plan.device, string=plan.string)  # raises now rather than at the CAPF server
        self._plan = plan
        self._tell = tell
        self._identities = IdentityStore(plan.store, passphrase=plan.passphrase)
        self._servers = FailoverFileClient(plan.servers)
        self._lists = TrustListStore(plan.store)
        self._configs = ConfigStore(plan.store)
        self._fetch = ConfigFetch(plan.device, self._servers, self._configs, tell)
        self._enrolled = False
        self._not_pending = ""  # a sentence, after CAPF had no operation for the device
        self._patience = 0.0  # seconds left to wait; set after an enrollment
        self._tvs: tuple[TvsEndpoint, ...] = ()

    async def run(self) -> Booted:
        """Run all steps, again from the trust lists after an enrollment."""
        while True:
            lists = await self._renewed()
            found = await self._configuration(lists)
            if found is not None:
                break
        self._fetch.store_last_good(found)
        identity = self._identities.load(self._plan.device)
        self._tell(BootStep(StepKind.READY, _ready(found, identity), found.name))
        tvs = self._asker(lists) if self._tvs else None
        plan = self._plan
        return Booted(
            device=plan.device,
            configuration=found,
            lists=lists,
            identity=identity,
            store=Path(plan.store),
            tvs=tvs,
            passphrase=plan.passphrase,
            installation=self._configs.installation(plan.device, plan.entropy),
        )

    async def _renewed(self) -> TrustLists:
        # In threads: a store waits for its lock, and lists may be long.
        held = await asyncio.to_thread(self._lists.held)
        self._tvs = self._tvs or await asyncio.to_thread(self._remembered, held)
        tvs = self._asker(held)
        self._plan.web.replace_lists(held, tvs)

        async def confirm(data: bytes) -> frozenset[bytes]:
            return await tvs.find_list_signers([data], within=_TVS_PATIENCE)

        renewal = TrustListFetch(
            self._plan.device,
            self._servers,
            self._lists,
            self._tell,
            self._plan.bootstrap,
            confirm,
        )
        lists = await renewal.fetch_lists(wall=self._wall())
        tvs.replace_lists(lists)
        self._plan.web.replace_lists(lists, tvs)
        if plain_is_due(lists):
            why = "there is no trust list" if lists == TrustLists() else "protection is off"
            sentence = f"{why}: files are taken in clear, and only for a device that is not secure"
            self._tell(BootStep(StepKind.UNPROTECTED, sentence))
        return lists

    def _remembered(self, lists: TrustLists) -> tuple[TvsEndpoint, ...]:
        """The TVS servers of the last good configuration."""
        try:
            config = self._fetch.load_last_good(lists, self._known())
        except FileRefused:
            return ()  # the refusal is reported when that configuration is needed
        return () if config is None else config.tvs

    def _asker(self, lists: TrustLists) -> TvsAsker:
        plan = self._plan
        known = _PRODUCTS.get(plan.device[:3].upper(), 0) if plan.model is None else plan.model
        # A boot that does not ask TVS writes no installation file.
        digits = self._configs.installation(plan.device, plan.entropy) if self._tvs else ""
        return TvsAsker(
            [(each.host, each.port) for each in self._tvs],
            lists,
            device_name=tvs_device_name(plan.device, known, digits),
            entropy=plan.entropy,
            config=plan.driver,
        )

    async def _configuration(self, lists: TrustLists) -> ConfigDocument | None:
        """Fetch the full configuration, enrolling if needed; None after an enrollment."""
        found = await self._patiently(lambda: self._fetch.fetch_config(lists, self._known()))
        self._tvs = found.config.tvs or self._tvs
        if found.kept:
            return found  # no server answers, so neither enroll nor fetch
        decision = decide_enrollment(found.config, self._situation())
        if decision.action is EnrollmentAction.FETCH_SEALED:
            try:
                sealed = await self._patiently(
                    lambda: self._fetch.fetch_encrypted_config(lists, self._known())
                )
            except FileRefused as exc:
                if exc.refusal is not FileRefusalReason.CANNOT_DECRYPT or self._enrolled:
                    raise
                decision = decide_enrollment(found.config, self._situation(sealed_failed=True))
                if decision.action is EnrollmentAction.FETCH_SEALED:
                    raise
            else:
                self._warn_of_string(decision, found.config)
                return sealed
        if decision.action is EnrollmentAction.ENROLL:
            await self._enroll(found.config, lists, decision)
            return None
        if decision.action is EnrollmentAction.ASK:
            raise AuthenticationStringNeeded(
                f"{self._plan.device}: {decision.why}: give it as BootPlan.string"
            )
        self._warn_of_string(decision, found.config)
        return found

    async def _patiently(self, fetch: Callable[[], Awaitable[ConfigDocument]]) -> ConfigDocument:
        """Call `fetch`, and after an enrollment retry it while the server is behind.

        The server has not caught up with the new certificate while the file is missing, or is
        still encrypted to another one.  Raises what `fetch` raises once `patience` is used up.
        """
        pauses = iter(_PAUSES)
        while True:
            try:
                return await fetch()
            except (FileMissing, FileRefused) as exc:
                refusal = getattr(exc, "refusal", None)
                if self._not_pending and refusal is FileRefusalReason.CANNOT_DECRYPT:
                    raise EnrollmentNeeded(
                        f"{self._not_pending}, and the configuration is encrypted: ask the"
                        " administrator to set the certificate operation again, with a new"
                        " authentication string"
                    ) from exc
                if self._patience <= 0.0 or not (
                    isinstance(exc, FileMissing) or self._is_for_another_key(exc)
                ):
                    raise
                pause = min(next(pauses, _PAUSES[-1]), self._patience)
                sentence = (
                    f"the server has no configuration for the new certificate yet: it is asked"
                    f" again in {pause:g} s, for {self._patience:g} s at most ({exc})"
                )
                self._tell(BootStep(StepKind.CONFIGURATION_AWAITED, sentence))
                self._patience -= pause
                await self._plan.wait(pause)

    def _is_for_another_key(self, error: FileRefused) -> bool:
        """Whether a file cannot be decrypted although the device has an RSA key."""
        keys = (device_key(each.key) for each in self._known())
        return error.refusal is FileRefusalReason.CANNOT_DECRYPT and any(keys)

    def _warn_of_string(self, decision: EnrollmentDecision, config: DeviceConfig) -> None:
        if config.capf_auth_mode == 1 and not self._enrolled:
            self._tell(BootStep(StepKind.STRING_WANTED, f"{self._plan.device}: {decision.why}"))

    def _known(self) -> tuple[Identity, ...]:
        """The identities that files may be encrypted to: the current and the previous one."""
        device = self._plan.device
        found = (self._identities.load(device), self._identities.previous(device))
        return tuple(each for each in found if each is not None)

    def _situation(self, *, sealed_failed: bool = False) -> EnrollmentSituation:
        identity = self._identities.load(self._plan.device)
        return EnrollmentSituation(
            local_hash="" if identity is None else certificate_hash(identity.der),
            string=self._plan.string is not None,
            enrolled=self._enrolled,
            sealed_failed=sealed_failed,
        )

    async def _enroll(
        self, config: DeviceConfig, lists: TrustLists, decision: EnrollmentDecision
    ) -> None:
        device = self._plan.device
        places = tuple((each.host, each.port) for each in config.capf)
        if not places:
            raise EnrollmentNeeded(
                f"{device}: {decision.why}, and the configuration names no CAPF server"
            )
        tls = listed_settings(lists, Service.CAPF, self._asker(lists) if self._tvs else None)
        place = f"{places[0][0]} port {places[0][1]}"
        self._tell(BootStep(StepKind.ENROLLING, f"enrolling at {place}: {decision.why}"))
        request = self._request(config)
        plan = EnrollmentPlan(places, tls, driver=self._plan.driver)

        def tell(sentence: str) -> None:
            self._tell(BootStep(StepKind.ENROLLMENT_PROGRESS, sentence))

        done = await enroll(request, plan, self._identities, on_progress=tell)
        self._enrolled = True
        if done.operation is CapfOperation.INSTALL:
            self._patience = self._plan.patience
        self._tell(self._outcome(done.operation, done.server, done.warnings))

    def _request(self, config: DeviceConfig) -> CapfRequest:
        device = self._plan.device
        current = self._identities.load(device)
        shows = config.capf_auth_mode in _BY_CERTIFICATE
        if shows and current is None:
            raise EnrollmentNeeded(
                f"{device} is to enroll by its certificate, and has none: have the administrator"
                " set an authentication string instead"
            )
        return CapfRequest(
            device,
            string=None if shows else self._plan.string,
            identity=current if shows else None,
            current=None if current is None else current.der,
        )

    def _outcome(
        self, operation: CapfOperation, server: Address, warnings: tuple[str, ...]
    ) -> BootStep:
        identity = self._identities.load(self._plan.device)
        place = f"{server[0]} port {server[1]}"
        if operation is CapfOperation.NONE or identity is None:
            sentence = f"CAPF at {place} has nothing pending for {self._plan.device}"
            self._not_pending = sentence
            return BootStep(StepKind.ENROLLED, sentence, place=place, notes=warnings)
        until = f"{identity.certificate.not_valid_after_utc:%F}"
        sentence = (
            f"CAPF at {place}, whom the trust list names, issued our certificate, valid until"
            f" {until}"
        )
        return BootStep(StepKind.ENROLLED, sentence, place=place, notes=warnings)

    def _wall(self) -> datetime:
        return self._plan.driver.wall().astimezone(UTC)


def _ready(found: ConfigDocument, identity: Identity | None) -> str:
    config = found.config
    servers = ", ".join(each.host for each in config.call_managers)
    mode = {1: "not secure", 2: "authenticated", 3: "encrypted"}[config.security_mode]
    shown = "with its certificate" if identity is not None else "without a certificate"
    lines = ", ".join(line.name for line in config.lines)
    return f"the device is {mode} {shown}; lines {lines}; call servers {servers}"
