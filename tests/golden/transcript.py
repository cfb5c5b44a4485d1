"""A transcript, and machines that are recorded in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow, Machine, Target, Transmit
from tests.golden.dump import Dump, digest, message_lines, octets, seconds

M = TypeVar("M", bound=Machine[object])
T = TypeVar("T")
LONG = 6
"""Fields from which on a text is written once only; not its length, which names change."""


class Transcript:
    """Lines of text; `probes` are asked after every drain for what else there is to write."""

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.clock = clock
        self.dump = Dump()
        self.probes: list[Callable[[], None]] = []
        self._lines: list[str] = []
        self._long: dict[str, int] = {}
        self._deadlines: dict[str, float | None] = {}

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(f"{line}\n" for line in self._lines)

    def title(self, text: str) -> None:
        """What the script does next."""
        self._lines.append(f"# {text}")

    def write(self, who: str, text: str, *, at: float | None = None) -> None:
        """One line; a long text that was written before is only named."""
        if text.count("=") >= LONG:
            if text in self._long:
                text = f"{text.partition('{')[0]}again {self._long[text]}"
            else:
                self._long[text] = len(self._long) + 1
        self._lines.append(f"{seconds(self.clock() if at is None else at)} {who} {text}")

    def message(self, data: bytes) -> None:
        """A message that is text, in full."""
        self._lines += [f"  | {line}" for line in message_lines(data)]

    def event(self, who: str, event: object, *, at: float | None = None) -> None:
        """An event, with all that it holds."""
        self.write(who, f"event {self.dump.value(event)}", at=at)

    def deadline(self, who: str, deadline: float | None) -> None:
        """When a machine wants to be woken, where that has changed."""
        if self._deadlines.get(who) != deadline:
            self._deadlines[who] = deadline
            self.write(who, f"timer {seconds(deadline)}")

    def probe(self) -> None:
        """Ask every probe."""
        for probe in self.probes:
            probe()

    def refused(self, who: str, command: Callable[[], object]) -> None:
        """Give a command that the state does not allow."""
        try:
            command()
        except LocalProtocolError as exc:
            self.write(who, f"refused {self.dump.value(exc)}")
        else:
            self.write(who, "not refused")


class Recording:
    """One machine in a transcript."""

    def __init__(self, transcript: Transcript, name: str, *, text: bool) -> None:
        self.transcript = transcript
        self.name = name
        self.text = text
        self.sent: set[bytes] = set()

    def received(self, data: bytes, flow: Flow, now: float) -> None:
        """What it was given: the sender's side has it in full."""
        where = self.transcript.dump.flow(flow)
        self.transcript.write(self.name, f"receive {where} {self.summary(data)}", at=now)

    def summary(self, data: bytes) -> str:
        """Octets in one line."""
        if not self.text or len(data) < 8:
            return octets(data)
        first = message_lines(data.partition(b"\r\n")[0])[0]
        return f"{len(data)} octets {digest(data)} {first[:32]}"

    def transmitted(self, transmit: Transmit) -> None:
        """What it sends: in full, but for what it has sent before."""
        transcript = self.transcript
        close = " close" if transmit.close else ""
        to = transcript.dump.value(transmit.to)
        if not self.text or len(transmit.data) < 8:
            transcript.write(self.name, f"send {to}{close} {octets(transmit.data)}")
            return
        again = transmit.data in self.sent
        shown = f"again {self.summary(transmit.data)}" if again else f"{len(transmit.data)} octets"
        transcript.write(self.name, f"send {to}{close} {shown}")
        if not again:
            self.sent.add(transmit.data)
            transcript.message(transmit.data)


def record(machine: M, transcript: Transcript, name: str, *, text: bool = True) -> M:
    """Write all that a machine is told, sends and reports; gives the machine."""
    recording = Recording(transcript, name, text=text)
    receive, connected, disconnected = machine.receive, machine.connected, machine.disconnected
    handle_timer, transmits, next_event = (
        machine.handle_timer,
        machine.transmits,
        machine.next_event,
    )

    def recorded_receive(data: bytes, *, flow: Flow, now: float) -> None:
        recording.received(bytes(data), flow, now)
        receive(data, flow=flow, now=now)

    def recorded_connected(*, flow: Flow, now: float, target: Target | None = None) -> None:
        which = f"{transcript.dump.flow(flow)} {transcript.dump.value(target)}"
        transcript.write(name, f"connected {which}", at=now)
        connected(flow=flow, now=now, target=target)

    def recorded_disconnected(*, flow: Flow | Target, reason: str | None, now: float) -> None:
        which = f"{transcript.dump.value(flow)} {transcript.dump.value(reason)}"
        transcript.write(name, f"disconnected {which}", at=now)
        disconnected(flow=flow, reason=reason, now=now)

    def recorded_handle_timer(*, now: float) -> None:
        transcript.write(name, "handle_timer", at=now)
        handle_timer(now=now)

    def recorded_transmits() -> list[Transmit]:
        found = transmits()
        for transmit in found:
            recording.transmitted(transmit)
        return found

    def recorded_next_event() -> object:
        event = next_event()
        if event is not None:
            transcript.event(name, event)
        else:
            transcript.deadline(name, machine.next_timer())
            transcript.probe()
        return event

    machine.receive = recorded_receive
    machine.connected = recorded_connected
    machine.disconnected = recorded_disconnected
    machine.handle_timer = recorded_handle_timer
    machine.transmits = recorded_transmits
    machine.next_event = recorded_next_event
    return machine


def taken(events: list[object], kind: type[T]) -> T:
    """Take the first event of a class out of a list."""
    for at, event in enumerate(events):
        if isinstance(event, kind):
            del events[at]
            return event
    raise AssertionError(f"no {kind.__name__} among {[type(event).__name__ for event in events]}")


class Watch:
    """A probe: writes what has come into a list as events."""

    def __init__(
        self, transcript: Transcript, name: str, found: Callable[[], list[object]]
    ) -> None:
        self._transcript = transcript
        self._name = name
        self._found = found
        self._written: list[object] = []
        transcript.probes.append(self.look)

    def look(self) -> None:
        """Write what is new; a list that was cleared begins anew."""
        found = list(self._found())
        known = len(self._written)
        if len(found) < known or any(
            one is not other for one, other in zip(found, self._written, strict=False)
        ):
            known = 0
        for event in found[known:]:
            self._transcript.event(self._name, event)
        self._written = found
