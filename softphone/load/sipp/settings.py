"""What all calls of a run of a SIPp scenario share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TypeAlias

from softphone.load.sipp.authentication import ChallengeAnswers
from softphone.load.sipp.injection import InjectionFile
from softphone.load.sipp.scenario import SippScenario
from softphone.load.sipp.values import Value

MOST_INVITES_AGAIN = 5
MOST_REQUESTS_AGAIN = 7
T2 = 4.0
"""RFC 3261 section 17.1.2.2; the intervals of an INVITE go on doubling."""

Pause: TypeAlias = Callable[[int], float]


def _no_entropy(size: int) -> bytes:
    raise RuntimeError("no source of keys was given")


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Names, numbers and policies of a run.

    `pid` tells runs apart in tags and branches.  `service` is the user part of what is called,
    `remote_host` its host as written.  `pause(number)` is the length in seconds of a pause without
    one, `answer_timeout` bounds in seconds the wait for a response that has no timeout of its own.
    `wall()` is the seconds since 1970.  `indexes` has the lines of each injection file by the
    values of one of its fields.  `clear_media` lets media be sent that no key protects, `echo`
    sends back what comes, and `media_port(number, kind)` takes ports for a call of its own, where
    OSError says that none is free; without it they are those of all calls.  `entropy(size)` draws
    keys.  `shared`
    has the values of global variables, `users` those of each user, by the line of the first
    injection file that says USER.
    """

    scenario: SippScenario
    pid: int
    service: str = "service"
    remote_host: str = ""
    media_ports: tuple[int, int] = (40000, 49999)
    keys: Mapping[str, str] = field(default_factory=dict)
    injections: Mapping[str, InjectionFile] = field(default_factory=dict)
    indexes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pause: Pause = lambda number: 0.0
    answer_timeout: float = 32.0
    seed: int = 1
    wall: Callable[[], float] = lambda: 0.0
    answers: ChallengeAnswers | None = None
    clear_media: bool = False
    echo: bool = False
    media_port: Callable[[int, str], int] | None = None
    entropy: Callable[[int], bytes] = _no_entropy
    shared: MutableMapping[str, Value] = field(default_factory=dict)
    users: MutableMapping[int, MutableMapping[str, Value]] = field(default_factory=dict)
