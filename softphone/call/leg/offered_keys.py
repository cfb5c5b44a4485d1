"""The crypto lines of one offer, judged m-line by m-line and against the call's keys (RFC 4568)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from softphone.sdp import CryptoLine, OfferedMedia
from softphone.security import SecurityPolicy, SrtpPolicy
from softphone.srtp import CryptoRefusal, KeyHistory, choose_crypto

__all__ = ["OfferedKeys"]


class OfferedKeys:
    """The SDES keys of an offer that the policy accepts; with SRTP off none is looked at."""

    def __init__(
        self, offered: Sequence[OfferedMedia], policy: SecurityPolicy, history: KeyHistory
    ) -> None:
        self._offered = tuple(offered)
        looked_at = () if policy.srtp is SrtpPolicy.OFF else self._offered
        self._choices = {
            line.index: choose_crypto(
                line.crypto,
                allowed=policy.suites,
                check_key=partial(history.find_fault, line.media, others=self.others(line)),
            )
            for line in looked_at
            if line.crypto
        }

    def usable(self, line: OfferedMedia) -> bool:
        """Whether an m-line brings a key that we can use."""
        choice = self._choices.get(line.index)
        return choice is not None and choice.crypto is not None

    @property
    def hostile_line(self) -> OfferedMedia | None:
        """An m-line with keys that nobody has a reason to send, and of a kind with no others."""
        for line in self._offered:
            kin = [other for other in self._offered if other.media == line.media]
            refused = any(refusal.code.hostile for refusal in self.refusals(line.media))
            if refused and not any(self.usable(other) for other in kin):
                return line
        return None

    def refusals(self, media: str) -> tuple[CryptoRefusal, ...]:
        """Why crypto lines of the m-lines of one kind cannot be used."""
        return tuple(
            refusal
            for line in self._offered
            if line.media == media and line.index in self._choices
            for refusal in self._choices[line.index].refusals
        )

    def others(self, line: OfferedMedia) -> list[CryptoLine]:
        """The crypto lines of the m-lines of another kind: no key may stand on both."""
        return [
            crypto
            for other in self._offered
            if other.media != line.media
            for crypto in other.crypto
        ]
