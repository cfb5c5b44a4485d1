"""Makes the configurations of a user's services from what a discovery has found.

Without I/O.  Where a service is not to be signed in to, `NoService` says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from softphone.discovery import (
    ClientSettings,
    DiscoveryResult,
    ServicePath,
    ServiceRecord,
    ServiceTarget,
    UserDevice,
)
from softphone.discovery.records import is_host_name
from softphone.errors import DiscoveryError
from softphone.provisioning import FileServerAddress
from softphone.security import KeyMaterial
from softphone.sip.auth import FetchBearer
from softphone.trust import Service, TlsSettings, TrustStore
from softphone.voicemail import VoicemailConfig

CLIENT_SERVICES_FRAMEWORK = "Cisco Unified Client Services Framework"
"""The model of a soft phone on a computer."""
_PREFIX = "CSF"
_PRESENCE = frozenset({"ImPresence", "IMPresence", "Presence"})
_RANKS = ("Primary", "Backup1", "Backup2")
_VOICEMAIL_PORT = 443
_FILE_PORT = 6970
_MOST_SERVERS = 8


class NoService(Exception):
    """The service is left out; the text says why."""


@dataclass(frozen=True, slots=True)
class FoundUser:
    """What was found, and which settings are in force."""

    discovery: DiscoveryResult
    settings: ClientSettings
    fallback_name: str
    """The user's ID where no server has told it."""

    @property
    def user_id(self) -> str:
        """The user's ID."""
        user = self.discovery.user
        return self.fallback_name if user is None or not user.user_id else user.user_id

    @property
    def cluster_known(self) -> bool:
        """Whether CUCM was found, also behind an edge; otherwise only IM and Presence was."""
        return self.discovery.path in (ServicePath.UDS, ServicePath.EDGE)


def session_tls(tls: TlsSettings, settings: ClientSettings) -> TlsSettings:
    """Apply `InvalidCertificateBehavior`: ask nobody, or keep no answer beyond this session."""
    if settings.refuse_unknown_certificates:
        return replace(tls, unknown=None)
    if settings.keep_no_certificates:
        store = TrustStore(tls.store.anchors, system=tls.store.system, keep=TrustStore())
        return replace(tls, store=store)
    return tls


def choose_device(found: FoundUser, wanted: str | None) -> UserDevice:
    """Return the user's device to register.  Raises NoService, DiscoveryError for an unknown one.

    By default it is the soft phone: the model counts, not the place in the list.
    """
    if not found.cluster_known:
        raise NoService("only IM and Presence was found: there is no call server")
    if not found.settings.telephony:
        raise NoService("Telephony_Enabled of jabber-config.xml forbids it")
    devices = found.discovery.devices
    if wanted is not None:
        named = next((each for each in devices if each.name.upper() == wanted.upper()), None)
        if named is None:
            shown = ", ".join(each.name for each in devices) or "none"
            raise DiscoveryError(f"{wanted} is no device of the user, who has {shown}")
        return named
    fitting = [each for each in devices if each.model == CLIENT_SERVICES_FRAMEWORK] or [
        each for each in devices if each.name.upper().startswith(_PREFIX)
    ]
    if not fitting:
        shown = ", ".join(f"{each.name} ({each.model or each.kind})" for each in devices)
        raise NoService(f"the user has no soft phone (CSF); devices: {shown or 'none'}")
    return fitting[0]


def file_servers(
    found: FoundUser, device: UserDevice, file_ports: Mapping[int, int], *, verified: bool
) -> tuple[FileServerAddress, ...]:
    """Return the servers of a device's files, those over HTTPS first; only those if `verified`.

    They are named by the device's entry in UDS, else by the service profile, else they are the
    servers of the home cluster.
    """
    uris = device.configurations
    user = found.discovery.user
    if not uris and user is not None and user.service_profile:
        uris = (user.service_profile,)
    places = [place for each in uris if (place := _place(each)) is not None]
    if not places:
        places = [
            FileServerAddress("http", each.host, _FILE_PORT) for each in found.discovery.nodes
        ]
    secure = [
        each
        if each.scheme == "https"
        else FileServerAddress("https", each.host, file_ports[each.port])
        for each in places
        if each.scheme == "https" or each.port in file_ports
    ]
    clear = [each for each in places if each.scheme != "https"]
    return tuple(dict.fromkeys(secure if verified else [*secure, *clear]))[:_MOST_SERVERS]


def presence_nodes(found: FoundUser) -> tuple[str, ...]:
    """Return the IM and Presence nodes as `host` or `host:port`, the home node first.

    Raises NoService, and DiscoveryError where the user is enabled and no node is named.
    """
    result = found.discovery
    if not found.cluster_known:
        targets = result.records.get(ServiceRecord.CUP_LOGIN, result.nodes)
        return tuple(map(str, targets))[:_MOST_SERVERS]
    user = result.user
    if user is None or not user.im_and_presence:
        raise NoService("the user is not enabled for IM and Presence, as UDS says")
    named = user.presence_servers
    if not named and result.profile is not None:
        found_servers = (
            each
            for rank in _RANKS
            for each in result.profile.servers
            if each.service in _PRESENCE and each.rank == rank
        )
        named = tuple(_address(each.address, each.port) for each in found_servers)
    if not named:
        raise DiscoveryError(
            "the user is enabled for IM and Presence, but neither UDS nor the service profile names"
            " a node"
        )
    return tuple(dict.fromkeys(named))[:_MOST_SERVERS]


def directory_servers(found: FoundUser) -> tuple[ServiceTarget, ...]:
    """Return the UDS servers in which contacts are searched.  Raises NoService."""
    if not found.cluster_known or not found.discovery.nodes:
        raise NoService("only IM and Presence was found: there is no directory")
    return found.discovery.nodes


def voicemail_config(
    found: FoundUser,
    credential: KeyMaterial | FetchBearer,
    tls: TlsSettings,
    timeout: float,
) -> VoicemailConfig:
    """Make the configuration of the mailbox; `credential` is the password or the source of tokens.

    Raises NoService.
    """
    if not found.cluster_known:
        raise NoService("only IM and Presence was found: no service profile names voicemail")
    if not found.settings.voicemail:
        raise NoService("Voicemail_Enabled of jabber-config.xml forbids it")
    profile = found.discovery.profile
    servers = [
        _address(each.address, each.port or _VOICEMAIL_PORT)
        for rank in _RANKS
        for each in (() if profile is None else profile.servers)
        if each.service == "Voicemail" and each.rank == rank
    ] or list(found.settings.voicemail_servers)
    if not servers:
        raise NoService("the service profile names no voicemail server")
    return VoicemailConfig(
        servers[0],
        found.user_id,
        credential if isinstance(credential, KeyMaterial) else None,
        tuple(dict.fromkeys(servers[1:])),
        timeout=timeout,
        tls=replace(tls, service=Service.HTTPS),
        token=None if isinstance(credential, KeyMaterial) else credential,
    )


def _address(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown


def _place(uri: str) -> FileServerAddress | None:
    """Return the file server of a URL; None for what is no address of a server with a name."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").rstrip(".")
    defaults: dict[str, int] = {"http": 80, "https": 443, "tftp": 69}
    if parts.scheme not in defaults or not is_host_name(host):
        return None
    return FileServerAddress(parts.scheme, host, port or defaults[parts.scheme])


def shown_servers(servers: Sequence[object]) -> str:
    """Return servers as text for people."""
    return ", ".join(map(str, servers))
