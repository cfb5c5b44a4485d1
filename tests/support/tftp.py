"""TFTP in tests: both machines over the lossy link, on virtual time."""

from __future__ import annotations

from softphone.provisioning.tftp import TftpDownload
from softphone.provisioning.tftp.packet import parse_tftp_packet
from softphone.provisioning.tftp.server import TftpServer
from softphone.sans_io import Flow, Target, Transport
from tests.support.clock import Clock
from tests.support.link import Link, LinkQuality

TARGET = Target(Transport.UDP, "192.0.2.1", 69)
HERE = ("192.0.2.9", 50001)
WELL_KNOWN = Flow(901, Transport.UDP, HERE, ("192.0.2.1", 69))
PEER = Flow(902, Transport.UDP, HERE, ("192.0.2.1", 40069))
STRANGER = Flow(903, Transport.UDP, HERE, ("192.0.2.66", 40069))
CLIENT = Flow(904, Transport.UDP, ("192.0.2.1", 40069), HERE)


def packets_of(machine) -> list:
    """What a machine wants sent, read, with where to."""
    return [(parse_tftp_packet(each.data), each.to) for each in machine.transmits()]


def outcome_of(machine):
    """The one event that a machine has, or None."""
    return machine.next_event()


def started(name: str = "CSFALICE.cnf.xml", **options) -> TftpDownload:
    """A download that has asked, and whose request is taken out."""
    machine = TftpDownload(name, TARGET, **options)
    machine.start(now=0.0)
    machine.connected(flow=WELL_KNOWN, now=0.0, target=TARGET)
    machine.transmits()
    return machine


class World:
    """A download and a server, with a link in each direction; `sent` counts data packets."""

    def __init__(self, download: TftpDownload, server: TftpServer, quality=None, seed=1) -> None:
        self.download, self.server = download, server
        self.clock = Clock(0.0)
        quality = quality or LinkQuality()
        self.up = Link(quality, reliable=False, seed=seed)
        self.down = Link(quality, reliable=False, seed=seed + 1)
        self.sent: list[bytes] = []
        self.event = None

    def run(self, until: float = 600.0):
        """Until the download has ended; gives its event."""
        self.download.connected(flow=WELL_KNOWN, now=self.clock.now, target=TARGET)
        self.download.start(now=self.clock.now)
        while self.event is None and self.clock.now < until:
            self._carry()
            times = [self.up.next(), self.down.next(), self.download.next_timer()]
            times.append(self.server.next_timer())
            due = [each for each in times if each is not None]
            if self.event is not None or not due:
                break
            self.clock.advance(min(due))
            self._deliver()
        return self.event

    def _carry(self) -> None:
        for transmit in self.download.transmits():
            self.up.put(transmit.data, now=self.clock.now)
        for transmit in self.server.transmits():
            self.sent.append(transmit.data)
            self.down.put(transmit.data, now=self.clock.now)
        self.event = self.event or self.download.next_event()

    def _deliver(self) -> None:
        now = self.clock.now
        while (data := self.up.take(now=now)) is not None:
            self.server.receive(data, flow=CLIENT, now=now)
        while (data := self.down.take(now=now)) is not None:
            self.download.receive(data, flow=PEER, now=now)
        self.download.handle_timer(now=now)
        self.server.handle_timer(now=now)
