"""AccountConfig: everything that one account is made of, as plain frozen values.

A config is made by an embedder in Python, or read from an account file by
`softphone.config.account_file`.  It is checked when it is made: what is wrong raises
ConfigurationError before anything is sent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Self, TypeAlias

from softphone.call.leg.dtmf import DigitMethod
from softphone.call.leg.rtcp_xr_demand import RtcpXrMode
from softphone.errors import ConfigurationError
from softphone.personas import DeviceIdentity, PersonaLine
from softphone.sans_io import Transport
from softphone.security import (
    CryptoSuite,
    KeyMaterial,
    OnDrop,
    Relaxation,
    RevocationMode,
    Scope,
    SecurityLevel,
    SecurityPolicy,
    SrtpPolicy,
    TlsVersion,
)
from softphone.sip import AbsoluteUri, MalformedMessage, SipUri, is_numeric, parse_uri

__all__ = [
    "AccountConfig",
    "CredentialConfig",
    "LimitsConfig",
    "MediaPreferences",
    "OAuthConfig",
    "PolicyConfig",
    "QualityConfig",
    "TlsConfig",
    "parse_sip_uri",
]

DIGEST_ALGORITHMS = ("SHA-512-256", "SHA-256", "MD5")
MAXIMUM_REALMS = 16
MAXIMUM_NODES = 5
LEAST_INTERVAL = 10
MOST_CONNECTIONS = 1_000_000
VIDEO_CODECS = ("H264", "VP8")
CODECS = ("PCMU", "PCMA", "G722", "OPUS", "L16")
_URN = re.compile(r"urn:[A-Za-z0-9][A-Za-z0-9-]{1,31}:[A-Za-z0-9()+,.:=@;$_!*'%/?-]{1,255}")
_PIN = re.compile(r"sha256:[0-9a-f]{64}")


def parse_sip_uri(text: str, *, what: str) -> SipUri:
    """A sip: or sips: URI, or ConfigurationError saying what it was for."""
    try:
        uri = parse_uri(text)
    except MalformedMessage as error:
        raise ConfigurationError(f"{what}: {text!r} is not a SIP URI: {error.reason}") from error
    if isinstance(uri, AbsoluteUri):
        raise ConfigurationError(f"{what}: {text!r} is not a sip: or sips: URI")
    return uri


def _networks(texts: Iterable[str], key: str) -> tuple[IPv4Network | IPv6Network, ...]:
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            raise ConfigurationError(
                f"{key}: {text!r} is neither an IP address nor a network such as "
                f"192.0.2.0/24: {error}"
            ) from error
    return tuple(networks)


@dataclass(frozen=True, slots=True)
class CredentialConfig:
    """Digest credentials (RFC 7616).

    `algorithms` are those that may be answered; None: SHA-256 and SHA-512-256, and MD5 over
    verified TLS only.  `realms` are the ones that this user answers; with none, those that the
    server uses on REGISTER: an account that never registers lists them.  `place` is where this
    is written, for error messages.
    """

    username: str
    password: KeyMaterial
    algorithms: tuple[str, ...] | None = None
    realms: tuple[str, ...] = ()
    place: str = field(default="[credentials]", compare=False)

    def __post_init__(self) -> None:
        if self.algorithms is not None and not self.algorithms:
            raise ConfigurationError("credentials.algorithms: at least one is needed")
        for algorithm in self.algorithms or ():
            if algorithm not in DIGEST_ALGORITHMS:
                raise ConfigurationError(
                    f"credentials.algorithms: {algorithm!r} is unknown; "
                    f"known are {', '.join(DIGEST_ALGORITHMS)}"
                )
        if len(self.realms) > MAXIMUM_REALMS or not all(self.realms):
            raise ConfigurationError(
                f"credentials.realms: give at most {MAXIMUM_REALMS} realms, none of them empty"
            )


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """Whom to believe and what to show in TLS.

    `ca` are files or folders of PEM certificates; `system` adds the system's store; `pin` is the
    SHA-256 of the one server certificate to accept ("sha256:" and 64 hex digits); `server_name`
    takes the place of the URI's domain as reference identity (RFC 5922).  `passphrase` opens the
    key; `store` is the folder where certificates are kept that were accepted when asked.
    """

    ca: tuple[str | os.PathLike[str], ...] = ()
    system: bool = False
    certificate: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    pin: str | None = None
    server_name: str | None = None
    minimum: TlsVersion = TlsVersion.TLS_1_2
    passphrase: KeyMaterial | None = None
    store: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if self.pin is not None and _PIN.fullmatch(self.pin) is None:
            raise ConfigurationError(
                "tls.pin: expected 'sha256:' and the 64 lower-case hex digits of the "
                "certificate's fingerprint"
            )
        if (self.certificate is None) != (self.key is None):
            missing = "tls.key" if self.key is None else "tls.certificate"
            raise ConfigurationError(f"{missing}: a client certificate and its key go together")


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """What a whole call must be; None leaves the default of the account's transport.

    `revocation` and `allow` are for the certificates of servers; with `refuse_unusable_crypto` a
    call under `srtp = optional` is refused in clear when the far end sent crypto lines that cannot
    be used; `record_secure` is whether
    encrypted calls may be recorded.
    """

    minimum: SecurityLevel | None = None
    scope: Scope = Scope.HOP
    on_drop: OnDrop = OnDrop.HANGUP
    revocation: RevocationMode = RevocationMode.SOFT
    allow: frozenset[Relaxation] = frozenset()
    record_secure: bool = True
    refuse_unusable_crypto: bool = False


@dataclass(frozen=True, slots=True)
class MediaPreferences:
    """What the media may be.

    `srtp` None means required over TLS, off over UDP and TCP; `ports` None leaves the range to
    the phone's MediaConfig.  `codecs` are in order of preference.  With `comfort_noise` pauses of
    what we play are sent as such (RFC 3389) to whoever agrees to it, else as silence.  `dtmf` is
    how digits are sent; with `INBAND` tones are listened for, too.
    `video` are the video codecs ("H264", "VP8") with which an offered picture is answered, and
    ours offered where a call asks for it; with none, video is refused.  `reports` is when VoIP
    metrics (RFC 3611) go to far ends.  `clear_latching` is whether media in clear may come from
    one other host than was signaled: "off", "once", or the networks of which ("192.0.2.0/24").
    """

    srtp: SrtpPolicy | None = None
    suites: tuple[CryptoSuite, ...] = tuple(CryptoSuite)
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    ports: tuple[int, int] | None = None
    comfort_noise: bool = False
    dtmf: DigitMethod = DigitMethod.AUTO
    video: tuple[str, ...] = ()
    reports: RtcpXrMode = RtcpXrMode.NEGOTIATED
    clear_latching: str | tuple[str, ...] = "off"

    @property
    def adoptable_networks(self) -> tuple[str, ...]:
        """The networks of which a host may be adopted in clear."""
        if isinstance(self.clear_latching, tuple):
            return self.clear_latching
        return ("0.0.0.0/0", "::/0") if self.clear_latching == "once" else ()

    def _check_clear_latching(self) -> None:
        if self.clear_latching in ("off", "once"):
            return
        if not isinstance(self.clear_latching, tuple) or not self.clear_latching:
            raise ConfigurationError(
                f'media.clear_latching: {self.clear_latching!r} is not "off", "once" or a list of '
                'networks such as ["192.0.2.0/24"]'
            )
        _networks(self.clear_latching, "media.clear_latching")

    def __post_init__(self) -> None:
        self._check_clear_latching()
        if not self.suites:
            raise ConfigurationError("media.suites: at least one crypto suite is needed")
        if not self.codecs:
            raise ConfigurationError("media.codecs: at least one codec is needed")
        for codec in self.codecs:
            if codec.upper() not in CODECS:
                raise ConfigurationError(
                    f"media.codecs: {codec!r} is unknown; known are {', '.join(CODECS)}"
                )
        for codec in self.video:
            if codec not in VIDEO_CODECS:
                raise ConfigurationError(
                    f"media.video: {codec!r} is unknown; known are {', '.join(VIDEO_CODECS)}"
                )
        if self.ports is None:
            return
        low, high = self.ports
        if not 1024 <= low <= high <= 65535:
            raise ConfigurationError(
                f"media.ports: {low}-{high} is no range of ports between 1024 and 65535"
            )
        if high - low < 3:
            raise ConfigurationError(
                f"media.ports: {low}-{high} is too few; a call takes two ports a stream, "
                "and a transfer or a second call as many again: give at least 4"
            )


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """What an account that listens lets in, of TCP and TLS connections.

    `connections` bounds them, `connections_per_source` those of one address (of one /64 in IPv6),
    `handshakes_per_source` its TLS handshakes at work at once: further ones wait for their turn.
    `trusted_sources` are addresses or networks for which only the first of these holds, such as a
    NAT or an SBC behind which many clients are.
    """

    connections: int = 4096
    connections_per_source: int = 256
    handshakes_per_source: int = 16
    trusted_sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key, number in (
            ("connections", self.connections),
            ("connections_per_source", self.connections_per_source),
            ("handshakes_per_source", self.handshakes_per_source),
        ):
            if not 1 <= number <= MOST_CONNECTIONS:
                raise ConfigurationError(
                    f"limits.{key}: {number} is not between 1 and {MOST_CONNECTIONS}"
                )
        self.trusted_networks()

    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `trusted_sources`."""
        return _networks(self.trusted_sources, "limits.trusted_sources")


@dataclass(frozen=True, slots=True)
class QualityConfig:
    """Where a report of each call's quality goes at its end (RFC 6035), and each `interval`
    seconds of it; 0: at its end only."""

    collector: str
    interval: int = 0

    def __post_init__(self) -> None:
        uri = parse_sip_uri(self.collector, what="quality.collector")
        if uri.headers:
            raise ConfigurationError("quality.collector: a collector's URI has no headers")
        if self.interval != 0 and not LEAST_INTERVAL <= self.interval <= 86400:
            raise ConfigurationError(
                f"quality.interval: {self.interval} is neither 0 nor {LEAST_INTERVAL} to 86400 s"
            )


FetchToken: TypeAlias = Callable[[], Awaitable[str]]
"""Gives a bearer token, or the JSON object that a token endpoint answers (RFC 6749 5.1)."""


@dataclass(frozen=True, slots=True)
class OAuthConfig:
    """Where the bearer token comes from: one of a file, a command and an async callback.

    Each gives the token itself or a JSON object with `access_token` and `expires_in`; it is asked
    again before the token ends, and when the server does not accept it.  `expires_in`, in
    seconds, holds where nothing else says how long a token lasts.
    """

    token_file: str | os.PathLike[str] | None = None
    command: tuple[str, ...] | None = field(default=None, repr=False)
    fetch: FetchToken | None = field(default=None, repr=False)
    expires_in: int | None = None

    def __post_init__(self) -> None:
        given = [one for one in (self.token_file, self.command, self.fetch) if one is not None]
        if len(given) != 1:
            raise ConfigurationError(
                "oauth.token_file: give one of token_file, command and a callback, and one only"
            )
        if self.command is not None and not self.command:
            raise ConfigurationError("oauth.command: the command is empty")
        if self.expires_in is not None and self.expires_in < 1:
            raise ConfigurationError("oauth.expires_in: expected a number of seconds above 0")


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """One address of record and how to reach its server.

    `registrar` chooses transport and server ("sips:host", "sip:host;transport=tls|tcp|udp"); a
    sips: registrar only selects TLS (RFC 5630: requests say sip:…;transport=tls unless `aor` is
    sips:).  Without a registrar the account calls, and is called, directly: it then listens at
    `listen` ("tls:127.0.0.1:5061").  `outbound_proxy` takes every request instead.
    `nodes` are servers in the order of their preference, as `registrar` is one: a lost one is
    left for the next, and a better one gone back to.  `device` is what a persona of CUCM's
    registers, `oauth` where its token comes from.
    `instance` is the URN of this user agent (RFC 5626 section 4.1; None: a new one each time);
    accounts of one `aor` and `instance` with different `reg_id` are flows to the same phone.
    `fips` is a bootstrap setting (`softphone.trust.fips.mode`); None leaves it to the others.
    `accept_from` are addresses or networks beside the registrar's own that may bring new requests
    over UDP, as an SBC farm does.  `timer_c` ends a call of ours that rings for so many seconds
    without a word (RFC 3261 section 16.6; 0: none does).  With `own_user_only` a request whose
    Request-URI has another user part than the AOR's and the registered Contact's is refused with
    404 (section 8.2.2.1); by default any is served, as a trunk of many numbers needs it.
    `quality` says who is told how calls were, `limits` how many may connect where it listens.
    `further_credentials` are other users for other realms, which they list.
    """

    aor: str
    registrar: str | None = None
    nodes: tuple[str, ...] = ()
    outbound_proxy: str | None = None
    display_name: str | None = None
    persona: str = "standard"
    listen: str | None = None
    expires: int = 3600
    instance: str | None = None
    reg_id: int = 1
    fips: bool | None = None
    accept_from: tuple[str, ...] = ()
    timer_c: int = 180
    own_user_only: bool = False
    credentials: CredentialConfig | None = None
    further_credentials: tuple[CredentialConfig, ...] = ()
    device: DeviceIdentity | None = None
    oauth: OAuthConfig | None = None
    tls: TlsConfig = field(default_factory=TlsConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    media: MediaPreferences = field(default_factory=MediaPreferences)
    quality: QualityConfig | None = None
    limits: LimitsConfig = field(default_factory=LimitsConfig)

    def __post_init__(self) -> None:
        if self.nodes:
            self._take_nodes()
        if self.aor_uri.user is None:
            raise ConfigurationError(f"aor: {self.aor!r} names no user")
        for key, text in (("registrar", self.registrar), ("outbound_proxy", self.outbound_proxy)):
            if text is not None:
                _transport_of(parse_sip_uri(text, what=key), key)
        self._check_token()
        self._check_realms()
        if self.listen is not None:
            self.listen_at()
        if self.instance is not None and _URN.fullmatch(self.instance) is None:
            raise ConfigurationError(f"instance: {self.instance!r} is no URN, as urn:uuid:… is")
        if not 1 <= self.reg_id < 2**31:
            raise ConfigurationError(f"reg_id: {self.reg_id} is not between 1 and 2^31 - 1")
        if not 0 <= self.timer_c <= 86400:
            raise ConfigurationError(
                f"timer_c: {self.timer_c} is not between 0 (never) and 86400 seconds"
            )
        _networks(self.accept_from, "accept_from")
        if self.registrar is None and self.outbound_proxy is None and self.listen is None:
            raise ConfigurationError(
                "registrar: give the server to register with, or 'listen' for direct calls"
            )

    def accepts_from(self, host: str) -> bool:
        """Whether `accept_from` names the numeric `host`."""
        address = ip_address(host.partition("%")[0])
        networks = _networks(self.accept_from, "accept_from")
        return any(address in network for network in networks)

    def _check_token(self) -> None:
        """A token in clear is everybody's, whatever the persona."""
        if self.oauth is not None and not self.secure_transport:
            raise ConfigurationError(
                "registrar: a token is shown over TLS only: use sips: or transport=tls"
            )
        if self.oauth is not None and self.credentials is not None:
            raise ConfigurationError("credentials: digest and a token do not go together")

    def _check_realms(self) -> None:
        """Which user answers in a realm is never a guess."""
        if self.further_credentials and self.credentials is None:
            raise ConfigurationError("credentials: further ones follow first ones")
        users = (self.credentials, *self.further_credentials)
        given = [user for user in users if user is not None]
        if sum(not user.realms for user in given) > 1:
            raise ConfigurationError("credentials.realms: of several users, all but one list them")
        listed = [realm for user in given for realm in user.realms]
        for realm in listed:
            if listed.count(realm) > 1:
                raise ConfigurationError(f"credentials.realms: {realm!r} is listed twice")

    def _take_nodes(self) -> None:
        """The first node is the registrar; all are reached alike, none less safely."""
        if self.registrar not in (None, self.nodes[0]):
            raise ConfigurationError("nodes: a list of servers takes the place of 'registrar'")
        if self.outbound_proxy is not None:
            raise ConfigurationError("nodes: a list of servers and an outbound_proxy exclude")
        if len(set(self.nodes)) != len(self.nodes) or len(self.nodes) > MAXIMUM_NODES:
            raise ConfigurationError(f"nodes: give at most {MAXIMUM_NODES} servers, each once")
        reached = {_settled_transport(parse_sip_uri(n, what="nodes"), "nodes") for n in self.nodes}
        if None in reached:
            raise ConfigurationError(
                "nodes: name how each server is reached (sips: or ;transport=tls, tcp or udp): a "
                "list is not left to DNS, which could lead from a secure server to one in clear"
            )
        if len(reached) != 1:
            raise ConfigurationError("nodes: all servers have to be reached by the same transport")
        object.__setattr__(self, "registrar", self.nodes[0])

    @property
    def persona_line(self) -> PersonaLine:
        """What the account's persona has to know of it."""
        return PersonaLine(
            srtp=self.srtp,
            secure=self.secure_transport,
            digest=self.credentials is not None,
            bearer=self.oauth is not None,
            device=self.device,
        )

    @property
    def aor_uri(self) -> SipUri:
        """The address of record."""
        return parse_sip_uri(self.aor, what="aor")

    @property
    def server_uri(self) -> SipUri | None:
        """Where requests go first: the outbound proxy, else the registrar."""
        if self.outbound_proxy is not None:
            return parse_sip_uri(self.outbound_proxy, what="outbound_proxy")
        if self.registrar is not None:
            return parse_sip_uri(self.registrar, what="registrar")
        return None

    @property
    def server_uris(self) -> tuple[SipUri, ...]:
        """Every server that is the account's own: nodes, registrar and outbound proxy."""
        given = (*self.nodes, self.registrar, self.outbound_proxy)
        return tuple(parse_sip_uri(text, what="registrar") for text in given if text is not None)

    @property
    def transport(self) -> Transport | None:
        """The transport that the configuration names; None leaves it to DNS (RFC 3263)."""
        server = self.server_uri
        if server is None:
            return self.listen_at()[0]
        return _settled_transport(server, "registrar")

    @property
    def secure_transport(self) -> bool:
        """Whether signaling runs over TLS for certain."""
        return self.transport is Transport.TLS

    @property
    def srtp(self) -> SrtpPolicy:
        """The demand on the media: what is configured, else required over TLS and off without."""
        if self.media.srtp is not None:
            return self.media.srtp
        # A transport that DNS chooses could turn out to be TLS: then the demand must be there.
        return SrtpPolicy.OFF if self._clear_transport else SrtpPolicy.REQUIRED

    @property
    def _clear_transport(self) -> bool:
        return self.transport in (Transport.UDP, Transport.TCP)

    def security_policy(
        self, *, srtp: SrtpPolicy | None = None, fips: bool = False
    ) -> SecurityPolicy:
        """The policy of a call of this account; `srtp` overrides for one call."""
        demand = self.srtp if srtp is None else srtp
        minimum = self.policy.minimum
        if minimum is None:
            strict = demand is SrtpPolicy.REQUIRED and not self._clear_transport
            minimum = SecurityLevel.ENCRYPTED if strict else SecurityLevel.NOT_SECURE
        return SecurityPolicy(
            minimum=minimum,
            scope=self.policy.scope,
            srtp=demand,
            suites=self.media.suites,
            tls_minimum=self.tls.minimum,
            revocation=self.policy.revocation,
            allow=self.policy.allow,
            fips=fips,
            on_drop=self.policy.on_drop,
            record_secure=self.policy.record_secure,
            refuse_unusable_crypto=self.policy.refuse_unusable_crypto,
        )

    def listen_at(self) -> tuple[Transport, str, int]:
        """Transport, address and port of `listen`."""
        match = re.fullmatch(
            r"(udp|tcp|tls):(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):([0-9]{1,5})", self.listen or ""
        )
        if match is None or int(match[3]) > 65535:
            raise ConfigurationError(
                f"listen: {self.listen!r} is not of the form tls:127.0.0.1:5061"
            )
        return Transport(match[1]), match[2].strip("[]"), int(match[3])

    def target_uri(self, target: str) -> SipUri:
        """Whom `target` names: a SIP URI, "user@host", or a user of our own domain ("600").

        Raises ConfigurationError.
        """
        if target.lower().startswith(("sip:", "sips:")):
            return parse_sip_uri(target, what="target")
        if ":" in target.partition("@")[0]:
            raise ConfigurationError(f"target: {target!r} is not a sip: or sips: URI")
        aor = self.aor_uri
        host = f"[{aor.host}]" if ":" in aor.host else aor.host
        place = host if aor.port is None else f"{host}:{aor.port}"
        whole = target if "@" in target else f"{target}@{place}"
        uri = parse_sip_uri(f"{aor.scheme}:{whole}", what="target")
        if not uri.user:
            raise ConfigurationError(f"target: {target!r} names no user")
        return uri

    def with_media(self, **changes: object) -> Self:
        """The same account with other media preferences."""
        return replace(self, media=replace(self.media, **changes))  # type: ignore[arg-type]


def _settled_transport(uri: SipUri, key: str) -> Transport | None:
    """The transport that a server is reached by for certain; None leaves it to DNS."""
    named = _transport_of(uri, key)
    if named is None and (uri.port is not None or is_numeric(uri.host)):
        return Transport.UDP  # RFC 3263 section 4.1: nothing is left for DNS to say
    return named


def _transport_of(uri: SipUri, key: str) -> Transport | None:
    """The transport that a server's URI names, or None (RFC 3263 section 4.1)."""
    if uri.scheme == "sips":
        return Transport.TLS
    name = uri.parameter("transport")
    if name is None:
        return None
    try:
        return Transport(name.lower())
    except ValueError:
        raise ConfigurationError(
            f"{key}: transport={name} is not spoken here; use tls, tcp or udp"
        ) from None
