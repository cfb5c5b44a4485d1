"""PUBLISH outside any dialog (RFC 3903): what is said, answered, asked for again and given up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.sans_io import Transport
from softphone.sip import (
    Body,
    EndpointConfig,
    NameAddr,
    Publication,
    Publisher,
    PublishRequest,
    SipUri,
)
from softphone.sip.publication import MOST_UNDER_WAY
from tests.support.pair import Pair, kinds

BODY = Body("application/vq-rtcpxr", b"VQSessionReport\r\n")
TAKES = EndpointConfig(allow=(*EndpointConfig().allow, "PUBLISH"))


class Reporter:
    """Alice, who publishes, and what became of it."""

    def __init__(self, **options) -> None:
        self.pair = Pair(bob_config=TAKES, **options)
        self.publisher = Publisher(self.pair.alice)
        self.done: list[Publication] = []
        self.said = PublishRequest(
            uri=SipUri.parse("sip:collector@192.0.2.2"),
            local=NameAddr.parse("<sip:alice@example.com>"),
            to=self.pair.target,
            event="vq-rtcpxr",
            body=BODY,
            route_set=(NameAddr.parse("<sip:192.0.2.2;lr>"),),
        )

    def publish(self, **changes) -> Publication | None:
        said = replace(self.said, **changes)
        return self.publisher.publish(said, now=self.pair.now, on_done=self.done.append)

    def run(self, seconds: float = 0.1) -> None:
        self.pair.run(seconds)
        for event in self.pair.events["alice"]:
            # Bob's answers that come after it was given up match no request any more.
            taken = self.publisher.handle_event(event, now=self.pair.now)
            assert taken or kinds([event]) == ["MessageRejected"]
        self.pair.events["alice"].clear()
        self.pair.drain()

    def answer(self, status: int, *headers: tuple[str, str]):
        received = self.pair.take("bob", "RequestReceived")
        self.pair.bob.respond(received.exchange, status, now=self.pair.now, headers=headers)
        self.run()
        return received.request


def test_a_report_is_said_and_taken():
    reporter = Reporter()
    publication = reporter.publish()
    reporter.run()
    request = reporter.answer(200, ("SIP-ETag", "dx200"), ("Expires", "3600"))
    assert request.method == "PUBLISH"
    assert str(request.uri) == str(request.to.uri) == "sip:collector@192.0.2.2"
    assert request.headers.get("Event") == "vq-rtcpxr"
    assert request.headers.get("Route") == "<sip:192.0.2.2;lr>"
    assert "Contact" not in request.headers
    assert "Expires" not in request.headers
    assert request.body == BODY.data
    assert request.from_.tag
    assert reporter.done == [publication]
    assert publication.accepted
    assert publication.entity_tag == "dx200"
    assert len(reporter.publisher) == 0


def test_a_collector_that_wants_it_to_live_longer_gets_that_once():
    reporter = Reporter()
    publication = reporter.publish(expires=60)
    reporter.run()
    assert reporter.answer(423, ("Min-Expires", "600")).expires == 60
    reporter.run()
    assert reporter.answer(423, ("Min-Expires", "1200")).expires == 600
    assert [done.status for done in reporter.done] == [423]
    assert not publication.accepted


@pytest.mark.parametrize("status", [400, 489, 503])
def test_a_refusal_is_told(status):
    reporter = Reporter()
    reporter.publish()
    reporter.run()
    reporter.answer(status)
    assert [(done.status, done.accepted) for done in reporter.done] == [(status, False)]
    assert reporter.done[0].answered


def test_who_does_not_answer_is_given_up():
    reporter = Reporter()
    reporter.publish()
    reporter.run(40.0)
    assert [(done.status, done.answered) for done in reporter.done] == [(408, False)]


def test_a_connection_that_is_lost_ends_it():
    reporter = Reporter(transport=Transport.TCP)
    reporter.publish()
    reporter.run()
    reporter.pair.alice.disconnected(
        flow=reporter.pair.flows["alice"], reason="reset", now=reporter.pair.now
    )
    reporter.pair.drain()
    for event in reporter.pair.events["alice"]:
        reporter.publisher.handle_event(event, now=reporter.pair.now)
    assert [(done.status, done.answered) for done in reporter.done] == [(503, False)]


def test_few_are_under_way_at_a_time():
    reporter = Reporter()
    sent = [reporter.publish() for _ in range(MOST_UNDER_WAY + 3)]
    assert [one is None for one in sent] == [False] * MOST_UNDER_WAY + [True] * 3
    assert reporter.publisher.dropped == 3
    reporter.run(40.0)
    assert len(reporter.publisher) == 0
    assert reporter.publish() is not None


def test_other_events_are_others():
    pair = Pair()
    publisher = Publisher(pair.alice)
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.1)
    assert kinds(pair.events["bob"]) == ["InviteReceived"]
    assert not any(publisher.handle_event(event, now=pair.now) for event in pair.events["bob"])
