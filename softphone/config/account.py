"""AccountConfig: the complete configuration of one account, as frozen values.

An application makes it in Python, or `softphone.config.account_file` reads it from a file.  It is
checked when it is made: an invalid value raises ConfigurationError before anything is sent.
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
from softphone.media.video import VIDEO_CODECS
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
from softphone_codecs import codec_names

DIGEST_ALGORITHMS = ("SHA-512-256", "SHA-256", "MD5")
MAXIMUM_REALMS = 16
MAXIMUM_NODES = 5
LEAST_INTERVAL = 10
MOST_CONNECTIONS = 1_000_000
_URN = re.compile(r"urn:[A-Za-z0-9][A-Za-z0-9-]{1,31}:[A-Za-z0-9()+,.:=@;$_!*'%/?-]{1,255}")
_PIN = re.compile(r"sha256:[0-9a-f]{64}")


def parse_sip_uri(text: str, *, what: str) -> SipUri:
    """Parse a sip: or sips: URI.  Raises ConfigurationError that begins with `what`."""
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
    """Digest credentials of one user (RFC 7616)."""

    username: str
    """The user's name in the digest."""
    password: KeyMaterial
    """The password; a file says `password`, `password_file` or `password_env`."""
    algorithms: tuple[str, ...] | None = None
    """The algorithms that may be answered: "SHA-512-256", "SHA-256", "MD5".  By default the first
    two, and MD5 over verified TLS only."""
    realms: tuple[str, ...] = ()
    """The realms that this user answers, and no others.  By default those that the server uses on
    REGISTER; an account that never registers has to list them."""
    place: str = field(default="[credentials]", compare=False)
    """Where the credentials are written, for error messages."""

    def __post_init__(self) -> None:
        if not isinstance(self.password, KeyMaterial):
            raise ConfigurationError(
                'credentials.password: give KeyMaterial(b"…"), which no log and no repr shows'
            )
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
    """The trust anchors, client certificate and limits of TLS connections."""

    ca: tuple[str | os.PathLike[str], ...] = ()
    """Files or folders of PEM certificates of trusted authorities; in a file one or a list, and
    "system" adds the system's store.  Without any, no authority is trusted."""
    system: bool = False
    """Whether the system's store is trusted, too."""
    certificate: str | os.PathLike[str] | None = None
    """A PEM file with the client certificate and its chain."""
    key: str | os.PathLike[str] | None = None
    """A PEM file with the certificate's private key."""
    pin: str | None = None
    """The one server certificate to accept: "sha256:" and the 64 hex digits of its SHA-256."""
    server_name: str | None = None
    """The name that the server's certificate must have, instead of the URI's domain (RFC 5922)."""
    minimum: TlsVersion = TlsVersion.TLS_1_2
    """The oldest accepted version of TLS."""
    passphrase: KeyMaterial | None = None
    """The passphrase of an encrypted key; in a file the only line of `passphrase_file`."""
    store: str | os.PathLike[str] | None = None
    """A folder that keeps the certificates a person has accepted."""

    def __post_init__(self) -> None:
        if not isinstance(self.ca, tuple):
            raise ConfigurationError("tls.ca: give a tuple of paths, as in ca=(path,)")
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
    """The security policy of a whole call, judged whenever anything in the call changes."""

    minimum: SecurityLevel | None = None
    """The lowest level that a call may have.  By default "encrypted" where SRTP is required over
    TLS, else "not_secure"."""
    scope: Scope = Scope.HOP
    """How far the level must reach: to the next server, or to the far end."""
    on_drop: OnDrop = OnDrop.HANGUP
    """What to do with a call that falls below: hang up, or hold it with its media closed."""
    revocation: RevocationMode = RevocationMode.SOFT
    """Whether servers' certificates are checked by CRL and OCSP: "off" does not check, "soft"
    accepts a certificate without a response, "hard" refuses it."""
    allow: frozenset[Relaxation] = frozenset()
    """Weaknesses of certificates to accept that are refused by default; never in FIPS mode."""
    record_secure: bool = True
    """Whether calls with encrypted media may be recorded."""
    refuse_unusable_crypto: bool = False
    """With `srtp = "optional"`: refuse a far end whose crypto lines are unusable, instead of taking
    the call in clear."""


@dataclass(frozen=True, slots=True)
class MediaPreferences:
    """The permitted media of a call: SRTP, suites, codecs, ports."""

    srtp: SrtpPolicy | None = None
    """Whether media must be SRTP.  By default required over TLS, off over UDP and TCP."""
    suites: tuple[CryptoSuite, ...] = tuple(CryptoSuite)
    """The crypto suites to offer and accept, in order of preference (RFC 4568, RFC 7714)."""
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    """The audio codecs, in order of preference; the first that both ends support is used."""
    ports: tuple[int, int] | None = None
    """The UDP ports for media, first and last; "40000-49999" in a file.  By default those of the
    phone's `MediaConfig`."""
    comfort_noise: bool = False
    """Whether silence in what we play is sent as comfort noise (RFC 3389), if negotiated."""
    dtmf: DigitMethod = DigitMethod.AUTO
    """How digits are sent; with "inband", received tones are detected, too."""
    video: tuple[str, ...] = ()
    """The video codecs for answering offered video: "H264" and "VP8"; with none, video is
    refused."""
    reports: RtcpXrMode = RtcpXrMode.NEGOTIATED
    """When VoIP metrics (RTCP XR, RFC 3611) are sent to far ends."""
    clear_latching: str | tuple[str, ...] = "off"
    """Whether media in clear may come from one host other than the signaled one (NAT): "off",
    "once", or a list of that host's permitted networks, such as "192.0.2.0/24".  Never under
    SRTP."""

    @property
    def adoptable_networks(self) -> tuple[str, ...]:
        """The networks from which media in clear may be adopted; () for none."""
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
            if codec.upper() not in codec_names():
                raise ConfigurationError(
                    f"media.codecs: {codec!r} is unknown; known are {', '.join(codec_names())}"
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
    """Limits on incoming TCP and TLS connections of an account that listens."""

    connections: int = 4096
    """The maximum number of simultaneous connections."""
    connections_per_source: int = 256
    """The maximum number per address (/64 in IPv6)."""
    handshakes_per_source: int = 16
    """The maximum number of simultaneous TLS handshakes per source; further ones wait."""
    trusted_sources: tuple[str, ...] = ()
    """Addresses or networks that only `connections` limits: a NAT or SBC with many clients."""

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
        """Parse the networks of `trusted_sources`.  Raises ConfigurationError."""
        return _networks(self.trusted_sources, "limits.trusted_sources")


@dataclass(frozen=True, slots=True)
class QualityConfig:
    """The collector of quality reports on each call, by PUBLISH (RFC 6035)."""

    collector: str
    """The SIP URI of the collector."""
    interval: int = 0
    """Seconds between reports during a call, 10 to 86400; 0: at its end only."""

    def __post_init__(self) -> None:
        uri = parse_sip_uri(self.collector, what="quality.collector")
        if uri.headers:
            raise ConfigurationError("quality.collector: a collector's URI has no headers")
        if self.interval != 0 and not LEAST_INTERVAL <= self.interval <= 86400:
            raise ConfigurationError(
                f"quality.interval: {self.interval} is neither 0 nor {LEAST_INTERVAL} to 86400 s"
            )


FetchToken: TypeAlias = Callable[[], Awaitable[str]]
"""Returns a bearer token, or the JSON object of a token endpoint's response (RFC 6749 5.1)."""


@dataclass(frozen=True, slots=True)
class OAuthConfig:
    """The source of the bearer token: one of a file, a command and an async callback.

    Each supplies the token itself or a JSON object with `access_token` and `expires_in`.  It is
    read again before the token expires, and when the server does not accept the token.
    """

    token_file: str | os.PathLike[str] | None = None
    """A file that holds the token."""
    command: tuple[str, ...] | None = field(default=None, repr=False)
    """A command that prints the token, as a list of its words."""
    fetch: FetchToken | None = field(default=None, repr=False)
    """An async callback that returns the token; in Python only."""
    expires_in: int | None = None
    """The lifetime of a token in seconds, if neither the token nor its JSON has one."""

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
    """One address of record, its servers, and the rules for its calls."""

    aor: str
    """The address of record, "sip:user@domain"."""
    registrar: str | None = None
    """The server to register with: "sips:host" selects TLS, "sip:host;transport=tls|tcp|udp" names
    the transport; a name is looked up by RFC 3263.  A sips: registrar only selects TLS (RFC 5630:
    requests say sip:…;transport=tls unless `aor` is sips:)."""
    nodes: tuple[str, ...] = ()
    """Servers in order of preference, instead of `registrar`, at most 5: when one is lost the next
    is used, and a preferred one again once it is back."""
    outbound_proxy: str | None = None
    """A server that every request goes to first."""
    display_name: str | None = None
    """The display name that far ends see."""
    persona: str = "standard"
    """The device's SIP behavior: "standard", "cisco_phone", "as_sip" or "oauth"."""
    listen: str | None = None
    """The address for direct calls without a registrar: "tls:127.0.0.1:5061"."""
    expires: int = 3600
    """The registration's lifetime to ask for, in seconds, 1 to 86400."""
    instance: str | None = None
    """The URN of this user agent (RFC 5626 section 4.1); by default a new one each time."""
    reg_id: int = 1
    """The number of this user agent's flow to the server (RFC 5626): accounts with the same `aor`
    and `instance` and different `reg_id` are flows to the same phone."""
    fips: bool | None = None
    """FIPS mode on or off, whatever the platform says; see `softphone.trust.fips.mode`."""
    accept_from: tuple[str, ...] = ()
    """Further addresses or networks that may send new requests over UDP, such as a farm of SBCs."""
    timer_c: int = 180
    """Seconds that an outgoing call may ring without a further response (RFC 3261 section 16.6); 0:
    without limit."""
    own_user_only: bool = False
    """Whether requests for a user part other than the AOR's and the Contact's get 404 (RFC 3261
    section 8.2.2.1); a trunk with many numbers needs False."""
    credentials: CredentialConfig | None = None
    """The digest user; in a file `[[credentials]]` for each of several."""
    further_credentials: tuple[CredentialConfig, ...] = ()
    """Other users for other realms, which they list."""
    device: DeviceIdentity | None = None
    """The device that a CUCM persona registers."""
    oauth: OAuthConfig | None = None
    """The source of the "oauth" persona's token."""
    tls: TlsConfig = field(default_factory=TlsConfig)
    """The trust anchors, client certificate and limits of TLS connections."""
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    """The security policy of a whole call."""
    media: MediaPreferences = field(default_factory=MediaPreferences)
    """The permitted media of a call."""
    quality: QualityConfig | None = None
    """The collector of quality reports; by default none."""
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    """Limits on incoming connections of an account that listens."""

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
        """Refuse a token without TLS, which would expose it, or beside digest credentials."""
        if self.oauth is not None and not self.secure_transport:
            raise ConfigurationError(
                "registrar: a token is shown over TLS only: use sips: or transport=tls"
            )
        if self.oauth is not None and self.credentials is not None:
            raise ConfigurationError("credentials: digest and a token do not go together")

    def _check_realms(self) -> None:
        """Refuse users whose realms do not say which of them answers."""
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
        """Check the nodes, which must share one transport, and make the first the registrar."""
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
        """The facts about the account that its persona needs."""
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
        """The outbound proxy, else the registrar; None for an account that only listens."""
        if self.outbound_proxy is not None:
            return parse_sip_uri(self.outbound_proxy, what="outbound_proxy")
        if self.registrar is not None:
            return parse_sip_uri(self.registrar, what="registrar")
        return None

    @property
    def server_uris(self) -> tuple[SipUri, ...]:
        """All of the account's own servers: nodes, registrar and outbound proxy."""
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
        """Whether signaling certainly runs over TLS."""
        return self.transport is Transport.TLS

    @property
    def srtp(self) -> SrtpPolicy:
        """The demand on the media: as configured, else off over UDP and TCP, otherwise required."""
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
        """Make the policy of this account's calls; `srtp` overrides its demand on the media."""
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
        """Return transport, address and port of `listen`.  Raises ConfigurationError."""
        match = re.fullmatch(
            r"(udp|tcp|tls):(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):([0-9]{1,5})", self.listen or ""
        )
        if match is None or int(match[3]) > 65535:
            raise ConfigurationError(
                f"listen: {self.listen!r} is not of the form tls:127.0.0.1:5061"
            )
        return Transport(match[1]), match[2].strip("[]"), int(match[3])

    def target_uri(self, target: str) -> SipUri:
        """Make the URI to call of a SIP URI, "user@host", or a user of our own domain ("600").

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
        """Return a copy with other media preferences."""
        return replace(self, media=replace(self.media, **changes))  # type: ignore[arg-type]


def _settled_transport(uri: SipUri, key: str) -> Transport | None:
    """Return the transport that a server certainly uses; None leaves it to DNS."""
    named = _transport_of(uri, key)
    if named is None and (uri.port is not None or is_numeric(uri.host)):
        return Transport.UDP  # RFC 3263 section 4.1: nothing is left for DNS to say
    return named


def _transport_of(uri: SipUri, key: str) -> Transport | None:
    """Return the transport that a server's URI names, or None (RFC 3263 section 4.1)."""
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
