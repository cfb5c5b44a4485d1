"""Scenarios as text, and their calls on virtual time."""

from __future__ import annotations

import asyncio
import random
import socket
from dataclasses import dataclass, field

import pytest

from softphone.load.sipp import CallOutcome, RunSettings, SippEndpoint, read_scenario
from softphone.sans_io import Flow, Transport

LOCAL, REMOTE = ("127.0.0.1", 5062), ("127.0.0.1", 5060)


def flow_over(transport=Transport.UDP, number=1):
    """A flow from us to the far end."""
    return Flow(number, transport, LOCAL, REMOTE)


def head_of(method, *lines, call="1-7@127.0.0.1", cseq=1):
    """The lines of a message of the calls below, with CRLF; `method` may be a status."""
    start = (
        f"SIP/2.0 {method} Reason" if method[0].isdigit() else f"{method} sip:a@127.0.0.1 SIP/2.0"
    )
    name = next((line.partition(" ")[2] for line in lines if line.startswith("for ")), method)
    found = [
        start,
        "Via: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK-7-1-0",
        "From: <sip:a@127.0.0.1>;tag=a",
        "To: <sip:b@127.0.0.1>;tag=b",
        f"Call-ID: {call}",
        f"CSeq: {cseq} {name}",
        *(line for line in lines if not line.startswith("for ")),
        "Content-Length: 0",
    ]
    return ("\r\n".join(found) + "\r\n\r\n").encode()


@dataclass
class Played:
    """A machine with its scenario: give it messages and time, and look at what it sends."""

    endpoint: SippEndpoint
    flow: Flow
    now: float = 0.0
    events: list = field(default_factory=list)
    sent: list = field(default_factory=list)

    def call(self, number=1):
        """Begin a call."""
        self.endpoint.start_call(self.flow, number, now=self.now)
        return self.drain()

    def get(self, *messages):
        """Take messages; gives the start lines of what is sent for them."""
        for message in messages:
            self.endpoint.receive(message, flow=self.flow, now=self.now)
        return self.drain()

    def wait(self, seconds):
        """Let time pass, timer by timer; gives the start lines of what is sent."""
        until, found = self.now + seconds, []
        while (at := self.endpoint.next_timer()) is not None and at <= until:
            self.now = at
            self.endpoint.handle_timer(now=at)
            found += self.drain()
        self.now = until
        return found

    def drain(self):
        """Take out what is sent; gives the start lines."""
        out = [transmit.data for transmit in self.endpoint.transmits()]
        while (event := self.endpoint.next_event()) is not None:
            self.events.append(event)
        self.sent += out
        return [data.split(b"\r\n")[0].decode() for data in out]

    @property
    def outcomes(self):
        """How calls have ended."""
        return [event for event in self.events if isinstance(event, CallOutcome)]


@pytest.fixture
def scenario(tmp_path):
    """`scenario(TEXT)` writes the elements into a scenario file and gives its path."""
    count = iter(range(1000))

    def write(text):
        path = tmp_path / f"scenario-{next(count)}.xml"
        path.write_text(f'<?xml version="1.0"?>\n<scenario name="test">\n{text}\n</scenario>\n')
        return path

    return write


@pytest.fixture
def play(scenario):
    """`play(TEXT)` reads a scenario and gives its machine."""

    def make(text, *, transport=Transport.UDP, limit=10, total=0, **settings):
        read = read_scenario(scenario(text), keys=settings.get("keys", ()))
        endpoint = SippEndpoint(RunSettings(read, 7, **settings), limit=limit, total=total)
        return Played(endpoint, flow_over(transport))

    return make


def send(method, *, cseq="[cseq]", attributes="", more="X-A: 1"):
    """A `send` of a request."""
    return f"""<send {attributes}><![CDATA[
      {method} sip:b@[remote_ip]:[remote_port] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: <sip:a@[local_ip]>;tag=a
      To: <sip:b@[remote_ip]>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: {cseq} {method}
      {more}
      Content-Length: [len]
    ]]></send>"""


def answer(status, *, attributes="", more="X-A: 1"):
    """A `send` of a response."""
    return f"""<send {attributes}><![CDATA[
      SIP/2.0 {status} Reason
      [last_Via:]
      [last_From:]
      [last_To:]
      [last_Call-ID:]
      [last_CSeq:]
      {more}
      Content-Length: 0
    ]]></send>"""


def free_pair():
    """The first of two ports that are free now, and that no socket is given by itself."""
    chance = random.SystemRandom()
    while True:
        port = 2 * chance.randrange(8_000, 16_000)
        try:
            for each in (port, port + 1):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("127.0.0.1", each))
        except OSError:
            continue
        return port


async def eventually(condition, *, within=40.0):
    """Wait for a condition to hold."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)
