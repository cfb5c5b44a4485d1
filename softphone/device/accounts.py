"""Makes the account configurations of a booted device: one for each of its lines.

Servers, transport and timers come from the device's configuration; the client certificate is the
one that CAPF issued.
"""

from __future__ import annotations

from dataclasses import replace

from softphone.config import (
    DIGEST_ALGORITHMS,
    AccountConfig,
    CredentialConfig,
    DscpConfig,
    MediaPreferences,
    OAuthConfig,
    TlsConfig,
)
from softphone.errors import ConfigurationError
from softphone.personas import DeviceIdentity
from softphone.provisioning import Booted, CallManager, DeviceConfig, DeviceLine, EnrollmentNeeded
from softphone.security import KeyMaterial, SrtpPolicy
from softphone.trust import IdentityStore

PERSONA = "cisco_phone"
_ENCRYPTED = 3
_MOST_NODES = 3
"""The number of servers that phones use."""
_UDP = 2


def device_accounts(
    booted: Booted,
    *,
    persona: str = PERSONA,
    model: int = 503,
    take_over: bool = False,
    oauth: OAuthConfig | None = None,
) -> list[AccountConfig]:
    """Make an account for each line; `model` is the product number (503: a CSF phone).

    `take_over` is as in `DeviceIdentity`; `oauth` is the source of the token, for a device that
    registers with one.  Raises EnrollmentNeeded for a device that needs a certificate and has none,
    ConfigurationError for a device that registers with a token, without `oauth`.
    """
    config = booted.config
    if config.oauth and oauth is None:
        raise ConfigurationError(
            f"{booted.device} registers with a token (OAuth): sign in with tokens, or make an"
            ' account file with persona = "oauth"'
        )
    tls = TlsConfig() if config.oauth else _tls(booted)
    accounts = [line_account(booted, line, tls, persona, model) for line in config.lines]
    if config.oauth:
        accounts = [
            replace(one, persona="oauth", oauth=oauth, credentials=None) for one in accounts
        ]
    if not take_over:
        return accounts
    return [
        replace(one, device=one.device and replace(one.device, take_over=True)) for one in accounts
    ]


def _tls(booted: Booted) -> TlsConfig:
    if not booted.config.tls_required:
        return TlsConfig()
    if booted.identity is None:
        if all(line.auth_password for line in booted.config.lines):
            return TlsConfig()
        raise EnrollmentNeeded(
            f"{booted.device} is a secure device and has no certificate: ask the administrator to"
            " set a CAPF operation for it, and boot again"
        )
    path = IdentityStore(booted.store).path(booted.device)
    return TlsConfig(certificate=path, key=path, passphrase=booted.passphrase)


def line_account(
    booted: Booted, line: DeviceLine, tls: TlsConfig, persona: str = PERSONA, model: int = 503
) -> AccountConfig:
    """Make the account of one line, as `device_accounts` does; `tls` has the certificate."""
    config = booted.config
    nodes = _nodes(config, line)
    host = line.proxy or config.call_managers[0].host
    credentials = None
    if line.auth_password:
        password = KeyMaterial(line.auth_password.encode())
        # CUCM challenges with MD5 only, over every transport.
        credentials = CredentialConfig(
            line.auth_name or line.name, password, algorithms=DIGEST_ALGORITHMS
        )
    return AccountConfig(
        aor=f"sip:{line.name}@{_bracketed(host)}",
        nodes=nodes,
        display_name=line.display_name or None,
        persona=persona,
        expires=max(60, min(config.timers.register_expires, 86400)),
        credentials=credentials,
        device=DeviceIdentity(
            booted.device,
            model,
            mac=None if booted.device.startswith("SEP") else booted.installation,
            contact=line.contact,
            load=config.load,
            remote_control=config.remote_cc,
        ),
        tls=tls,
        media=_media(config),
        dscp=_dscp(config),
    )


def _nodes(config: DeviceConfig, line: DeviceLine) -> tuple[str, ...]:
    """Return the servers in order, as URIs with their transport."""
    servers = config.call_managers[:_MOST_NODES]
    if line.proxy:
        servers = (CallManager(0, line.proxy, line.port, line.port),)
    if config.oauth:
        return tuple(f"sips:{_bracketed(one.host)}:{one.oauth_port}" for one in servers)
    if config.tls_required:
        return tuple(f"sips:{_bracketed(one.host)}:{one.secured_sip_port}" for one in servers)
    transport = "udp" if config.transport == _UDP else "tcp"
    return tuple(
        f"sip:{_bracketed(one.host)}:{one.sip_port};transport={transport}" for one in servers
    )


def _media(config: DeviceConfig) -> MediaPreferences:
    first, last = config.media.first_port, config.media.last_port
    ports = (first, last) if first >= 1024 and last - first >= 3 else None
    # An authenticated device (security mode 2) has protected signaling and media in clear.
    srtp = None if config.security_mode == _ENCRYPTED else SrtpPolicy.OFF
    return MediaPreferences(srtp=srtp, ports=ports)


def _dscp(config: DeviceConfig) -> DscpConfig:
    media = config.media
    octets = media.audio_tos, media.video_tos, media.signaling_tos
    return DscpConfig(*(str(octet >> 2) for octet in octets))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
