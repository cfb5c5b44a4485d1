"""AccountConfig: the complete configuration of one account, as frozen values.

An application makes it in Python, or `softphone.config.account_file` reads it from a file.  It is
checked when it is made: an invalid value raises ConfigurationError before anything is sent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING, Self, TypeAlias, cast

from softphone.call.leg.dtmf import DigitMethod
from softphone.call.leg.guards import CallGuards, OnMediaTimeout
from softphone.call.leg.rtcp_xr_demand import RtcpXrMode
from softphone.config.dial_policy import DialPolicyConfig
from softphone.config.dscp import DscpConfig
from softphone.config.listener import (
    DIGEST_ALGORITHMS,
    AllowList,
    ChallengeConfig,
    parse_networks,
)
from softphone.config.presets import preset_named
from softphone.config.routing import RouteConfig
from softphone.errors import ConfigurationError
from softphone.extras import install_command, require_module
from softphone.media.processing import NoiseSuppression, VoiceProcessing
from softphone.media.video import VIDEO_CODECS
from softphone.personas import DeviceIdentity, PersonaLine
from softphone.sans_io import Transport
from softphone.security import (
    DEFAULT_SUITES,
    ClientCertificates,
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
from softphone.sip import (
    AbsoluteUri,
    MalformedMessage,
    NameAddr,
    SipUri,
    explain_no_sip_uri,
    is_numeric,
    parse_loose_route,
    parse_target,
    parse_uri,
)
from softphone.sip.auth import FetchBearer
from softphone.value_types import check_names, settle_types
from softphone_codecs import CodecUnavailable, codec_names, find_codec

if TYPE_CHECKING:
    from softphone.media.detection import SpeechModel

MAXIMUM_REALMS = 16
MAXIMUM_NODES = 5
LEAST_INTERVAL = 10
MOST_CONNECTIONS = 1_000_000
LONGEST_GUARD = 7 * 86400
MOST_FRESHNESS = 3600
MOST_OPTIONS_INTERVAL = 3600
_CALLED_NUMBER = re.compile(r"\+?[0-9]{1,32}")
_URN = re.compile(r"urn:[A-Za-z0-9][A-Za-z0-9-]{1,31}:[A-Za-z0-9()+,.:=@;$_!*'%/?-]{1,255}")
_HOST = re.compile(r"(?=.{1,253}$)(?![0-9.]+$)[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?\.?")
_AIA_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?"
)
_PIN = re.compile(r"(?:sha256:)?[0-9a-f]{2}(?::?[0-9a-f]{2}){31}", re.I)


def parse_sip_uri(text: str, *, what: str) -> SipUri:
    """Parse a sip: or sips: URI.  Raises ConfigurationError that begins with `what`."""
    try:
        uri = parse_uri(text)
    except MalformedMessage as error:
        advice = explain_no_sip_uri(text, error.reason)
        raise ConfigurationError(f"{what}: {text!r} is not a SIP URI: {advice}") from error
    if isinstance(uri, AbsoluteUri):
        advice = explain_no_sip_uri(text)
        raise ConfigurationError(f"{what}: {text!r} is not a sip: or sips: URI: {advice}")
    return uri


_STUN = re.compile(r"auto:(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?")


def _stun_server(advertised: str | None) -> tuple[str, int] | None:
    """The STUN server of `auto:HOST[:PORT]`; None for anything else.

    Raises ConfigurationError.
    """
    if advertised is None or advertised.partition(":")[0] != "auto":
        return None
    match = _STUN.fullmatch(advertised)
    port = int(match[3] or 3478) if match else 0
    if match is None or not 1 <= port <= 65535:
        raise ConfigurationError(
            f"advertised: {advertised[:64]!r} is not of the form auto:stun.example.test:3478;"
            " a STUN server has to be named, there is no default"
        )
    return match[1] or match[2], port


def _check_advertised(advertised: str | None) -> None:
    """Refuse what is neither the address of one host, nor a host name, nor a STUN server."""
    server = _stun_server(advertised)
    host = advertised if server is None else server[0]
    if host is None:
        return
    if is_numeric(host):
        address = ip_address(host)
        if not address.is_unspecified and not address.is_multicast:
            return
    elif _HOST.fullmatch(host) is not None:
        return
    raise ConfigurationError(
        f"advertised: {host[:64]!r} is neither the address of one host nor a host name"
    )


def _check_seconds(key: str, seconds: float) -> None:
    """Refuse what is not from 0 (never) to a week of seconds; NaN compares false, too."""
    if not 0 <= seconds <= LONGEST_GUARD:
        raise ConfigurationError(
            f"{key}: {seconds:g} is not between 0 (never) and {LONGEST_GUARD} seconds"
        )


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
    """Where the credentials are written, for error messages.

    :meta private:
    """

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
    """A PEM file with the certificate, and its chain, that is shown to servers; a listener shows it
    to its clients, too, unless it has one of its own."""
    key: str | os.PathLike[str] | None = None
    """A PEM file with the certificate's private key."""
    pin: str | None = None
    """The one server certificate to accept: the 64 hex digits of its SHA-256, which may have
    colons and "sha256:" before them."""
    server_name: str | None = None
    """The name that the server's certificate must have, instead of the URI's domain (RFC 5922)."""
    minimum: TlsVersion = TlsVersion.TLS_1_2
    """The oldest accepted version of TLS."""
    passphrase: KeyMaterial | None = None
    """The passphrase of an encrypted key; in a file the only line of `passphrase_file`."""
    store: str | os.PathLike[str] | None = None
    """Where the certificates are kept that a person has accepted: a folder, or "keyring:NAME", the
    item of that name in the desktop's keyring."""
    server_certificate: str | os.PathLike[str] | None = None
    """A PEM file with the certificate, and its chain, that a listener shows to its clients."""
    server_key: str | os.PathLike[str] | None = None
    """A PEM file with the private key of `server_certificate`."""
    server_passphrase: KeyMaterial | None = None
    """The passphrase of `server_key`; in a file the only line of `server_passphrase_file`."""
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Where keys are written, with file and line, for error messages.

    :meta private:
    """
    aia_hosts: tuple[str, ...] = ()
    """Hosts from which issuers that a server does not show may be fetched over HTTP (AIA caIssuers,
    RFC 5280): "host" for port 80, or "host:port".  Without any, none is fetched."""
    resume_sessions: bool = False
    """Whether a session of TLS 1.3 is kept in memory when a connection to the account's servers
    ends, for an hour at most, and resumed by the next one (RFC 8446 section 2.2).  The server's
    certificates are judged again."""
    key_log: str | os.PathLike[str] | None = None
    """The file that TLS secrets are appended to; `--tls-key-log` sets it, and no account file.

    :meta private:
    """

    def place_of(self, key: str) -> str:
        """Return a key with where it is written, as an error message begins.

        :meta private:
        """
        return self.places.get(key, f"tls.{key}")

    @property
    def listed_aia_hosts(self) -> frozenset[str]:
        """The `aia_hosts` in lower case, without port 80.

        :meta private:
        """
        return frozenset(host.lower().removesuffix(":80") for host in self.aia_hosts)

    def __post_init__(self) -> None:
        if not isinstance(self.ca, tuple):
            raise ConfigurationError("tls.ca: give a tuple of paths, as in ca=(path,)")
        settle_types(self, "tls")
        if self.pin is not None and _PIN.fullmatch(self.pin) is None:
            raise ConfigurationError("tls.pin: expected the certificate's SHA-256, 64 hex digits")
        for host in self.aia_hosts:
            if _AIA_HOST.fullmatch(host) is None:
                raise ConfigurationError(
                    f'tls.aia_hosts: "{host}" is no host: expected a name or address, and ":port"'
                )
        if (self.certificate is None) != (self.key is None):
            missing = "tls.key" if self.key is None else "tls.certificate"
            raise ConfigurationError(f"{missing}: a client certificate and its key go together")
        if (self.server_certificate is None) != (self.server_key is None):
            missing = "server_key" if self.server_key is None else "server_certificate"
            raise ConfigurationError(f"tls.{missing}: a certificate and its key go together")


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

    def __post_init__(self) -> None:
        settle_types(self, "policy")


class VoiceActivityMethod(StrEnum):
    """What finds speech in received audio: its spectrum, or a neural model (silero's, by
    onnxruntime)."""

    SPECTRAL = "spectral"
    NEURAL = "neural"


@dataclass(frozen=True, slots=True)
class MediaPreferences:
    """The permitted media of a call: SRTP, suites, codecs, ports."""

    srtp: SrtpPolicy | None = None
    """Whether media must be SRTP.  By default required over TLS, off over UDP and TCP."""
    suites: tuple[CryptoSuite, ...] = DEFAULT_SUITES
    """The crypto suites to offer and accept, in order of preference (RFC 4568, RFC 7714); those of
    RFC 6188, such as "AES_256_CM_HMAC_SHA1_80", only where they are listed."""
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
    timeout: float = 30.0
    """Seconds without RTP and RTCP, while both ends should send, until `MediaLost` reports it;
    0: never."""
    on_timeout: OnMediaTimeout = OnMediaTimeout.REPORT
    """What then happens to the call: "report" leaves it, "hangup" ends it."""
    clear_latching: str | tuple[str, ...] = "off"
    """Whether media in clear may come from one host other than the signaled one (NAT): "off",
    "once", or a list of that host's permitted networks, such as "192.0.2.0/24".  Never under
    SRTP."""
    opportunistic: bool = False
    """With `srtp = "optional"`: offer RTP/AVP with crypto lines (OSRTP, RFC 8643), instead of
    RTP/SAVP and, after a 488, RTP/AVP in a second INVITE."""
    voice_activity: VoiceActivityMethod = VoiceActivityMethod.SPECTRAL
    """What finds speech where it is detected: "spectral" is built in, "neural" needs
    `softphone[voice-activity]`."""
    voice_activity_model: str | os.PathLike[str] | None = None
    """With "neural": silero's ONNX file.  By default that of an installed package."""
    echo_cancellation: bool = False
    """Whether the echo of what we send is removed from received audio; it needs
    `softphone[voice-processing]`."""
    noise_suppression: NoiseSuppression = NoiseSuppression.OFF
    """How much steady noise in received audio is reduced: "low", "moderate", "high" or "very_high"
    (6, 12, 18 or 21 dB); it needs `softphone[voice-processing]`."""

    @property
    def voice_processing(self) -> VoiceProcessing | None:
        """What removes echo and noise from received audio; None: nothing does.

        :meta private:
        """
        if not self.echo_cancellation and self.noise_suppression is NoiseSuppression.OFF:
            return None
        return VoiceProcessing(self.echo_cancellation, self.noise_suppression)

    def load_speech_model(self) -> SpeechModel | None:
        """Return the model that finds speech, which is loaded once; None where the spectrum does.

        Raises ConfigurationError for a file that is no such model.

        :meta private:
        """
        if self.voice_activity is VoiceActivityMethod.SPECTRAL:
            return None
        from softphone.media.detection import load_speech_model

        return load_speech_model(self.voice_activity_model)

    def _check_voice_activity(self) -> None:
        if self.voice_activity is VoiceActivityMethod.NEURAL:
            from softphone.media.detection import find_speech_model

            find_speech_model(self.voice_activity_model)
        elif self.voice_activity_model is not None:
            raise ConfigurationError(
                'media.voice_activity_model: it goes with voice_activity = "neural"'
            )

    @property
    def adoptable_networks(self) -> tuple[str, ...]:
        """The networks from which media in clear may be adopted; () for none.

        :meta private:
        """
        if isinstance(self.clear_latching, tuple):
            return self.clear_latching
        return ("0.0.0.0/0", "::/0") if self.clear_latching == "once" else ()

    def _check_timeout(self) -> None:
        _check_seconds("media.timeout", self.timeout)

    def _check_clear_latching(self) -> None:
        if self.clear_latching in ("off", "once"):
            return
        if not isinstance(self.clear_latching, tuple) or not self.clear_latching:
            raise ConfigurationError(
                f'media.clear_latching: {self.clear_latching!r} is not "off", "once" or a list of '
                'networks such as ["192.0.2.0/24"]'
            )
        parse_networks(self.clear_latching, "media.clear_latching")

    def _check_codecs(self) -> None:
        for codec in self.codecs:
            if codec.upper() not in codec_names():
                raise ConfigurationError(
                    f"media.codecs: {codec!r} is unknown; known are {', '.join(codec_names())}"
                )
            try:
                find_codec(codec).check_available()
            except CodecUnavailable as exc:
                raise ConfigurationError(
                    f"media.codecs: {exc}: {install_command('video')}, or leave {codec!r} out"
                ) from exc
        for codec in self.video:
            if codec not in VIDEO_CODECS:
                raise ConfigurationError(
                    f"media.video: {codec!r} is unknown; known are {', '.join(VIDEO_CODECS)}"
                )
        if self.video:
            require_module("av", "video", "media.video: video needs PyAV")

    def __post_init__(self) -> None:
        settle_types(self, "media", ports="(40000, 49999)", codecs='("PCMU", "PCMA")')
        self._check_clear_latching()
        self._check_timeout()
        self._check_voice_activity()
        _ = self.voice_processing  # it says what to install where that is missing
        if not self.suites:
            raise ConfigurationError("media.suites: at least one crypto suite is needed")
        if not self.codecs:
            raise ConfigurationError("media.codecs: at least one codec is needed")
        self._check_codecs()
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
    """Limits on incoming connections of an account that listens, and on calls."""

    connections: int = 4096
    """The maximum number of simultaneous connections."""
    connections_per_source: int = 256
    """The maximum number per address (/64 in IPv6)."""
    handshakes_per_source: int = 16
    """The maximum number of simultaneous TLS handshakes per source; further ones wait."""
    trusted_sources: tuple[str, ...] = ()
    """Addresses or networks that no limit per source applies to: a NAT or SBC with many clients."""
    calls: int = 0
    """The maximum number of simultaneous calls, ringing ones and our own included; a further call
    that comes in is refused.  0: without limit."""
    calls_per_source: int = 0
    """The maximum number of incoming calls per address (/64 in IPv6) that is neither a server of
    ours nor trusted.  0: a quarter of `calls`."""
    calls_status: int = 486
    """The response to a call too many: 486 (Busy Here), or on a trunk 503, on which the far end
    tries its next route.  A proxy takes 503 for a failed phone."""
    call_duration: float = 0.0
    """Seconds after which an answered call is hung up.  0: never."""

    def __post_init__(self) -> None:
        settle_types(self, "limits")
        self._check_calls()
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

    def _check_calls(self) -> None:
        for key, number in (("calls", self.calls), ("calls_per_source", self.calls_per_source)):
            if not 0 <= number <= MOST_CONNECTIONS:
                raise ConfigurationError(
                    f"limits.{key}: {number} is not between 0 (no limit) and {MOST_CONNECTIONS}"
                )
        if self.calls_status not in (486, 503):
            raise ConfigurationError(f"limits.calls_status: {self.calls_status} is not 486 or 503")
        _check_seconds("limits.call_duration", self.call_duration)

    @property
    def most_calls_per_source(self) -> int:
        """The maximum number of calls of one unknown source; 0: without limit."""
        return self.calls_per_source or -(-self.calls // 4)

    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Parse the networks of `trusted_sources`.  Raises ConfigurationError."""
        return parse_networks(self.trusted_sources, "limits.trusted_sources")


class UnregisterOrder(StrEnum):
    """When a drained account removes its binding: before its calls have ended, or after."""

    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class DrainConfig:
    """How an account leaves while calls are up: `Account.drain`, and SIGTERM to the commands."""

    timeout: float = 25.0
    """Seconds that calls have to end by themselves; those left are then hung up."""
    unregister: UnregisterOrder | None = None
    """When the binding is removed: "first", so that callers go elsewhere, or "last".  By default
    first, but last with the personas of CUCM, which clears the calls of a phone that
    unregisters.
    """

    def __post_init__(self) -> None:
        _check_seconds("drain.timeout", self.timeout)
        if self.unregister not in (None, *UnregisterOrder):
            raise ConfigurationError(
                f'drain.unregister: {self.unregister!r} is neither "first" nor "last"'
            )


@dataclass(frozen=True, slots=True)
class WatchersConfig:
    """Who may watch this account's calls: by way of its server, or from `accept_from`."""

    calls: bool = False
    """Whether watchers are notified of the account's calls: state, direction and far end."""
    pickup: tuple[str, ...] = ()
    """The addresses of watchers who are also sent what takes a ringing call over: its Call-ID, tags
    and target."""

    def __post_init__(self) -> None:
        for address in self.pickup:
            if parse_sip_uri(address, what="watchers.pickup").user is None:
                raise ConfigurationError(f"watchers.pickup: {address!r} names no user")
        if self.pickup and not self.calls:
            raise ConfigurationError("watchers.pickup: only with calls = true is anything told")

    def may_pick_up(self, watcher: SipUri) -> bool:
        """Whether `pickup` lists a watcher, by user and host.

        :meta private:
        """
        listed = (parse_sip_uri(address, what="watchers.pickup") for address in self.pickup)
        return any(
            one.user == watcher.user and one.host.lower() == watcher.host.lower() for one in listed
        )


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


@dataclass(frozen=True, slots=True)
class StirConfig:
    """The verification of callers' signed numbers (STIR/SHAKEN, RFC 8224)."""

    anchors: tuple[str | os.PathLike[str], ...]
    """Files or folders of PEM certificates of the authorities that vouch for carriers: the list of
    your country's STI policy administrator.  Not the web's."""
    https_ca: tuple[str | os.PathLike[str], ...] = ("system",)
    """The authorities of the web servers that hold the carriers' certificates; "system" is the
    system's store."""
    numbers: tuple[str, ...] = ()
    """Our own numbers, "+15550102000"; by default those in To and in the Request-URI count, and
    then a token for a call to another number may be used again for one to us."""
    freshness: float = 60.0
    """Seconds that a token may be older or newer than now."""
    allow_networks: tuple[str, ...] = ()
    """Networks that a certificate may be fetched from though they are not public, such as a
    laboratory's "127.0.0.0/8".  A caller names the address: with none, only public ones are."""

    def __post_init__(self) -> None:
        if not self.anchors or not isinstance(self.anchors, tuple):
            raise ConfigurationError("stir.anchors: give at least one file of certificates")
        if not isinstance(self.https_ca, tuple):
            raise ConfigurationError("stir.https_ca: give a tuple of paths, as in ca=(path,)")
        if not 1 <= self.freshness <= MOST_FRESHNESS:
            raise ConfigurationError(
                f"stir.freshness: {self.freshness:g} is not between 1 and {MOST_FRESHNESS} seconds"
            )
        self.allowed_networks()
        for number in self.numbers:
            if _CALLED_NUMBER.fullmatch(number) is None:
                raise ConfigurationError(
                    f"stir.numbers: {number!r} is no number such as +15550102000"
                )

    def allowed_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Parse `allow_networks`.  Raises ConfigurationError.

        :meta private:
        """
        return parse_networks(self.allow_networks, "stir.allow_networks")

    def canonical_numbers(self) -> frozenset[str]:
        """Return our own numbers without "+" (RFC 8224 section 8.3).

        :meta private:
        """
        return frozenset(number.removeprefix("+") for number in self.numbers)


FetchToken: TypeAlias = Callable[[], Awaitable[str]]
"""Returns a bearer token, or the JSON object of a token endpoint's response (RFC 6749 5.1)."""


_URL_KEYS = (
    *("issuer", "authorization_endpoint", "token_endpoint"),
    *("device_authorization_endpoint", "revocation_endpoint"),
)
_SIGN_ON_KEYS = (*_URL_KEYS, "scope", "redirect_port", "store", "keyring", "passphrase", "tls")


@dataclass(frozen=True, slots=True)
class OAuthConfig:
    """The source of the bearer token: one of a file, a command and an async callback, or a sign-on.

    Each supplies the token itself or a JSON object with `access_token` and `expires_in`.  It is
    read again before the token expires, and when the server does not accept the token.

    With a `client_id` tokens are those of an authorization server: a person signs in once, they are
    kept in `store` or `keyring`, and refreshed.  The file, command or callback is then where the
    first token comes from, if one is given.
    """

    token_file: str | os.PathLike[str] | None = None
    """A file that holds the token."""
    command: tuple[str, ...] | None = field(default=None, repr=False)
    """A command that prints the token, as a list of its words."""
    fetch: FetchToken | None = field(default=None, repr=False)
    """An async callback that returns the token; in Python only."""
    expires_in: int | None = None
    """The lifetime of a token in seconds, if neither the token nor its JSON has one; by default
    3,600."""
    client_id: str | None = None
    """Our identifier at the authorization server, as registered there."""
    issuer: str | None = None
    """The authorization server's issuer, an https: URL: its metadata name the endpoints that are
    not given here (RFC 8414), and its answers must name the same issuer (RFC 9207)."""
    scope: str = ""
    """The scope to ask for; by default the server's choice."""
    authorization_endpoint: str | None = None
    """Where the browser is sent."""
    token_endpoint: str | None = None
    """Where tokens are fetched and refreshed; at CUCM your administrator knows it."""
    device_authorization_endpoint: str | None = None
    """Where device codes are fetched (RFC 8628)."""
    revocation_endpoint: str | None = None
    """Where tokens are revoked (RFC 7009)."""
    redirect_port: int = 0
    """The port on loopback that the browser comes back to; by default any that is free."""
    store: str | os.PathLike[str] | None = None
    """A file that keeps the tokens, 0600; without a passphrase they are not encrypted there."""
    keyring: str | None = None
    """The name in the user's keyring that keeps the tokens, instead of `store`."""
    passphrase: KeyMaterial | None = None
    """The passphrase that encrypts `store`; in a file the only line of `passphrase_file`."""
    tls: TlsConfig | None = None
    """The trust anchors for the authorization server; `[oauth.tls]`, else `[tls]` without its
    pin."""
    source: FetchBearer | None = field(default=None, repr=False)
    """An async callback that keeps its token fresh itself, as `TokenKeeper.bearer` does: it is
    asked every 45 seconds, and told when the server does not accept the token; in Python only."""

    def __post_init__(self) -> None:
        sources = (self.token_file, self.command, self.fetch, self.source)
        given = [one for one in sources if one is not None]
        if self.client_id is not None:
            self._check_sign_on(len(given))
        elif len(given) != 1:
            raise ConfigurationError(
                "oauth.token_file: give one of token_file, command and a callback, and one only"
            )
        if self.command is not None and not self.command:
            raise ConfigurationError("oauth.command: the command is empty")
        if self.expires_in is not None and self.expires_in < 1:
            raise ConfigurationError("oauth.expires_in: expected a number of seconds above 0")
        alone = [key for key in _SIGN_ON_KEYS if getattr(self, key) not in (None, "", 0)]
        if self.client_id is None and alone:
            raise ConfigurationError(f"oauth.{alone[0]}: it needs a client_id")

    def _check_sign_on(self, given: int) -> None:
        if given > 1 or self.source is not None:
            raise ConfigurationError("oauth.token_file: give one source of the first token at most")
        if self.issuer is None and self.token_endpoint is None:
            raise ConfigurationError("oauth.issuer: give the issuer, or the token_endpoint")
        if (self.store is None) == (self.keyring is None):
            raise ConfigurationError("oauth.store: give store or keyring, one and only one")
        if self.passphrase is not None and self.store is None:
            raise ConfigurationError("oauth.passphrase_file: a keyring needs no passphrase")
        for key in _SIGN_ON_KEYS:
            url = getattr(self, key) if key in _URL_KEYS else None
            if url is not None and not url.startswith("https://"):
                raise ConfigurationError(f"oauth.{key}: {url!r} is not an https: address")


@dataclass(frozen=True, slots=True)
class EdgeAccess:
    """Mobile and remote access: the account's server is reached through edge servers (Expressway).

    Their certificates must name the host and the domain; no certificate of ours is shown; SRTP is
    always required; the lock is never shown, since an edge decrypts what passes it.
    """

    domain: str
    """The domain that the edges serve, which their certificates have to name."""
    servers: tuple[str, ...]
    """The edge servers for SIP over TLS, "host" or "host:port" (5061), at most 5: when one is lost,
    the next is used."""
    route: str = ""
    """The Route of requests as the edge tells it, "<sip:192.0.2.1:5061;transport=tls;lr>"; by
    default none is sent."""

    def __post_init__(self) -> None:
        settle_types(self, "edge")
        if is_numeric(self.domain) or "." not in self.domain or not _HOST.fullmatch(self.domain):
            raise ConfigurationError(f"edge.domain: {self.domain[:64]!r} is no domain")
        if not 1 <= len(self.servers) <= MAXIMUM_NODES or len(set(self.uris)) != len(self.servers):
            raise ConfigurationError(
                f"edge.servers: give 1 to {MAXIMUM_NODES} edge servers, each once"
            )
        try:
            self.route_set  # noqa: B018 - raises MalformedMessage
        except MalformedMessage as error:
            raise ConfigurationError(f"edge.route: {error.reason}") from error

    @property
    def uris(self) -> tuple[str, ...]:
        """The servers as sips: URIs.  Raises ConfigurationError.

        :meta private:
        """
        found = []
        for text in self.servers:
            host, colon, port = text.partition(":")
            good = port.isascii() and port.isdigit() and len(port) < 6 if colon else True
            if not good or not _HOST.fullmatch(host) or not 0 < int(port or 5061) < 65536:
                raise ConfigurationError(
                    f"edge.servers: {text[:64]!r} is not of the form host or host:port; a server is"
                    " named in full, as its certificate names it"
                )
            found.append(f"sips:{host}:{port or 5061}")
        return tuple(found)

    @property
    def route_set(self) -> tuple[NameAddr, ...]:
        """The Route of requests outside dialogs.

        :meta private:
        """
        return (parse_loose_route(self.route),) if self.route else ()


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """One address of record, its servers, and the rules for its calls."""

    aor: str
    """The address of record, `sip:user@domain`."""
    registrar: str | None = None
    """The server to register with: `sips:host` selects TLS, `sip:host;transport=tls|tcp|udp` names
    the transport; a name is looked up by RFC 3263.  A sips: registrar only selects TLS (RFC 5630:
    requests say sip:…;transport=tls unless `aor` is sips:)."""
    nodes: tuple[str, ...] = ()
    """Servers in order of preference, instead of `registrar`, at most 5: when one is lost the next
    is used, and a preferred one again once it is back."""
    outbound_proxy: str | None = None
    """A server that every request goes to first."""
    fallback_proxies: tuple[str, ...] = ()
    """Servers that take the place of `outbound_proxy`, in this order, while it does not serve; only
    with `options_interval`, at most 4."""
    options_interval: int = 0
    """Seconds between OPTIONS requests to an `outbound_proxy` that the account does not register
    with, 10 to 3600: who does not answer, or says 503, is left for the next server.  0: none are
    sent.  A registration has probes of its own."""
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
    """Peers that may send new requests beside our server: addresses and networks, and
    "certificate:NAME" for a domain that a verified certificate names.  An account that listens
    takes calls from these only; one that does not, over UDP, from its server and these."""
    client_certificates: ClientCertificates = ClientCertificates.REQUIRED
    """Whether a TLS listener demands a client's certificate: "required"; "optional", which still
    refuses a bad one; or "none".  Less than required needs `challenge`, `accept_from` or `open`."""
    accept_server_certificates_as_clients: bool = False
    """Whether a TLS listener takes a client's certificate that is for servers only, as public
    authorities issue them since 2026: of the names that `accept_from` lists as "certificate:NAME",
    and of nobody else; never in FIPS mode."""
    open: bool = False
    """Whether a TLS listener takes calls of everybody, with no certificate and no digest."""
    trust_identity_from: tuple[str, ...] = ()
    """Addresses or networks of servers that may assert callers' identities without TLS, such as a
    PBX in the same room.  The account's own server is trusted over verified TLS (RFC 3325).
    """
    preset: str | None = None
    """The carrier whose rules the account keeps: "whatsapp", "openai", "twilio", "teams", "telnyx"
    or "telekom".  In a file it fills what is not given; in Python `with_preset` does."""
    reinvite: bool = True
    """Whether the far end takes re-INVITE.  With False none is sent: calls are not held, and no
    session timer is asked for."""
    mediasec: bool = False
    """Whether media security is agreed with the server by RFC 3329 (mediasec, TS 24.229)."""
    contact_host: str | None = None
    """The full name of this host to write into Contact in the place of an address, with the port
    of the listener."""
    timer_c: int = 180
    """Seconds that an outgoing call may ring without a further response (RFC 3261 section 16.6); 0:
    without limit."""
    own_user_only: bool = False
    """Whether requests for a user part other than the AOR's and the Contact's get 404 (RFC 3261
    section 8.2.2.1); a trunk with many numbers needs False."""
    pickup: str | None = None
    """What is dialed to pick up a call that rings at another user, whose name takes the place of
    `{user}`: `*8{user}`.  Not needed where the server tells watchers how to take the call over."""
    music_on_hold: str | None = None
    """What held far ends hear (RFC 7088): a SIP URI, or a user of our own domain, that plays
    music.  Media flows from there to the far end directly."""
    publish_presence: bool = False
    """Whether the account publishes (PUBLISH, RFC 3903) that it is available, and whether it is on
    the phone."""
    credentials: CredentialConfig | None = None
    """The digest user; in a file `[[credentials]]` for each of several."""
    further_credentials: tuple[CredentialConfig, ...] = ()
    """Other users for other realms, which they list."""
    challenge: ChallengeConfig | None = None
    """The digest that callers have to give; by default none."""
    routes: tuple[RouteConfig, ...] = ()
    """Where calls go by the number that they call; a number without a route gets 404.  Without
    routes all come here; in a file `[[routes]]`."""
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
    stir: StirConfig | None = None
    """The verification of callers' signed numbers; by default none are verified."""
    quality: QualityConfig | None = None
    """The collector of quality reports; by default none."""
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    """Limits on incoming connections of an account that listens, and on calls."""
    drain: DrainConfig = field(default_factory=DrainConfig)
    """How the account leaves while calls are up."""
    dscp: DscpConfig = field(default_factory=DscpConfig)
    """How packets are marked for the network."""
    advertised: str | None = None
    """The address at which others reach this host, or a name that is looked up at the start: it
    stands in Contact and session descriptions in the place of our own.  For a host behind a 1:1
    NAT, as in most clouds.  "auto:stun.example.test" asks that STUN server, from each media port;
    ":3478" may follow."""
    watchers: WatchersConfig = field(default_factory=WatchersConfig)
    """Who may watch this account's calls."""
    dial_policy: DialPolicyConfig | None = None
    """What the account may dial; without it all that its server lets through."""
    edge: EdgeAccess | None = None
    """The edge servers through which the server is reached from outside."""

    def __post_init__(self) -> None:
        self._check_edge()
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
        _check_advertised(self.advertised)
        self._check_public_media()
        if self.instance is not None and _URN.fullmatch(self.instance) is None:
            raise ConfigurationError(f"instance: {self.instance!r} is no URN, as urn:uuid:… is")
        if not 1 <= self.reg_id < 2**31:
            raise ConfigurationError(f"reg_id: {self.reg_id} is not between 1 and 2^31 - 1")
        if not 0 <= self.timer_c <= 86400:
            raise ConfigurationError(
                f"timer_c: {self.timer_c} is not between 0 (never) and 86400 seconds"
            )
        self._check_admission()
        self._check_carrier()
        self._check_trunk()
        parse_networks(self.trust_identity_from, "trust_identity_from")
        self._show_own_certificate()
        self._check_pickup()
        self._check_music_on_hold()
        if self.registrar is None and self.outbound_proxy is None and self.listen is None:
            raise ConfigurationError(
                "registrar: give the server to register with, or 'listen' for direct calls"
            )

    def _check_edge(self) -> None:
        """Refuse what an edge rules out."""
        edge = self.edge
        if edge is None:
            return
        if self.registrar is None or self.nodes or self.listen is not None:
            raise ConfigurationError(
                "edge: give one registrar, as it is called inside; an edge leads to no list of"
                " nodes, and to no listener"
            )
        if self.outbound_proxy is not None:
            raise ConfigurationError("edge: the edge servers take the place of outbound_proxy")
        if self.tls.certificate is not None or self.tls.pin is not None:
            raise ConfigurationError(
                "edge: no client certificate is shown to an edge, and only an authority vouches for"
                " it: leave tls.certificate and tls.pin out"
            )
        if self.media.srtp not in (None, SrtpPolicy.REQUIRED):
            raise ConfigurationError("media.srtp: through an edge SRTP is always required")
        if self.policy.minimum not in (None, SecurityLevel.ENCRYPTED):
            raise ConfigurationError("policy.minimum: through an edge calls are always encrypted")

    def with_edge_floor(self, policy: SecurityPolicy) -> SecurityPolicy:
        """Return the policy, with the floor of calls through an edge where the account has one.

        :meta private:
        """
        return policy if self.edge is None else policy.at_edge()

    def _show_own_certificate(self) -> None:
        """Over TLS, show the certificate of the device's store where no other is named."""
        if self.edge is not None:
            return
        path = None if self.device is None else self.device.certificate
        if path is not None and self.tls.certificate is None and not self._clear_transport:
            places = {**self.tls.places, "certificate": "device.store"}
            shown = replace(self.tls, certificate=path, key=path, places=places)
            object.__setattr__(self, "tls", shown)

    @property
    def allow_list(self) -> AllowList:
        """The peers of `accept_from`.  Raises ConfigurationError.

        :meta private:
        """
        return AllowList.parse(self.accept_from)

    def trusts_identity_from(self, host: str) -> bool:
        """Whether `trust_identity_from` names the numeric `host`.

        :meta private:
        """
        address = ip_address(host.partition("%")[0])
        networks = parse_networks(self.trust_identity_from, "trust_identity_from")
        return any(address in network for network in networks)

    def _check_admission(self) -> None:
        """Refuse a listener that would admit everybody without an explicit setting."""
        listed = self.allow_list
        tls = self.listen is not None and self.listen_at()[0] is Transport.TLS
        if listed.names and self.listen is not None and not tls:
            raise ConfigurationError("accept_from: only a TLS listener sees certificates")
        if self.challenge is not None and self.listen is None:
            raise ConfigurationError("challenge: only an account that listens challenges callers")
        if self.accept_server_certificates_as_clients and not (listed.names and tls):
            raise ConfigurationError(
                "accept_server_certificates_as_clients: only a TLS listener with certificate:NAME"
                " in accept_from takes them: give the names that may be shown so"
            )
        if self.open and not tls:
            raise ConfigurationError("open: only a TLS listener has it: leave it out")
        if self.client_certificates is ClientCertificates.REQUIRED:
            if self.open:
                raise ConfigurationError(
                    "open: this listener demands certificates: client_certificates says less"
                )
            return
        if not tls:
            raise ConfigurationError("client_certificates: only a TLS listener asks for them")
        if listed.names and self.client_certificates is ClientCertificates.NONE:
            raise ConfigurationError(
                "accept_from: a certificate is listed, and client_certificates asks for none"
            )
        self._check_open(guarded=bool(self.accept_from) or self.challenge is not None)

    def _check_carrier(self) -> None:
        if self.preset is not None:
            preset_named(self.preset)
        if self.contact_host is not None and (
            is_numeric(self.contact_host) or _HOST.fullmatch(self.contact_host) is None
        ):
            raise ConfigurationError(f"contact_host: {self.contact_host[:64]!r} is no host name")
        if self.mediasec and (self.credentials is None or not self.secure_transport):
            raise ConfigurationError(
                "mediasec: it is agreed over TLS, with a digest: [credentials]"
            )

    def _check_trunk(self) -> None:
        interval = self.options_interval
        if interval and not LEAST_INTERVAL <= interval <= MOST_OPTIONS_INTERVAL:
            raise ConfigurationError(
                f"options_interval: {interval} is neither 0 (never) nor {LEAST_INTERVAL} to"
                f" {MOST_OPTIONS_INTERVAL} seconds"
            )
        if not self.fallback_proxies:
            return
        if self.outbound_proxy is None or self.registrar is not None or not interval:
            raise ConfigurationError(
                "fallback_proxies: they follow an outbound_proxy that the account does not register"
                " with, and options_interval, which shows who serves"
            )
        servers = [self.outbound_proxy, *self.fallback_proxies]
        if len(set(servers)) != len(servers) or len(servers) > MAXIMUM_NODES:
            raise ConfigurationError(
                f"fallback_proxies: give at most {MAXIMUM_NODES - 1} servers, each once"
            )
        reached = {_settled_transport(uri, "fallback_proxies") for uri in self.proxy_uris}
        if None in reached or len(reached) != 1:
            raise ConfigurationError(
                "fallback_proxies: name how each server is reached (sips: or ;transport=tls, tcp or"
                " udp), by the same transport as outbound_proxy"
            )

    @property
    def watches_trunk(self) -> bool:
        """Whether OPTIONS show which of `proxy_uris` serves.

        :meta private:
        """
        return bool(self.options_interval and self.proxy_uris) and self.registrar is None

    @property
    def proxy_uris(self) -> tuple[SipUri, ...]:
        """The outbound proxy and those that take its place, or the edge servers; () without.

        :meta private:
        """
        given = (self.outbound_proxy, *self.fallback_proxies)
        if self.edge is not None:
            given = self.edge.uris
        return tuple(
            parse_sip_uri(text, what="outbound_proxy") for text in given if text is not None
        )

    def with_preset(self, name: str, *, given: Collection[str] | None = None) -> Self:
        """Return the account with a carrier's values for what is not given.

        `given` are the keys that stay, as "media.codecs"; by default those that differ from their
        default.  Raises ConfigurationError for an unknown name.
        """
        return cast("Self", preset_named(name).apply(self, given))

    @property
    def contradictions(self) -> tuple[str, ...]:
        """How the account contradicts the rules of its preset, as sentences."""
        return () if self.preset is None else preset_named(self.preset).contradictions(self)

    def _check_open(self, *, guarded: bool) -> None:
        """Check a TLS listener that demands no certificates."""
        if not guarded and not self.open:
            raise ConfigurationError(
                "client_certificates: without them anybody could call: give [challenge] with users"
                " and passwords, accept_from with the peers, or open = true"
            )
        if guarded and self.open:
            raise ConfigurationError("open: accept_from and challenge say who may call: leave one")
        if self.open and self.security_policy().minimum is not SecurityLevel.NOT_SECURE:
            raise ConfigurationError(
                "open: a call of an unknown peer is never secure, so all would be refused: set"
                ' policy.minimum = "not_secure" (srtp = "required" still encrypts the media)'
            )

    def _check_public_media(self) -> None:
        if self.stun_server is not None and self.media.video:
            raise ConfigurationError(
                "advertised: a STUN server is asked for the ports of audio only: leave media.video"
                " out, or advertise an address"
            )

    def _check_pickup(self) -> None:
        """Refuse a feature code that cannot be dialed."""
        code = self.pickup
        if code is None:
            return
        rest = code.replace("{user}", "")
        if "{" in rest or "}" in rest or "@" in code or not code:
            raise ConfigurationError(f'pickup: {code!r} is no code such as "*8{{user}}"')
        parse_target(code.replace("{user}", "600"), self.aor_uri)

    def _check_music_on_hold(self) -> None:
        """Refuse a music source that cannot be called, and one that no hold would use."""
        source = self.music_on_hold
        if source is None:
            return
        try:
            self.target_uri(source)
        except ConfigurationError as error:
            raise ConfigurationError(f"music_on_hold: {error}") from error
        if not self.reinvite:
            raise ConfigurationError("music_on_hold: with reinvite = false no call is held")

    def pickup_code(self, user: str) -> str | None:
        """The target to dial to pick up a call that rings at `user`; None without a feature code.

        :meta private:
        """
        return None if self.pickup is None else self.pickup.replace("{user}", user)

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
        """The facts about the account that its persona needs.

        :meta private:
        """
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
        """The outbound proxy or first edge, else the registrar; None for one that only listens."""
        if self.edge is not None:
            return self.proxy_uris[0]
        if self.outbound_proxy is not None:
            return parse_sip_uri(self.outbound_proxy, what="outbound_proxy")
        if self.registrar is not None:
            return parse_sip_uri(self.registrar, what="registrar")
        return None

    @property
    def server_uris(self) -> tuple[SipUri, ...]:
        """All of the account's own servers: nodes, registrar and outbound proxy.

        :meta private:
        """
        given = (*self.nodes, self.registrar)
        registrars = (parse_sip_uri(text, what="registrar") for text in given if text is not None)
        return (*registrars, *self.proxy_uris)

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
            strict = demand == SrtpPolicy.REQUIRED and not self._clear_transport
            minimum = SecurityLevel.ENCRYPTED if strict else SecurityLevel.NOT_SECURE
        return _policy(
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

    @property
    def call_guards(self) -> CallGuards:
        """The guards of this account's calls.

        :meta private:
        """
        return CallGuards(
            media_timeout=self.media.timeout,
            on_media_timeout=self.media.on_timeout,
            maximum_duration=self.limits.call_duration,
        )

    @property
    def stun_server(self) -> tuple[str, int] | None:
        """The host and port of the STUN server in `advertised`.

        :meta private:
        """
        return _stun_server(self.advertised)

    def listen_at(self) -> tuple[Transport, str, int]:
        """Return transport, address and port of `listen`.  Raises ConfigurationError.

        :meta private:
        """
        match = re.fullmatch(
            r"(udp|tcp|tls):(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):([0-9]{1,5})", self.listen or ""
        )
        if match is None or int(match[3]) > 65535:
            raise ConfigurationError(
                f"listen: {self.listen!r} is not of the form tls:127.0.0.1:5061"
            )
        return Transport(match[1]), match[2].strip("[]"), int(match[3])

    def target_uri(self, target: str) -> SipUri:
        """Make the URI to call of a SIP URI, `user@host`, or a user of our own domain ("600").

        Raises ConfigurationError.
        """
        uri = parse_target(target, self.aor_uri).uri
        if not isinstance(uri, SipUri):
            raise ConfigurationError(f"target: {target!r} is not a sip: or sips: URI")
        return uri

    def with_media(self, **changes: object) -> Self:
        """Return a copy with other media preferences: the fields of `MediaPreferences`.

        Raises ConfigurationError for a name that is none of them, and for a wrong value.
        """
        check_names(MediaPreferences, changes, "media")
        return replace(self, media=replace(self.media, **changes))  # type: ignore[arg-type]


_policy = lru_cache(maxsize=256)(SecurityPolicy)
"""Each call asks for its account's policy, which is made once for all of them."""


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
