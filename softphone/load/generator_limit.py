"""The most calls that the generator itself holds, as `softphone load calibrate` measured it.

A run says how near it comes to that.  A limit counts only for the machine, versions and settings
that it was measured with.  Reads no file and no clock.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from softphone._version import __version__
from softphone.errors import ConfigurationError
from softphone.load.plan import LoadPlan


@dataclass(frozen=True, slots=True)
class GeneratorSetup:
    """What a limit depends on.  `suites` and `codecs` are those offered; none: the default's."""

    machine: str
    python: str
    softphone: str
    media_path: str
    workers: int
    sockets: str
    media: str
    srtp: str | None
    suites: tuple[str, ...]
    codecs: tuple[str, ...]

    @classmethod
    def of_plan(cls, plan: LoadPlan, workers: int, media_path: str) -> Self:
        """Return the set-up in which this process would run a plan."""
        return cls(
            machine=f"{platform.node()}, {platform.machine()}, {os.cpu_count()} processors",
            python=platform.python_version(),
            softphone=__version__,
            media_path=media_path,
            workers=workers,
            sockets=plan.sockets,
            media=plan.placement,
            srtp=plan.base.srtp,
            suites=plan.base.suites,
            codecs=plan.base.codecs,
        )


@dataclass(frozen=True, slots=True)
class GeneratorLimit:
    """The most calls that were held, when, and why more were not.

    `measured` is a time by ISO 8601; with `at_least`, more were not tried.
    """

    calls: int
    at_least: bool
    why: str
    measured: str
    setup: GeneratorSetup

    @classmethod
    def from_fields(cls, fields: Any) -> Self:
        """Read what `asdict` gave and JSON kept.  Raises KeyError, TypeError, ValueError."""
        calls = fields["calls"]
        if type(calls) is not int or calls < 1:
            raise ValueError("a limit is a number of calls, 1 at least")
        setup = dict(fields["setup"])
        for name in ("suites", "codecs"):
            setup[name] = tuple(map(str, setup[name]))
        return cls(
            calls=calls,
            at_least=bool(fields["at_least"]),
            why=str(fields["why"]),
            measured=str(fields["measured"]),
            setup=GeneratorSetup(**setup),
        )


def read_limits(text: str, name: str) -> tuple[GeneratorLimit, ...]:
    """Read the limits of a file, `name` in errors.  Raises ConfigurationError."""
    try:
        return tuple(GeneratorLimit.from_fields(each) for each in json.loads(text)["limits"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{name} holds no limits of the generator: remove it, and calibrate anew"
        ) from error


def limits_text(limits: Sequence[GeneratorLimit]) -> str:
    """Return limits as the text of a file."""
    return json.dumps({"limits": [asdict(each) for each in limits]}, indent=1) + "\n"


def find_limit(limits: Sequence[GeneratorLimit], setup: GeneratorSetup) -> GeneratorLimit | None:
    """Return the limit of a set-up, or None if it was never measured."""
    return next((each for each in limits if each.setup == setup), None)


def replace_limit(
    limits: Sequence[GeneratorLimit], new: GeneratorLimit
) -> tuple[GeneratorLimit, ...]:
    """Return the limits with the new one in the place of that of the same set-up."""
    return (*(each for each in limits if each.setup != new.setup), new)
