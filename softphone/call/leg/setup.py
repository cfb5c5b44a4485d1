"""LegSetup: the settings and callbacks that the account, or a server, gives to a call's leg."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from softphone.call.dial_permit import JudgeReferral, judges_no_referral
from softphone.call.leg.dtmf import DigitMethod
from softphone.call.leg.guards import DEFAULT_GUARDS, CallGuards
from softphone.call.leg.kpml_subscriptions import TimerHandle
from softphone.call.leg.negotiation import MediaSetup, Negotiation
from softphone.call.leg.security import FlowProof, proves_nothing
from softphone.contacts import Contact
from softphone.errors import LocalProtocolError
from softphone.fast_dataclass import fast_init
from softphone.personas import StandardPersona
from softphone.sans_io import Flow, OpenDrain
from softphone.security import SecurityPolicy, SecurityState
from softphone.sip import Endpoint, EventHandlers, NameAddr, Uri

if TYPE_CHECKING:
    from softphone.call.leg.music_on_hold import MusicSource
    from softphone.media.detection import SpeechModel
    from softphone.media.processing import VoiceProcessing

logger = logging.getLogger("softphone.call")

HeaderFields: TypeAlias = tuple[tuple[str, str], ...]

CallMusicSource: TypeAlias = "Callable[[SecurityPolicy], Awaitable[MusicSource]]"
"""Calls the configured music source under the policy of the held call.

Raises SecurityShortfall when its connection cannot meet that, TransportError or CertificateError.
"""

NameLookup: TypeAlias = Callable[[NameAddr, Callable[[Contact], None]], None]
"""Looks up a name without waiting; calls back once the contact is known, at once if it is now."""


def trusts_nobody(_: Flow | None) -> bool:
    """Trust no server to assert the identity of far ends."""
    return False


def _no_users() -> tuple[str | None, ...]:
    return ()


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
    """The settings and callbacks that an account, or a server, gives to a leg.

    `change` opens a drain of the endpoint (`with change() as now`); the leg registers itself in
    `handlers` for its usages.  `vouched` says whether the server at the other end of a flow may
    report the security level of far ends, `asserts` whether it may assert their identity (RFC
    3325); `direct` whether the account calls peers themselves, without a server; `by_edge` whether
    its calls pass an edge server, which decrypts them.  `own_users` gives
    the user parts that lead to our phone, whatever was dialed.  `identifies_sessions` sends
    Session-ID (RFC 7989).  `warning_agent` goes into Warning; `answer_headers` gives header fields
    for our 200 to an INVITE (a server reports the call's security there).  `negotiation` is the
    class that negotiates the leg's media; `guards` end or report a call that lasts too long or has
    lost its media; `names` looks the far end up in directories, None where there are none; `proof`
    tells what a far end without certificate has proven.  A target without a domain gets that of
    `aor`, the account's; None: that of the leg's own address.  `judge_referral` judges where a far
    end is sent, by the account's dial policy.  `call_music_source` calls the source of music on
    hold; None without one.  `only_host` is the source of an INVITE that may be forged: until its
    sender has answered something of ours, media goes to no other host.  None: to any.
    `speech_model` finds speech where it is detected; None: its spectrum does.  `voice_processing`
    removes echo and noise from received audio; None: nothing does.
    """

    endpoint: Endpoint
    change: OpenDrain
    call_later: Callable[[float, Callable[[], None]], TimerHandle]
    handlers: EventHandlers
    media: MediaSetup
    persona: StandardPersona
    vouched: Callable[[Flow | None], bool]
    asserts: Callable[[Flow | None], bool] = trusts_nobody
    direct: bool = False
    by_edge: bool = False
    own_users: Callable[[], tuple[str | None, ...]] = _no_users
    identifies_sessions: bool = False
    warning_agent: str = "softphone"
    fips: bool = False
    answer_headers: Callable[[SecurityState], HeaderFields] = _say_nothing
    digits_by: DigitMethod = DigitMethod.AUTO
    names: NameLookup | None = None
    aor: Uri | None = None
    negotiation: type[Negotiation] = Negotiation
    guards: CallGuards = DEFAULT_GUARDS
    proof: FlowProof = proves_nothing
    judge_referral: JudgeReferral = judges_no_referral
    call_music_source: CallMusicSource | None = None
    only_host: str | None = None
    speech_model: SpeechModel | None = None
    voice_processing: VoiceProcessing | None = None

    def command(self) -> AbstractContextManager[float]:
        """Open a drain for one command, which is dropped when the far end was faster."""
        return _Command(self.change())
