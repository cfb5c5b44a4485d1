"""A user who signs in at the lab from a mail address, or at a site of servers of a test."""

from __future__ import annotations

import base64
import ssl
from dataclasses import replace
from pathlib import Path

import aiohttp

from softphone.config.oauth_table import load_sign_on
from softphone.discovery import DiscoveryCache, DiscoveryConfig
from softphone.lab import LabConfig, LabServer
from softphone.lab.config import LabUser, Login
from softphone.lab.dns_server import LabDns
from softphone.lab.im_presence import IM_PRESENCE_DOMAIN
from softphone.net.dns import DnsResolver, ResolverConfig
from softphone.oauth import TokenKeeper, sign_in_with_browser
from softphone.phone.user_sign_in import UserSignInCallbacks, UserSignInConfig
from softphone.sans_io import Transport
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings, TrustStore
from softphone.trust.fips import random_bytes

EVERYTHING = LabConfig(
    files=True, tvs=True, directory=True, dns=True, voicemail=True, im_presence=True
)
ERIN = LabUser("erin", Login(Transport.TLS, token=True), "oauth")
"""A user whose device registers with a token (SIP OAuth mode)."""
BY_TOKEN = replace(EVERYTHING, sign_on=True, oauth=True, edge=True, users=(*EVERYTHING.users, ERIN))


def recorded_secrets(lab: LabServer) -> list[str]:
    """Every token and code that the lab's authorization server issues from now on."""
    issued: list[str] = []

    def entropy(size: int) -> bytes:
        drawn = random_bytes(size)
        issued.append(base64.urlsafe_b64encode(drawn).rstrip(b"=").decode())
        return drawn

    lab.sign_on.entropy = entropy
    return issued


async def signed_on(lab: LabServer, user: str) -> TokenKeeper:
    """The tokens of a user who has signed in at the lab's page, in a browser of this process."""
    keeper = load_sign_on(lab.sign_on_accounts[user]).keeper
    trusted = ssl.create_default_context(cafile=lab.files.folder / "ca.crt")
    form = {"username": user, "password": password_of(lab, user).reveal().decode()}

    async def open_page(url: str) -> None:
        connector = aiohttp.TCPConnector(ssl=trusted)
        async with aiohttp.ClientSession(connector=connector) as person:
            await (await person.post(url, data=form)).read()

    await keeper.store(await sign_in_with_browser(keeper.client, open_page))
    return keeper


def token_config_of(
    lab: LabServer, folder: Path, keeper: TokenKeeper, user: str = "alice", **more
) -> UserSignInConfig:
    """The configuration with which a user of the lab signs in by tokens; it has no password."""
    return UserSignInConfig(
        discovery_of(lab, user, password=None, token=keeper.bearer, **more.pop("discovery", {})),
        folder / f"device-{user}",
        xmpp_port=lab.im_presence.xmpp_address[1],
        **{"presence_domain": IM_PRESENCE_DOMAIN, **more},
    )


def resolver_of(lab: LabServer, dns: LabDns | None = None) -> DnsResolver:
    """A resolver that asks the lab, or another DNS of it."""
    asked = (dns or lab.dns).address
    servers = ResolverConfig(nameservers=(asked,), hosts_file="/nonexistent")
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
