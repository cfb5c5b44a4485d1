"""A fleet of users and a scripted server, on virtual time."""

from __future__ import annotations

import itertools
from dataclasses import replace

from softphone.load.measure import Tally
from softphone.load.workload import UserFleet
from softphone.sans_io import Flow, Target, Transport
from softphone.sip import NameAddr, RegistrationConfig, SipUri
from softphone.sip.message import Request, Response, parse_datagram
from tests.support.clock import Clock, seeded_entropy

CONFIG = RegistrationConfig(
    aor=NameAddr.parse("<sip:alice@example.test>"),
    registrar=SipUri.parse("sip:example.test"),
    user="alice",
    instance_id="urn:uuid:00000000-0000-1000-8000-000A95A0E128",
)
_ids = itertools.count(50_000)


class FleetWorld:
    """`count` users, `share` of them on a connection; `status` is what the server answers.

    `notify` is the body of each NOTIFY that follows a SUBSCRIBE; None sends none.
    """

    def __init__(self, count=3, share=1, hosts=1, subscribed=None, **settings) -> None:
        self.clock = Clock()
        self.tally = Tally()
        self.fleet = UserFleet(
            entropy=seeded_entropy(5),
            tally=lambda: self.tally,
            subscribed=subscribed,
            **settings,
        )
        self.up = dict.fromkeys((f"192.0.2.{100 + each}" for each in range(hosts)), True)
        self.flows: list[Flow] = []
        self.requests: list[tuple[float, Request, Flow]] = []
        self.responses: list[Response] = []
        self.status = {"REGISTER": 200, "SUBSCRIBE": 200}
        self.seconds = 600
        self.delay = 0.0
        self.notify: bytes | None = b"Messages-Waiting: no\r\n"
        self._late: list[tuple[float, bytes, Flow]] = []
        self._ports = itertools.count(20_000)
        for number in range(count):
            targets = tuple(
                Target(Transport.TLS, host, 5061, credential=f"{number // share}")
                for host in self.up
            )
            aor = NameAddr.parse(f"<sip:user{number}@example.test>")
            config = replace(CONFIG, aor=aor, user=f"user{number}")
            self.fleet.add_user(config, targets, None)

    @property
    def now(self) -> float:
        return self.clock.now

    def register(self) -> None:
        """All of them."""
        for user in self.fleet.users:
            self.fleet.register(user, now=self.now)
        self.drain()

    def cut(self) -> None:
        """Every connection ends."""
        flows, self.flows = self.flows, []
        for flow in flows:
            self.fleet.disconnected(flow=flow, reason="reset", now=self.now)
        self.drain()

    def receive(self, data: bytes, flow: Flow) -> None:
        self.fleet.receive(data, flow=flow, now=self.now)
        self.drain()

    def drain(self) -> None:
        while transmits := self.fleet.transmits():
            for transmit in transmits:
                self._transmit(transmit)
        assert self.fleet.next_event() is None

    def _transmit(self, transmit) -> None:
        to = transmit.to
        if isinstance(to, Target):
            if not self.up[to.host]:
                self.fleet.disconnected(flow=to, reason="connection refused", now=self.now)
                return
            local = ("192.0.2.1", next(self._ports))
            flow = Flow(next(_ids), to.transport, local, (to.host, to.port))
            self.flows.append(flow)
            self.fleet.connected(flow=flow, target=to, now=self.now)
        elif transmit.close:
            if to in self.flows:
                self.flows.remove(to)
            self.fleet.disconnected(flow=to, reason=None, now=self.now)
        elif transmit.data.strip() and to in self.flows:
            self._serve(transmit.data, to)

    def _serve(self, data: bytes, flow: Flow) -> None:
        message = parse_datagram(data)
        if isinstance(message, Response):
            self.responses.append(message)
            return
        assert isinstance(message, Request), message
        self.requests.append((self.now, message, flow))
        status = self.status.get(message.method, 200)
        if not status:
            return
        headers = []
        if message.method == "REGISTER" and status == 200 and message.expires:
            contact = message.contacts[0].with_parameter("expires", str(self.seconds))
            headers = [("Contact", str(contact))]
        elif message.method == "SUBSCRIBE" and status == 200:
            headers = [("Expires", str(message.expires)), ("Contact", "<sip:example.test>")]
        answer = message.response(status, to_tag="server", headers=headers).encode()
        self._late.append((self.now + self.delay, answer, flow))
        if message.method == "SUBSCRIBE" and status == 200 and self.notify is not None:
            state = "active" if message.expires else "terminated"
            body = self.notify_request(message, self.notify, state)
            self._late.append((self.now + 2 * self.delay, body, flow))
        if not self.delay:
            self._deliver()

    def notify_request(self, subscribe: Request, body: bytes, state="active", number=None) -> bytes:
        """A NOTIFY in the dialog of a SUBSCRIBE."""
        number = len(self.requests) if number is None else number
        fields = [
            ("Via", f"SIP/2.0/TLS 192.0.2.100:5061;branch=z9hG4bKn{number}"),
            ("Max-Forwards", "70"),
            ("From", str(subscribe.to.with_tag("server"))),
            ("To", str(subscribe.from_)),
            ("Call-ID", subscribe.call_id),
            ("CSeq", f"{number} NOTIFY"),
            ("Event", str(subscribe.headers.get("Event"))),
            ("Subscription-State", f"{state};expires=600"),
            ("Contact", "<sip:example.test>"),
            ("Content-Type", "application/simple-message-summary"),
            ("Content-Length", str(len(body))),
        ]
        uri = subscribe.contacts[0].uri
        head = [f"NOTIFY {uri} SIP/2.0", *(f"{name}: {value}" for name, value in fields), "", ""]
        return "\r\n".join(head).encode() + body

    def _deliver(self) -> None:
        due = [each for each in self._late if each[0] <= self.now]
        self._late = [each for each in self._late if each[0] > self.now]
        for _, data, flow in due:
            if flow in self.flows:
                self.fleet.receive(data, flow=flow, now=self.now)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        self.drain()
        while True:
            times = [at for at, _, _ in self._late]
            if (timer := self.fleet.next_timer()) is not None:
                times.append(timer)
            at = min(times, default=end + 1.0)
            if at > end:
                break
            self.clock.advance(max(at, self.now))
            self._deliver()
            self.fleet.handle_timer(now=self.now)
            self.drain()
        self.clock.advance(end)

    def sent(self, method: str) -> list[Request]:
        return [request for _, request, _ in self.requests if request.method == method]
