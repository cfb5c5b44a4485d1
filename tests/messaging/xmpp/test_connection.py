"""Staying signed in: how long it waits, and when it gives up."""

from __future__ import annotations

import pytest

from softphone.errors import SignInRefused, TransportError, TransportTimeout
from softphone.messaging.xmpp.connection import ConnectionTimers, XmppConnection
from tests.support.chat import Connection, config, stream

PACE = ConnectionTimers(first=1.0, longest=8.0)


class Connector:
    """Gives connections on paper; `outcomes` are what happens to each."""

    def __init__(self, outcomes):
        self.outcomes = list(outcomes)
        self.opened = []

    async def open_connection(self, target, owner, preamble=None):
        self.opened.append((target, preamble is not None))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        connection = Connection(owner)
        return connection


class NoDns:
    async def query(self, question):
        return ()


def link(tmp_path, entropy, outcomes, **more):
    configuration = config(tmp_path, **more)
    connector = Connector(outcomes)
    one = XmppConnection(configuration, connector, NoDns(), entropy=entropy, timers=PACE)
    one.attach(stream(configuration, entropy, one.connection_ended))
    return one, connector


async def test_every_place_is_tried_and_the_first_failure_told(tmp_path, entropy):
    one, connector = link(tmp_path, entropy, [TransportError("first"), TransportError("second")])
    with pytest.raises(TransportError, match="first"):
        await one.sign_in()
    assert [(target.port, preamble) for target, preamble in connector.opened] == [
        (5223, False),
        (5222, True),
    ]
    assert not one.is_up


async def test_a_refusal_is_not_tried_elsewhere(tmp_path, entropy):
    one, connector = link(tmp_path, entropy, [SignInRefused("no")])
    with pytest.raises(SignInRefused):
        await one.sign_in()
    assert len(connector.opened) == 1


async def test_a_server_that_says_nothing_is_left(tmp_path, entropy):
    one, _ = link(tmp_path, entropy, [None], timeout=0.05, server="h")
    with pytest.raises(TransportTimeout, match=r"within 0\.05 s"):
        await one.sign_in()
    await one.close()
