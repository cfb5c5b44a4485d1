"""Derives the settings of TLS, digest, driver, endpoint and registration from a configuration."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from softphone.config import AccountConfig, CredentialConfig, LimitsConfig
from softphone.config.tls import credential_of, server_credential_of, trust_lists_of, trust_store_of
from softphone.net import DriverConfig, TransportLimits
from softphone.net.stream import Fetcher
from softphone.net.stream import HostResolver as NameResolver
from softphone.personas import RegistrationStyle, StandardPersona
from softphone.sans_io import Entropy, Transport
from softphone.security import SecurityPolicy
from softphone.sip import (
    DigestAlgorithm,
    DigestCredentials,
    DigestSession,
    EndpointConfig,
    NameAddr,
    RegistrationConfig,
    SipUri,
)
from softphone.sip.auth import ChallengePolicy
from softphone.sip.event_packages import DIALOG
from softphone.sip.transport import KeepAliveConfig
from softphone.trust import (
    AskUser,
    TlsSettings,
    TrustLists,
    TrustStore,
)
from softphone.trust.verification import AskTvs

if TYPE_CHECKING:
    from softphone.net.http import HttpsTunnel
    from softphone.net.stream import AdmitTarget


@dataclass(frozen=True, slots=True)
class TrustContext:
    """What the accounts of a phone trust, in addition to their configurations.

    `trust` applies to an account that names no authority itself; certificates that a person
    accepts are kept there, unless the account has a store of its own.  `unknown` is asked about
    certificates that cannot be verified; `fetcher` fetches CRLs and OCSP responses for all
    accounts.  `lists` are a cluster's trust lists, which name its call servers; `tvs` is asked
    about a server that they do not name.  `admit`, if given, judges each verified server of
    accounts, messages, directories and voicemail before anything is sent to it.  A `tunnel` carries
    the requests of UDS, voicemail and IM and Presence.
    """

    trust: TrustStore | None = None
    unknown: AskUser | None = None
    fetcher: Fetcher | None = None
    lists: TrustLists = field(default_factory=TrustLists)
    tvs: AskTvs | None = None
    admit: AdmitTarget | None = None
    tunnel: HttpsTunnel | None = None

    def complete_tls(self, tls: TlsSettings, *, fips: bool) -> TlsSettings:
        """Complete another server's settings: `trust` where they name no authority, `unknown`."""
        named = bool(tls.store.anchors or tls.store.system or tls.store.all_pins)
        store = tls.store if named or self.trust is None else self.trust
        return replace(tls, store=store, unknown=self.unknown, fips=fips)


NO_TRUST_CONTEXT = TrustContext()
DEFAULT_LIMITS = LimitsConfig()
PLAIN_STYLE = RegistrationStyle()


def tls_settings(
    config: AccountConfig,
    trust_context: TrustContext = NO_TRUST_CONTEXT,
    *,
    fips: bool = False,
    policy: SecurityPolicy | None = None,
) -> TlsSettings:
    """Make the account's TLS settings; a listener asks for certificates as configured.

    `policy`, if given, replaces the configuration's demands on certificates.  Raises
    ConfigurationError when a file is missing or holds no certificate.
    """
    demanded = config.policy if policy is None else policy
    clear = config.transport in (Transport.UDP, Transport.TCP)
    lists = trust_context.lists
    edge = config.edge
    if edge is not None:
        # A cluster's lists name no edge server, and a user outside has nothing to compare its
        # certificate with.
        trust_context = replace(trust_context, lists=TrustLists(), tvs=None, unknown=None)
        lists = TrustLists()
    elif not lists and not clear:
        lists = trust_lists_of(config.device)
    return TlsSettings(
        edge_domain=None if edge is None else edge.domain.lower().rstrip("."),
        store=trust_store_of(config.tls, trust_context.trust),
        credential=credential_of(config.tls),
        pin=config.tls.pin,
        minimum=config.tls.minimum,
        aia_hosts=config.tls.listed_aia_hosts,
        revocation=demanded.revocation,
        client_certificates=config.client_certificates,
        fips=fips or (policy is not None and policy.fips),
        allow=demanded.allow,
        unknown=trust_context.unknown,
        lists=lists,
        tvs=trust_context.tvs,
        resume_sessions=config.tls.resume_sessions,
        key_log=None if config.tls.key_log is None else Path(config.tls.key_log),
    )


def listener_settings(config: AccountConfig, tls: TlsSettings) -> TlsSettings:
    """Return the settings of the account's listener: `tls` with the server's certificate."""
    servers = config.accept_server_certificates_as_clients
    domains = config.allow_list.names if servers else frozenset[str]()
    return replace(
        tls,
        credential=server_credential_of(config.tls),
        server_domains=domains,
        resume_sessions=False,  # of connections to servers, not of those from clients
    )


def driver_config(
    trust_context: TrustContext,
    clock: Callable[[], float] | None,
    resolve: NameResolver,
    source: str | None = None,
    limits: LimitsConfig = DEFAULT_LIMITS,
    dscp: int = 0,
) -> DriverConfig:
    """Make the configuration of the account's driver."""
    return DriverConfig(
        limits=TransportLimits(
            connections=limits.connections,
            connections_per_source=limits.connections_per_source,
            handshakes_per_source=limits.handshakes_per_source,
            trusted_sources=limits.trusted_networks(),
        ),
        clock=clock,
        resolve=resolve,
        fetcher=trust_context.fetcher,
        source=source,
        dscp=dscp,
        admit=trust_context.admit,
    )


def digest_session(
    config: AccountConfig, *, entropy: Entropy, policy: ChallengePolicy, fips: bool = False
) -> DigestSession | None:
    """Make the session that answers the challenges `policy` permits; None without credentials.

    It answers MD5 over an unverified connection only if the configuration lists MD5.
    """
    if config.credentials is None:
        return None
    given = (config.credentials, *config.further_credentials)
    return DigestSession(map(digest_credentials, given), entropy=entropy, policy=policy, fips=fips)


def digest_credentials(given: CredentialConfig) -> DigestCredentials:
    """Make the credentials of an endpoint from those of a configuration."""
    allowed = None
    if given.algorithms is not None:
        allowed = tuple(
            algorithm
            for algorithm in DigestAlgorithm
            if algorithm.value.removesuffix("-sess") in given.algorithms
        )
    return DigestCredentials(given.username, given.password, given.realms, allowed, given.place)


def endpoint_config(config: AccountConfig, persona: StandardPersona) -> EndpointConfig:
    """Make the endpoint's configuration: the persona's capabilities and the account's limits."""
    base = EndpointConfig()
    # A session timer is refreshed by re-INVITE wherever the far end lacks UPDATE.
    supported = tuple(tag for tag in base.supported if config.reinvite or tag != "timer")
    # The admission rate is far above any user's, and low enough (rate * 32 s + burst) for the
    # transaction table.
    return replace(
        base,
        user_agent=persona.user_agent(config.persona_line),
        supported=(*supported, *persona.option_tags(config.persona_line)),
        session_expires=base.session_expires if config.reinvite else 0.0,
        reinvite=config.reinvite,
        events=("refer", *persona.packages, *([DIALOG] if config.watchers.calls else [])),
        users=_users(config, persona) if config.own_user_only else (),
        timer_c=float(config.timer_c),
        admission_rate=200.0,
        admission_burst=400.0,
        idle_timeout=300.0,
    )


def _users(config: AccountConfig, persona: StandardPersona) -> tuple[str, ...]:
    """Return the user parts of the AOR and of its registered Contact."""
    registered = persona.registration_style(config.persona_line).user
    users = (config.aor_uri.user, registered)
    return tuple(user for user in users if user)


def proxy_route(config: AccountConfig, proxy: SipUri | None = None) -> tuple[NameAddr, ...]:
    """Return the outbound proxy, or the `proxy` in its place, as a Route; () without one.

    Edge servers are no part of the Route: it is the one that they tell.
    """
    if config.edge is not None:
        return config.edge.route_set
    if config.outbound_proxy is None:
        return ()
    proxy = SipUri.parse(config.outbound_proxy) if proxy is None else proxy
    return (NameAddr(None, proxy.with_parameter("lr", None), ()),)


def instance_id(entropy: Entropy) -> str:
    """Make a random URN for this user agent instance (RFC 5626 section 4.1)."""
    return f"urn:uuid:{uuid.UUID(bytes=entropy(16), version=4)}"


def registration_config(
    config: AccountConfig,
    *,
    instance: str,
    style: RegistrationStyle = PLAIN_STYLE,
    registrar: SipUri | None = None,
    alarm: tuple[tuple[str, str], ...] = (),
) -> RegistrationConfig:
    """Make the registration's configuration, by the persona's `style`.

    `alarm` gives header fields for the first REGISTER.  A sips: registrar only selects TLS: the
    Request-URI says sip:…;transport=tls unless the AOR itself is sips: (RFC 5630 section 3.1.3).
    `registrar` is given for a node of a list; its host then also replaces that of the AOR.
    """
    place = registrar or SipUri.parse(config.registrar or "")
    secure = config.aor_uri.scheme == "sips"
    aor = config.aor_uri if registrar is None else replace(config.aor_uri, host=place.host)
    keepalive = KeepAliveConfig()
    if not style.probes:
        keepalive = replace(keepalive, options_interval=0.0, datagram_interval=0.0)
    return RegistrationConfig(
        aor=NameAddr(config.display_name, aor, ()),
        registrar=_request_uri(place, secure=secure),
        user=style.user or config.aor_uri.user or "",
        expires=config.expires,
        instance_id=instance,
        reg_id=config.reg_id,
        outbound=style.outbound,
        gruu=style.gruu,
        secure_contact=secure,
        route_set=proxy_route(config),
        first_headers=alarm,
        first_body=style.body,
        contact_parameters=style.contact_parameters,
        option_tags=style.option_tags,
        refresh_early=style.refresh_early,
        keepalive=keepalive,
    )


def monitor_config(config: AccountConfig) -> RegistrationConfig:
    """Make the configuration of the `ServerMonitor` of a trunk.

    From and Contact have the host name that the carrier knows us by, `contact_host`, if there is
    one.
    """
    aor, host = config.aor_uri, config.contact_host
    return RegistrationConfig(
        aor=NameAddr(None, aor if host is None else replace(aor, host=host), ()),
        registrar=config.proxy_uris[0],
        user=aor.user or "",
        secure_contact=aor.scheme == "sips",
        keepalive=KeepAliveConfig(options_interval=float(config.options_interval)),
    )


def asked_uri(config: AccountConfig, server: SipUri) -> SipUri:
    """Return the Request-URI of an OPTIONS request to a trunk's server."""
    return _request_uri(server, secure=config.aor_uri.scheme == "sips")


def _request_uri(registrar: SipUri, *, secure: bool) -> SipUri:
    parameters = () if secure or registrar.scheme != "sips" else (("transport", "tls"),)
    kept = tuple(p for p in registrar.parameters if p[0].lower() != "transport" or not parameters)
    scheme = "sips" if secure else "sip"
    return SipUri(scheme, None, None, registrar.host, registrar.port, kept + parameters, ())
