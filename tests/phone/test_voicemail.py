"""A mailbox with what a phone has, and message waiting that leads to it."""

from __future__ import annotations

import asyncio

import pytest

from softphone import Phone, load_account
from softphone.account import TrustContext
from softphone.account.stack_settings import NO_TRUST_CONTEXT
from softphone.config.voicemail_file import load_voicemail
from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.lab import LabConfig, LabServer
from softphone.lab.unity_connection import StoredMessage
from softphone.net import DnsResolver
from softphone.net.http import RevocationFetcher
from softphone.phone.voicemail import open_mailbox
from softphone.security import KeyMaterial
from softphone.trust import TrustStore
from softphone.trust.fips import random_bytes
from softphone.voicemail import MailboxCounts, VoicemailConfig
from tests.support.certificates import authority

CONFIG = VoicemailConfig("unity.example.test", "anna", KeyMaterial(b"a web password"))


def test_where_a_mailbox_names_no_authority_the_phone_s_count(tmp_path):
    trust = TrustStore.from_sources(authority().write(tmp_path, "ca"))
    context = TrustContext(trust, None, RevocationFetcher())
    resolver = DnsResolver(entropy=random_bytes)
    mailbox = open_mailbox(CONFIG, context, resolver, fips=True)
    assert mailbox.config.tls.store is trust
    assert mailbox.config.tls.fips
    with pytest.raises(ConfigurationError, match="fetches"):
        open_mailbox(CONFIG, NO_TRUST_CONTEXT, resolver, fips=False)


async def test_a_phone_has_one_mailbox_once_it_is_opened():
    async with Phone() as phone:
        with pytest.raises(LocalProtocolError, match="open_voicemail first"):
            _ = phone.voicemail
        assert phone.open_voicemail(CONFIG) is phone.voicemail
        with pytest.raises(LocalProtocolError, match="already"):
            phone.open_voicemail(CONFIG)


async def test_a_new_message_is_told_by_message_waiting_and_counted_in_the_mailbox(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("softphone.voicemail.client.HINT_PAUSE", 0.0)
    async with LabServer(tmp_path, LabConfig(voicemail=True)) as lab, Phone() as phone:
        path = lab.accounts["alice"]
        mailbox = phone.open_voicemail(load_voicemail(path).config)
        account = await phone.register(load_account(path).config)
        changes = mailbox.changes()
        assert await anext(changes) == MailboxCounts(2, 1, 1)
        # Both are waited for without message waiting for minutes.
        following = asyncio.ensure_future(anext(changes))
        lab.voicemail.leave_message("alice", StoredMessage("0:new", "1002", sound=b"x"))
        assert await asyncio.wait_for(following, 60) == MailboxCounts(3, 1, 1)
        assert account.aor
        await changes.aclose()


async def test_message_waiting_without_a_mailbox_is_an_event_like_others(tmp_path):
    async with LabServer(tmp_path, LabConfig(voicemail=True)) as lab, Phone() as phone:
        account = await phone.register(load_account(lab.accounts["bob"]).config)
        lab.voicemail.leave_message("bob", StoredMessage("0:new", "1002", sound=b"x"))
        async with asyncio.timeout(60):
            async for event in account.events():
                if type(event).__name__ == "MessageWaiting":
                    break
        assert (event.waiting, event.new) == (True, 3)
