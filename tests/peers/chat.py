"""Chat accounts and small steps that tests against a real chat server share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softphone.messaging.client import MessagingClient, MessagingEnvironment
from softphone.messaging.config import MessagingConfig
from softphone.messaging.encryption_policy import EncryptionPolicy
from softphone.messaging.message import Message
from softphone.messaging.server_location import TlsMode
from softphone.messaging.xmpp.connection import ConnectionTimers
from softphone.net import DnsResolver
from softphone.net.http import RevocationFetcher
from softphone.net.verified.connector import ConnectorConfig
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsCredential, TlsSettings, TrustStore
from tests.peers.authority import TestAuthority
from tests.peers.prosody import DOMAIN, PASSWORD
from tests.peers.prosody.server import user_name
from tests.support.waiting import PATIENCE

QUICK = ConnectionTimers(first=0.2, longest=1.0, ping_every=0.5, ping_within=0.7)


def jid(user: str) -> str:
    return f"{user}@{DOMAIN}"


@dataclass
class World:
    """The authority that everybody believes, and a folder for certificates."""

    authority: TestAuthority
    folder: Path

    def certificate(self, user: str, name: str | None = None) -> TlsCredential:
        """A user's certificate, which names its JID, or `name`."""
        folder = self.folder / (name or user)
        folder.mkdir(exist_ok=True)
        return TlsCredential(*self.authority.issue(user, folder, user_name(name or jid(user))))

    def config(
        self,
        user: str,
        address: tuple[str, int],
        *,
        aes: bool = True,
        clear: bool = True,
        mode: str = "direct",
        credential: TlsCredential | None = None,
        **more: Any,
    ) -> MessagingConfig:
        """The account of a user; it has a certificate when it is to encrypt."""
        mine = credential or (self.certificate(user) if aes else None)
        tls = TlsSettings(
            store=TrustStore.from_sources(self.authority.certificate),
            service=Service.XMPP,
            credential=mine,
        )
        return MessagingConfig(
            jid(user),
            KeyMaterial(PASSWORD.encode()),
            server=f"{address[0]}:{address[1]}",
            mode=TlsMode(mode),
            tls=tls,
            encryption=EncryptionPolicy(aes, clear),
            **{"timeout": 15.0, **more},
        )

    def messages(
        self, config: MessagingConfig, *, hook: Any = None, pace: ConnectionTimers = QUICK
    ) -> MessagingClient:
        """The messages of an account: enter them to sign in."""
        resolver = DnsResolver(entropy=os.urandom)
        network = ConnectorConfig(RevocationFetcher())
        return MessagingClient(
            config, MessagingEnvironment(network, resolver, os.urandom, hook, pace)
        )


async def heard(messages: MessagingClient, *, within: float = PATIENCE) -> Message:
    """The next message."""
    async with asyncio.timeout(within):
        return await anext(messages)


async def sees(messages: MessagingClient, peer: str, *, within: float = PATIENCE) -> None:
    """Wait until a peer's presence is known."""
    presence = await messages.subscribe_to(peer, within=within)
    assert presence.show.value != "offline", f"{peer} is not there"


async def until(condition: Callable[[], bool], *, within: float = PATIENCE) -> None:
    """Wait until something is so that no event tells of."""
    async with asyncio.timeout(within):
        while True:
            if condition():
                return
            await asyncio.sleep(0.05)
