"""A phone's chat: whom it believes, and presence while there is a call."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from softphone.account import TrustContext
from softphone.messaging import Availability, MessagingClient, MessagingConfig
from softphone.messaging.compliance import ComplianceConfig
from softphone.net import DnsResolver
from softphone.net.http import RevocationFetcher
from softphone.phone.messaging import (
    ON_THE_PHONE,
    MessagingSetup,
    make_messaging_client,
    show_calls_as_presence,
)
from softphone.security import KeyMaterial
from softphone.trust import Service, TrustStore
from tests.support.chat import ALICE, NO_TLS, config
from tests.support.waiting import PATIENCE


async def test_an_account_without_authorities_believes_the_phone_s(tmp_path, entropy):
    trust = TrustStore()
    belief = TrustContext(trust, None, RevocationFetcher())
    setup = MessagingSetup(belief, DnsResolver(entropy=entropy), entropy, False)
    messages = make_messaging_client(
        MessagingConfig(ALICE, KeyMaterial(b"x"), tls=NO_TLS), setup, None
    )
    assert isinstance(messages, MessagingClient)
    assert messages._config.tls.store is trust
    own = config(tmp_path)
    assert make_messaging_client(own, setup, None)._config.tls.store is own.tls.store


async def test_what_each_server_is_believed_by_is_its_own_where_it_names_one(tmp_path, entropy):
    trust, apart = TrustStore(), config(tmp_path).tls.store
    belief = TrustContext(trust, None, RevocationFetcher())
    setup = MessagingSetup(belief, DnsResolver(entropy=entropy), entropy, False)
    asked = replace(NO_TLS, service=Service.HTTPS)
    for store, believed in ((apart, apart), (TrustStore(), trust)):
        compliance = ComplianceConfig(audit=tmp_path / "audit.db", tls=replace(asked, store=store))
        account = MessagingConfig(ALICE, KeyMaterial(b"x"), tls=NO_TLS, compliance=compliance)
        made = make_messaging_client(account, setup, None)._config
        assert made.tls.store is trust
        assert made.compliance.tls.store is believed


async def test_presence_says_when_there_is_a_call():
    class Shown:
        def __init__(self):
            self.shown = []
            self.news = asyncio.Event()

        def set_presence(self, show, status=""):
            self.shown.append((show, status))
            self.news.set()

    messages, busy = Shown(), True
    telling = asyncio.create_task(show_calls_as_presence(messages, lambda: busy))
    await messages.news.wait()
    messages.news.clear()
    busy = False
    async with asyncio.timeout(PATIENCE):
        await messages.news.wait()
    telling.cancel()
    assert messages.shown == [(Availability.DND, ON_THE_PHONE), (Availability.AVAILABLE, "")]
