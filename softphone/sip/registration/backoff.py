"""The back-off of a registration between attempts (RFC 5626 section 4.5).

Counts consecutive failures and resets the count once a flow has held.  Sends nothing.
"""

from __future__ import annotations

from softphone.sans_io import Entropy
from softphone.sip.registration.config import BackoffConfig


class RegistrationBackoff:
    """Counts consecutive failures of one registration: server unreachable, or REGISTER rejected."""

    def __init__(self, backoff: BackoffConfig, *, entropy: Entropy) -> None:
        self._config = backoff
        self._entropy = entropy
        self._unreached = 0
        self._rejections = 0
        self._up_since: float | None = None

    def reset(self) -> None:
        """Reset both counts of failures."""
        self._unreached = self._rejections = 0

    def flow_registered(self, *, now: float) -> None:
        """Note that the flow carries a registration, from the first call on."""
        if self._up_since is None:
            self._up_since = now

    def flow_ended(self, *, now: float) -> bool:
        """Note the end of the flow; if it held for `stable` seconds, reset the counts (True)."""
        up_since, self._up_since = self._up_since, None
        held = up_since is not None and now - up_since >= self._config.stable
        if held:
            self.reset()
        return held

    def delay_after_loss(self, *, now: float) -> float:
        """Return the seconds until a lost flow is replaced."""
        held = self.flow_ended(now=now)
        wait = self._config.retry_delay(self._unreached, entropy=self._entropy)
        if not held:
            # Back off from a server that accepts a registration and soon drops the flow.
            self._unreached += 1
        return wait

    def delay_after_failure(self, retry_after: float | None) -> float:
        """Return the seconds until the next attempt; `retry_after` None: no response came."""
        answered = retry_after is not None
        if answered:
            self._rejections += 1
        else:
            self._unreached += 1
        return self._config.retry_delay(
            self._rejections if answered else self._unreached,
            entropy=self._entropy,
            answered=answered,
            retry_after=retry_after or 0.0,
        )
