"""The settings of the two kinds of TLS; what the whole does is seen with a real server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import TransportError
from softphone.messaging.client import (
    MessagingClient,
    MessagingEnvironment,
    _client_settings,
    _server_settings,
)
from softphone.messaging.message import Availability
from softphone.messaging.xmpp.connection import ConnectionTimers
from softphone.net.http import RevocationFetcher
from softphone.net.verified.connector import ConnectorConfig
from softphone.security import ClientCertificates, TlsVersion
from softphone.trust import Service
from tests.support.certificates import authority
from tests.support.chat import ALICE, config, user


def test_a_password_is_bound_and_a_certificate_is_not_in_the_way(tmp_path):
    given = config(tmp_path, user(authority(), ALICE))
    assert _server_settings(given).maximum is TlsVersion.TLS_1_2
    assert _server_settings(replace(given, password=None)).maximum is None
    newer = replace(given, tls=replace(given.tls, minimum=TlsVersion.TLS_1_3))
    assert _server_settings(newer).maximum is None
    assert _server_settings(given).aes_256


def test_less_than_aes_256_is_a_policy_and_for_the_server_only(tmp_path):
    given = replace(config(tmp_path, user(authority(), ALICE)), allow_aes_128=True)
    assert not _server_settings(given).aes_256
    assert _client_settings(given).aes_256


def test_between_clients_nobody_is_asked_and_no_server_s_pin_counts(tmp_path):
    async def ask(question):
        return True

    given = config(tmp_path, user(authority(), ALICE))
    inner = _client_settings(replace(given, tls=replace(given.tls, unknown=ask, pin="sha256:00")))
    assert (inner.service, inner.unknown, inner.pin) == (Service.XMPP_USER, None, None)
    assert inner.client_certificates is ClientCertificates.REQUIRED
    assert inner.aes_256


async def test_a_sign_in_that_fails_leaves_nothing_behind(tmp_path, entropy):
    class NoDns:
        async def query(self, question):
            raise TransportError("DNS is silent")

    surroundings = MessagingEnvironment(
        ConnectorConfig(RevocationFetcher()), NoDns(), entropy, timers=ConnectionTimers()
    )
    messages = MessagingClient(config(tmp_path), surroundings)
    with pytest.raises(TransportError, match="DNS is silent"):
        async with messages:
            raise AssertionError("signed in nowhere")
    assert not messages.is_up
    assert messages.peers == ()
    messages.set_presence(Availability.DND, "On the phone")
    assert [message async for message in messages] == []
