"""Events to browsers: a slow one misses some, and keeps nobody waiting."""

from __future__ import annotations

import json

from softphone.web import EventFeed
from softphone.web import event_feed as module
from tests.support.waiting import patiently, until
from tests.support.website import ask, browser, sign_in, site


def names_and_values(text):
    """The events in a piece of a stream."""
    found = []
    for event in text.strip().split("\n\n"):
        name, data = event.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_each_browser_begins_with_what_there_was_and_goes_on_to_the_end():
    feed = EventFeed(lambda: ("begin", {"points": [1]}))
    async with site(get={"events": feed.stream}) as served, browser() as owner:
        root = await sign_in(owner, served)
        async with owner.get(root + "events") as answer:
            assert answer.content_type == "text/event-stream"
            await until(lambda: feed.browsers == 1)
            feed.publish("now", {"at": 2.0, "text": "two\nlines"})
            await patiently(feed.finish(40.0))
            text = (await patiently(answer.read())).decode()
        assert names_and_values(text) == [
            ("begin", {"points": [1]}),
            ("now", {"at": 2.0, "text": "two\nlines"}),
        ]
        assert feed.browsers == 0
        assert (await ask(owner, "GET", root + "events"))[0] == 503


async def test_a_browser_that_reads_nothing_keeps_the_newest_and_is_left(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    feed = EventFeed(lambda: ("begin", None))
    async with site(get={"events": feed.stream}) as served, browser() as owner:
        root = await sign_in(owner, served)
        async with owner.get(root + "events"):
            await until(lambda: feed.browsers == 1)
            large = "x" * 200_000
            # More than the sockets hold: none of it waits for the browser.
            for number in range(20):
                feed.publish("now", [number, large])
            (queue,) = feed._queues
            assert len(queue.events) == module.QUEUED
            assert json.loads(queue.events[-1].split(b"data: ")[1])[0] == 19
            await until(lambda: feed.publish("now", large) or feed.browsers == 0)


async def test_there_are_so_many_streams_at_most(monkeypatch):
    monkeypatch.setattr(module, "MOST_BROWSERS", 1)
    feed = EventFeed(lambda: ("begin", None))
    async with site(get={"events": feed.stream}) as served, browser() as owner:
        root = await sign_in(owner, served)
        async with owner.get(root + "events"):
            await until(lambda: feed.browsers == 1)
            assert (await ask(owner, "GET", root + "events"))[0] == 503
        await patiently(feed.finish(40.0))
