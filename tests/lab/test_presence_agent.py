"""The lab's presence server: what it takes, and what it forgets."""

from __future__ import annotations

import pytest

from softphone.events import Presence
from softphone.lab.presence_agent import LabPresenceAgent
from softphone.sip import Body, EventHandlers, Request, SipUri
from softphone.sip.event_packages import print_pidf
from tests.support.clock import seeded_entropy

OPEN = print_pidf("sip:bob@h", Presence(True))


@pytest.fixture
async def agent():
    made = LabPresenceAgent(seeded_entropy(3), lambda command: command(0.0), EventHandlers())
    yield made
    made.close()


def publish(agent, body=None, *, tag=None, expires=60):
    fields = [("Event", "presence"), ("Expires", str(expires))]
    if tag is not None:
        fields.append(("SIP-If-Match", tag))
    request = Request.build("PUBLISH", SipUri.parse("sip:bob@h"), fields, body)
    answer = agent.handle_publish("bob", request)
    return answer.status, dict(answer.headers).get("SIP-ETag")


async def test_a_publication_is_kept_refreshed_and_removed(agent):
    status, tag = publish(agent, OPEN)
    assert (status, agent.presence_of("bob")) == (200, Presence(True))
    status, newer = publish(agent, tag=tag)
    assert (status, agent.presence_of("bob")) == (200, Presence(True))
    assert publish(agent, tag=tag)[0] == 412
    assert publish(agent, tag=newer, expires=0)[0] == 200
    assert agent.presence_of("bob") == Presence(False)


@pytest.mark.parametrize(
    ("body", "tag", "status"),
    [
        (None, None, 400),
        (OPEN, "unknown", 412),
        (Body("text/plain", b"open"), None, 415),
        (Body("application/pidf+xml", b"open"), None, 400),
    ],
)
async def test_what_makes_no_sense_is_refused(agent, body, tag, status):
    assert publish(agent, body, tag=tag)[0] == status
    assert agent.presence_of("bob") == Presence(False)
