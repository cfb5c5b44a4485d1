"""Presence is published, refreshed and withdrawn (RFC 3903)."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from softphone.account.presence_publisher import PresencePublisher
from softphone.errors import TransportError
from softphone.events import Presence
from softphone.sip.event_packages import parse_pidf
from tests.support.account_context import account_context
from tests.support.virtual_loop import run_virtually


class Server:
    """Stands for the account and its server: `answers` are statuses, or errors on the way."""

    def __init__(self, *answers, granted=600):
        self.answers = list(answers)
        self.granted = granted
        self.seen = []
        self.busy = False
        self.context = account_context()
        self.context.machine.publisher = self
        self.publisher = PresencePublisher(lambda: (self.context, self), lambda: self.busy)

    async def first_hop(self, uri):
        if self.answers and isinstance(self.answers[0], Exception):
            self.seen.append((asyncio.get_running_loop().time(), "error"))
            raise self.answers.pop(0)
        return SimpleNamespace(flow=None, route_set=(), failover=None)

    def publish(self, request, *, now, on_done):
        status = self.answers.pop(0) if self.answers else 200
        body = None if request.body is None else parse_pidf(request.body.data)
        at = asyncio.get_running_loop().time()
        self.seen.append((at, status, request.entity_tag, body, request.expires))
        done = SimpleNamespace(
            accepted=status < 300,
            status=status,
            reason="",
            entity_tag=f"tag{len(self.seen)}" if status < 300 else "",
            granted=self.granted,
        )
        asyncio.get_running_loop().call_soon(on_done, done)
        return done

    def said(self):
        return [each[1:] for each in self.seen]


def seen_of(server, seconds, **changes):
    async def scene():
        server.publisher.start()
        for at, busy in changes.items():
            await asyncio.sleep(float(at.removeprefix("at")))
            server.busy = busy
            server.publisher.update()
        await asyncio.sleep(seconds)
        server.publisher.close()
        await asyncio.sleep(1)

    run_virtually(scene())
    return server.said()


FREE, BUSY = Presence(True), Presence(True, on_the_phone=True)


def make(*answers, **options):
    """Make the server inside of a loop."""

    async def inside():
        return Server(*answers, **options)

    return run_virtually(inside())


def test_it_is_published_refreshed_and_withdrawn():
    assert seen_of(make(), 600) == [
        (200, "", FREE, 3600),
        (200, "tag1", None, 3600),
        (200, "tag2", None, 0),
    ]


def test_a_change_is_published_under_the_last_tag():
    assert seen_of(make(), 10, at5=True)[:2] == [(200, "", FREE, 3600), (200, "tag1", BUSY, 3600)]


def test_a_forgotten_publication_is_made_anew_at_once():
    server = make(200, 412)
    said = seen_of(server, 600)
    assert said[:3] == [
        (200, "", FREE, 3600),
        (412, "tag1", None, 3600),
        (200, "", FREE, 3600),
    ]
    assert server.seen[2][0] - server.seen[1][0] < 0.01


@pytest.mark.parametrize("status", [403, 405, 489])
def test_a_server_that_takes_none_is_not_asked_again(status):
    assert seen_of(make(status), 7200) == [(status, "", FREE, 3600)]


def test_other_failures_are_retried_ever_later():
    server = make(TransportError("no way"), 503, 412, 200)
    seen_of(server, 60)
    times = [round(at - server.seen[0][0]) for at, *_ in server.seen]
    assert times[:4] == [0, 5, 15, 35]
