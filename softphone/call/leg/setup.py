"""LegSetup: what the account, or the server, hands to a call's leg."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

from softphone.call.leg.dtmf import DigitMethod
from softphone.call.leg.kpml_subscriptions import TimerHandle
from softphone.call.leg.negotiation import MediaSetup, Negotiation
from softphone.contacts import Contact
from softphone.errors import LocalProtocolError
from softphone.fast_dataclass import fast_init
from softphone.personas import StandardPersona
from softphone.sans_io import Flow, OpenDrain
from softphone.security import SecurityState
from softphone.sip import Endpoint, EventHandlers, NameAddr

logger = logging.getLogger("softphone.call")

HeaderFields: TypeAlias = tuple[tuple[str, str], ...]

NameLookup: TypeAlias = Callable[[NameAddr, Callable[[Contact], None]], None]
"""Looks up a name without waiting; calls back once the contact is known, at once if it is now."""


def no_name_lookup(peer: NameAddr, on_found: Callable[[Contact], None]) -> None:
    """Look up nothing: there is no directory."""


def _say_nothing(_: SecurityState) -> HeaderFields:
    return ()


class _Command(AbstractContextManager[float]):
    """A drain that swallows LocalProtocolError: the far end was faster than our command.

    The event that reports what the far end did is then still to come.
    """

    __slots__ = ("_drain",)

    def __init__(self, drain: AbstractContextManager[float]) -> None:
        self._drain = drain

    def __enter__(self) -> float:
        return self._drain.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._drain.__exit__(kind, error, trace)
        if not isinstance(error, LocalProtocolError):
            return False
        logger.info("overtaken by the far end: %s", error)
        return True


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class LegSetup:
    """What an account, or a server, hands to a leg.

    `change` opens a drain of the endpoint (`with change() as now`); the leg registers itself in
    `handlers` for its usages.  `vouched` says whether the server at the other end of a flow speaks
    for far ends; `direct` whether the account calls peers themselves, without a server.
    `warning_agent` goes into Warning; `answer_headers` gives header fields for our 200 to an
    INVITE (a server reports the call's security there).
    `negotiation` is the class that negotiates the leg's media.
    """

    endpoint: Endpoint
    change: OpenDrain
    call_later: Callable[[float, Callable[[], None]], TimerHandle]
    handlers: EventHandlers
    media: MediaSetup
    persona: StandardPersona
    vouched: Callable[[Flow | None], bool]
    direct: bool = False
    warning_agent: str = "softphone"
    fips: bool = False
    answer_headers: Callable[[SecurityState], HeaderFields] = _say_nothing
    digits_by: DigitMethod = DigitMethod.AUTO
    names: NameLookup = no_name_lookup
    negotiation: type[Negotiation] = Negotiation

    def command(self) -> AbstractContextManager[float]:
        """Open a drain for one command, which is dropped when the far end was faster."""
        return _Command(self.change())
