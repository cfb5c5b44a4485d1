"""A scripted machine: it records what the driver tells it and sends what a test gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from softphone.net import Driver, DriverConfig
from softphone.sans_io import Flow, Target, Transmit
from softphone.trust import TlsSettings
from tests.support.waiting import until

__all__ = ["Down", "Got", "Rang", "Recorder", "Up", "client_driver", "until"]


@dataclass(frozen=True)
class Up:
    flow: Flow
    target: Target | None


@dataclass(frozen=True)
class Down:
    flow: Flow | Target
    reason: str | None


@dataclass(frozen=True)
class Got:
    data: bytes
    flow: Flow


@dataclass(frozen=True)
class Rang:
    now: float


@dataclass
class Recorder:
    """Its events are what happened to it; `outgoing` is what it sends next."""

    outgoing: list[Transmit] = field(default_factory=list)
    events: list[object] = field(default_factory=list)
    deadline: float | None = None
    log: list[object] = field(default_factory=list)
    react: Callable[[object], None] = lambda event: None

    def receive(self, data, *, flow, now):
        self.events.append(Got(data, flow))

    def connected(self, *, flow, now, target=None):
        self.events.append(Up(flow, target))

    def disconnected(self, *, flow, reason, now):
        self.events.append(Down(flow, reason))

    def handle_timer(self, *, now):
        self.deadline = None
        self.events.append(Rang(now))

    def next_timer(self):
        return self.deadline

    def transmits(self):
        outgoing, self.outgoing = self.outgoing, []
        return outgoing

    def next_event(self):
        return self.events.pop(0) if self.events else None

    def on_event(self, event):
        self.log.append(event)
        self.react(event)

    def send(self, data: bytes, to: Flow | Target, *, close: bool = False) -> None:
        self.outgoing.append(Transmit(data, to, close))

    def seen(self, kind: type) -> list:
        return [event for event in self.log if isinstance(event, kind)]

    def received(self) -> bytes:
        return b"".join(event.data for event in self.seen(Got))


def client_driver(recorder: Recorder, tls: TlsSettings, **more) -> Driver:
    """A driver whose targets without a named credential use these settings."""
    return Driver(recorder, on_event=recorder.on_event, tls={"": tls}, config=DriverConfig(**more))
