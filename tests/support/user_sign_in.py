"""A user who signs in at the lab from a mail address, or at a site of servers of a test."""

from __future__ import annotations

from pathlib import Path

from softphone.discovery import DiscoveryCache, DiscoveryConfig
from softphone.lab import LabConfig, LabServer
from softphone.net.dns import DnsResolver, ResolverConfig
from softphone.phone.user_sign_in import UserSignInCallbacks, UserSignInConfig
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings, TrustStore
from softphone.trust.fips import random_bytes

EVERYTHING = LabConfig(
    files=True, tvs=True, directory=True, dns=True, voicemail=True, im_presence=True
)


def resolver_of(lab: LabServer) -> DnsResolver:
    """A resolver that asks the lab."""
    servers = ResolverConfig(nameservers=(lab.dns.address,), hosts_file="/nonexistent")
    return DnsResolver(servers, entropy=random_bytes)


def password_of(lab: LabServer, user: str) -> KeyMaterial:
    return KeyMaterial((lab.files.folder / f"{user}.secret").read_bytes().strip())


def discovery_of(lab: LabServer, user: str, **more) -> DiscoveryConfig:
    """The user, the password and the authority of the lab."""
    tls = TlsSettings(
        store=TrustStore.from_sources(lab.files.folder / "ca.crt"), service=Service.HTTPS
    )
    return DiscoveryConfig(
        f"{user}@example.test", **{"password": password_of(lab, user), "tls": tls, **more}
    )


def config_of(lab: LabServer, folder: Path, user: str = "alice", **more) -> UserSignInConfig:
    """The configuration with which a user of the lab signs in."""
    given = {"password": more.pop("password", None) or password_of(lab, user)}
    return UserSignInConfig(
        discovery_of(lab, user, **given, **more.pop("discovery", {})),
        folder / f"device-{user}",
        xmpp_port=lab.im_presence.xmpp_address[1],
        **more,
    )


def callbacks_of(lab: LabServer, folder: Path, asked: list[str]) -> UserSignInCallbacks:
    """A user who gives the authentication strings; `asked` records the devices."""

    async def string(device: str) -> KeyMaterial:
        asked.append(device)
        return KeyMaterial(lab.capf.strings[device].encode())

    return UserSignInCallbacks(authentication_string=string, cache=DiscoveryCache(folder / "found"))
