"""Keys in SDP: crypto lines made and judged, and when a key is renewed (RFC 4568, RFC 7714 14).

Nothing here is fatal to a call: each line that cannot be used is a `Refusal` with its reason, and
whoever asks decides what no usable line means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from softphone.events import Direction
from softphone.machine import Address, Entropy
from softphone.sdp.attributes import Crypto, CryptoLine
from softphone.security import CryptoSuite, KeyMaterial

__all__ = [
    "Agreement",
    "Choice",
    "KeyPlan",
    "Preference",
    "Refusal",
    "RefusalCode",
    "check_answer",
    "choose",
    "make_answer",
    "make_offer",
    "same_key",
]


class RefusalCode(StrEnum):
    """Why a crypto line was not used."""

    MALFORMED = "malformed"
    UNKNOWN_SUITE = "unknown_suite"
    SUITE_NOT_ALLOWED = "suite_not_allowed"
    BAD_TAG = "bad_tag"
    DUPLICATE_TAG = "duplicate_tag"
    KEY_LENGTH = "key_length"
    SEVERAL_KEYS = "several_keys"
    KEY_METHOD = "key_method"
    MKI = "mki"
    LIFETIME = "lifetime"
    SESSION_PARAMETER = "session_parameter"
    NOT_OFFERED = "not_offered"
    SEVERAL_LINES = "several_lines"
    NO_LINE = "no_line"
    KEY_REFLECTED = "key_reflected"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One crypto line that was not used, and why; never the key."""

    tag: int | None
    suite: str | None
    code: RefusalCode
    reason: str


class Preference(Enum):
    """Whose order decides between several acceptable lines."""

    OURS = "ours"
    THEIRS = "theirs"


@dataclass(frozen=True, slots=True)
class Choice:
    """The verdict on offered lines: the one to answer (None: none), and those passed over."""

    crypto: Crypto | None
    suite: CryptoSuite | None
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreement:
    """Keys in both directions, and whether each differs from before (then: a new context).

    With `send_renewed` the sender also takes a new SSRC and a first sequence number below 2^15,
    so that its rollover counter is 0 however the peer reads RFC 3711 section 3.3.1.
    """

    suite: CryptoSuite
    local: Crypto
    remote: Crypto
    send_renewed: bool
    receive_renewed: bool

    @property
    def send_key(self) -> KeyMaterial:
        """The master key and salt that we send with."""
        return self.local.key_params[0].key

    @property
    def receive_key(self) -> KeyMaterial:
        """The master key and salt that the remote sends with."""
        return self.remote.key_params[0].key


def make_offer(suites: Sequence[CryptoSuite], *, entropy: Entropy) -> tuple[Crypto, ...]:
    """Crypto lines for `suites` in order, tags from 1, a fresh key each.

    Raises ConfigurationError when `suites` is empty or names one twice.
    """
    raise NotImplementedError


def choose(
    offered: Sequence[CryptoLine],
    *,
    allowed: Sequence[CryptoSuite],
    preference: Preference = Preference.OURS,
) -> Choice:
    """Judge offered lines one by one and pick the first acceptable one (RFC 4568 section 5.1.2).

    By default the order of `allowed` decides, so that the strongest common suite is used; with
    Preference.THEIRS the offerer's order does.
    """
    raise NotImplementedError


def make_answer(chosen: Crypto, *, entropy: Entropy) -> Crypto:
    """Our line for a chosen one: same tag, same suite, a key of our own."""
    raise NotImplementedError


def check_answer(offered: Sequence[Crypto], answered: Sequence[CryptoLine]) -> Choice:
    """Judge an answer: exactly one line, with tag and suite of one of ours, and a valid key."""
    raise NotImplementedError


def same_key(one: Crypto, other: Crypto) -> bool:
    """Whether two lines carry the same suite and key, compared in constant time."""
    raise NotImplementedError


class KeyPlan:
    """The SDES keys of one media stream over the life of a call: what stays, what is renewed.

    offering:   lines = plan.offer();              result = plan.receive_answer(lines, ...)
    answering:  result = plan.answer(lines, ...)   (its `local` is the one line to print)
    and `plan.rollback()` when the exchange failed.  `current` is the agreement in force.
    """

    def __init__(
        self,
        suites: Sequence[CryptoSuite],
        *,
        entropy: Entropy,
        preference: Preference = Preference.OURS,
    ) -> None:
        raise NotImplementedError

    @property
    def current(self) -> Agreement | None:
        """The agreement in force, None while the stream is not SRTP."""
        raise NotImplementedError

    def offer(
        self, *, full: bool = False, direction: Direction = Direction.SENDRECV
    ) -> tuple[Crypto, ...]:
        """The lines to offer.

        Before an agreement: every suite with a fresh key.  After it: the active line alone, with
        its key (peers are known to switch suites when offered all again); `full` (a re-INVITE
        without SDP asks for a full offer) puts the other suites behind it.  A stream that leaves
        inactive gets a fresh key.
        """
        raise NotImplementedError

    def receive_answer(
        self,
        lines: Sequence[CryptoLine],
        *,
        remote: Address,
        direction: Direction,
        final: bool = True,
    ) -> Agreement | tuple[Refusal, ...]:
        """Judge the answer to our lines; `direction` and `remote` as negotiated."""
        raise NotImplementedError

    def answer(
        self, lines: Sequence[CryptoLine], *, remote: Address, direction: Direction
    ) -> Agreement | tuple[Refusal, ...]:
        """Judge an offer and make our line, with the key kept or renewed by the rules above.

        It is in force only after `commit`; `rollback` forgets it.
        """
        raise NotImplementedError

    def commit(self) -> None:
        """The answer that we made has been sent."""
        raise NotImplementedError

    def rollback(self) -> None:
        """The exchange failed: what was agreed before stays."""
        raise NotImplementedError

    def clear(self) -> None:
        """The stream was agreed as RTP in clear: the next SRTP exchange starts anew."""
        raise NotImplementedError
