"""The context of an account, with stand-ins for whatever a test does not need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace

from softphone.account import AccountDependencies
from softphone.account.context import AccountContext
from softphone.account.signaling import ServerAgreements, SignalingMachine
from softphone.config import AccountConfig
from softphone.net import DnsResolver
from softphone.personas import persona_named
from softphone.sans_io import Side
from softphone.sip import Endpoint
from softphone.trust import TlsSettings
from tests.support.clock import seeded_entropy
from tests.support.media_port import RecordingPort

PLAIN = AccountConfig(aor="sip:alice@example.test", registrar="sips:example.test")


def idle_driver(
    change: Callable[[], AbstractContextManager[float]] = lambda: nullcontext(0.0), **members
):
    """A driver that has no machine; `members` are what a test calls of it."""
    return SimpleNamespace(**{"change": change, "now": 0.0, "left": False, **members})


def account_context(
    config=PLAIN,
    *,
    endpoint=None,
    driver=None,
    registration=None,
    credentials=None,
    emit_event=lambda event: None,
    spawn=asyncio.ensure_future,
    **dependencies,
):
    """A context; `dependencies` are fields of `AccountDependencies`."""
    entropy = seeded_entropy(2)
    given = {"media": RecordingPort(), "resolver": DnsResolver(entropy=entropy), "fips": False}
    persona = persona_named(config.persona)
    machine = SignalingMachine(
        endpoint or Endpoint(side=Side.CLIENT, entropy=seeded_entropy(1)),
        ServerAgreements(persona),
    )
    machine.registration = registration
    return AccountContext(
        config=config,
        dependencies=AccountDependencies(**{"entropy": entropy, **given, **dependencies}),
        persona=persona,
        tls=TlsSettings(),
        machine=machine,
        driver=driver or idle_driver(),
        credentials=credentials,
        tasks=SimpleNamespace(spawn=spawn),
        emit_event=emit_event,
    )
