"""Classifies who answered: a human, a machine, a fax, or nobody yet (silence).

A person says little and waits; a machine speaks on, and beeps.  The verdict has reasons and a
confidence from 0 to 1, and is given as early as possible.  A beep, or the tones of an exchange or
a fax, overrule an earlier verdict of lower confidence.
"""

from __future__ import annotations

from dataclasses import dataclass

GREETING = 2.4
"""Seconds of speech without a pause of `WAITS` that mark a machine's greeting."""
WAITS = 0.8
"""Seconds of silence after speech that mark a person waiting for an answer."""
SHORT = 1.8
"""Seconds of a person's first words; longer speech lowers the confidence in "human"."""
PATIENCE = 4.0
"""Seconds of silence from the start after which the verdict is "silence"."""
_TONES = {
    "beep": ("machine", 0.97, "a beep"),
    "sit": ("machine", 0.95, "special information tones of the network"),
    "cng": ("fax", 0.95, "the calling tone of a fax"),
    "ced": ("fax", 0.98, "the answer tone of a fax or modem"),
}


@dataclass(frozen=True, slots=True)
class AnswerClassification:
    """`kind` is "human", "machine", "fax" or "silence"."""

    kind: str
    confidence: float
    reasons: tuple[str, ...]


class AnsweringMachineDetector:
    """One call from its answer; times are seconds of media since then."""

    def __init__(self) -> None:
        self._spoke_first: float | None = None
        self._said = 0.0
        self._utterances = 0
        self._since: float | None = None
        self._quiet_since = 0.0
        self._verdict: AnswerClassification | None = None

    def voice(self, speaking: bool, at: float) -> None:
        """Note that speech began or ended at the time `at`."""
        if speaking:
            self._spoke_first = at if self._spoke_first is None else self._spoke_first
            self._since = at
            self._utterances += 1
        elif self._since is not None:
            self._said += at - self._since
            self._since, self._quiet_since = None, at

    def tone(self, name: str) -> AnswerClassification | None:
        """Note a tone by its name; return the verdict if it is new or has more confidence."""
        if name not in _TONES:
            return None
        kind, confidence, reason = _TONES[name]
        before = () if self._verdict is None else self._verdict.reasons
        if self._verdict is not None and self._verdict.confidence >= confidence:
            return None
        kept = before if self._verdict is not None and self._verdict.kind == kind else ()
        return self._set_verdict(kind, confidence, (*kept, reason))

    def classify_at(self, now: float) -> AnswerClassification | None:
        """Return the verdict once, as soon as speech or silence up to `now` allows one."""
        if self._verdict is not None:
            return None
        if self._spoke_first is None:
            if now < PATIENCE:
                return None
            return self._set_verdict("silence", 0.6, (f"nothing was said for {PATIENCE:g} s",))
        said = self._said + (0.0 if self._since is None else now - self._since)
        if said >= GREETING:
            return self._machine(said)
        if self._since is None and now - self._quiet_since >= WAITS:
            return self._waits(said)
        return None

    def _machine(self, said: float) -> AnswerClassification:
        reasons = [f"{said:.1f} s of speech without a pause of {WAITS:g} s"]
        confidence = 0.8
        if self._spoke_first is not None and self._spoke_first > 1.0:
            reasons.append(f"it began only after {self._spoke_first:.1f} s")
            confidence += 0.07
        return self._set_verdict("machine", confidence, tuple(reasons))

    def _waits(self, said: float) -> AnswerClassification:
        reasons = (f"{said:.1f} s of speech, then silence", f"{self._utterances} utterances")
        if said <= SHORT:
            return self._set_verdict("human", 0.92 - 0.2 * said / SHORT, reasons)
        return self._set_verdict("human", 0.55, reasons)

    def _set_verdict(
        self, kind: str, confidence: float, reasons: tuple[str, ...]
    ) -> AnswerClassification:
        self._verdict = AnswerClassification(kind, round(confidence, 2), reasons)
        return self._verdict
