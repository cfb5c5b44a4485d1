"""Two scenarios that run against each other on virtual time: who sends what to whom.

The other side of a scenario of tests/data/sipp is another one there; `PAIRS` says which.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from softphone.load.sipp import (
    CallOutcome,
    ChallengeAnswers,
    RunSettings,
    SippEndpoint,
    SippScenario,
    read_injection,
)
from softphone.sans_io import Flow, Transport
from softphone.security import KeyMaterial
from softphone.sip.auth import DigestAlgorithm, DigestCredentials

DATA = Path(__file__).parents[2] / "data" / "sipp"
LONGEST = 100.0
"""Virtual seconds after which calls that are still up have failed."""
WALL = 1_790_000_000.25


@dataclass(frozen=True)
class Pair:
    """A scenario that calls and one that answers it, with what the run is started with."""

    client: str
    server: str
    calls: int = 1
    injections: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    transport: str = "udp"
    status_of_client: int = 0
    """The exit status of SIPp as the client."""
    keys: tuple[tuple[str, str], ...] = ()
    """Names and values of keywords, of the client."""
    media: bool = False
    """Whether the sides send media, so that each needs ports of its own."""

    @property
    def name(self) -> str:
        """What tests call it."""
        return f"{self.client}-{self.server}-{self.transport}"


_MESSAGE = (
    *("numbers", "comparisons", "strings", "jumps", "conditions", "chances", "time_of_day"),
    *("statistics", "pauses", "logs", "lost", "bodies", "times"),
)
PAIRS = (
    *(Pair(name, "answer_message") for name in _MESSAGE),
    Pair("stopped", "answer_message", status_of_client=1),
    Pair("loop", "answer_four"),
    *(Pair(name, "answer_rich") for name in ("conversions", "patterns", "patterns_posix")),
    Pair("timeout", "answer_no_options"),
    Pair("repeated", "answer_late"),
    Pair("call", "answer_call"),
    Pair("call_of_optional", "answer_slowly"),
    Pair("cancel", "answer_canceled"),
    Pair("busy", "answer_busy"),
    Pair("redirected", "answer_moved"),
    Pair("changes", "answer_changes"),
    Pair("reliable", "answer_reliably"),
    Pair("subscription", "answer_subscription"),
    Pair("transfer", "answer_transfer"),
    Pair("crossed", "answer_crossed"),
    Pair("pattern_methods", "answer_pattern"),
    Pair("asked_meanwhile", "answer_and_ask"),
    Pair("proxy_password", "answer_proxy"),
    Pair("shared", "answer_two_calls", calls=2),
    Pair("streamed", "answer_echo", media=True),
    Pair("keywords", "answer_options"),
    Pair("variables", "answer_routes"),
    Pair("register", "challenge", calls=2, injections=("users.csv",)),
    Pair("register_by_fields", "challenge", calls=2, injections=("passwords.csv",)),
    Pair(
        "fields",
        "answer_two_calls",
        calls=2,
        injections=("numbered.csv", "more.csv"),
        indexes=("more.csv:0",),
    ),
)
"""Every scenario of the folder is in at least one."""


@dataclass(frozen=True)
class Exchanged:
    """What went over: each message with its direction, and how all calls ended."""

    messages: list[tuple[str, bytes]]
    causes: list[str]


class _Wire:
    """Both endpoints, and the virtual time that they share."""

    def __init__(self, client: SippScenario, server: SippScenario, pair: Pair) -> None:
        own, other = ("127.0.0.1", 5062), ("127.0.0.1", 5060)
        self.now = 0.0
        self.found = Exchanged([], [])
        self.sides = {
            "to server": self._endpoint(client, 7, pair),
            "to client": self._endpoint(server, 8, Pair("", "", pair.calls)),
        }
        self.flows = {
            "to server": Flow(1, Transport.UDP, own, other),
            "to client": Flow(2, Transport.UDP, other, own),
        }

    def _endpoint(self, scenario: SippScenario, pid: int, pair: Pair) -> SippEndpoint:
        files = {name: read_injection(DATA / name) for name in pair.injections}
        indexes = {
            name: files[name].index(int(number))
            for name, number in (text.split(":") for text in pair.indexes)
        }
        credentials = DigestCredentials(
            "nobody", KeyMaterial(b"x"), (), (DigestAlgorithm.MD5,), "the account"
        )
        settings = RunSettings(
            scenario,
            pid,
            service="service",
            remote_host="127.0.0.1",
            injections=files,
            indexes=indexes,
            wall=lambda: WALL + self.now,
            entropy=lambda size: b"\2" * size,
            answers=ChallengeAnswers(credentials, lambda size: b"\1" * size),
        )
        return SippEndpoint(settings, limit=pair.calls, total=pair.calls)

    def deliver(self) -> bool:
        """Bring over what is to be sent; False once there is nothing."""
        moved = False
        for way, endpoint in self.sides.items():
            peer = "to client" if way == "to server" else "to server"
            for transmit in endpoint.transmits():
                moved = True
                self.found.messages.append((way, transmit.data))
                self.sides[peer].receive(transmit.data, flow=self.flows[peer], now=self.now)
            while (event := endpoint.next_event()) is not None:
                if isinstance(event, CallOutcome):
                    self.found.causes.append(event.cause)
        return moved

    def pass_time(self) -> bool:
        """Go to the next timer; False if there is none in time."""
        timers = [at for each in self.sides.values() if (at := each.next_timer()) is not None]
        if not timers or min(timers) > LONGEST:
            return False
        self.now = max(self.now, min(timers))
        for endpoint in self.sides.values():
            endpoint.handle_timer(now=self.now)
        return True


def exchange(client: SippScenario, server: SippScenario, pair: Pair) -> Exchanged:
    """Run both against each other to the end of all calls."""
    wire = _Wire(client, server, pair)
    for number in range(1, pair.calls + 1):
        wire.sides["to server"].start_call(wire.flows["to server"], number, now=0.0)
    while wire.deliver() or wire.pass_time():
        pass
    return wire.found
