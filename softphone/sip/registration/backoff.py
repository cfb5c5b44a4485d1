"""How long a registration waits before it tries again (RFC 5626 section 4.5).

It counts what has failed in a row, and forgets it once a flow has held.  It sends nothing.
"""

from __future__ import annotations

from softphone.sans_io import Entropy
from softphone.sip.registration.config import BackoffConfig


class RegistrationBackoff:
    """The failures of one registration in a row, those of the server and those on the way to it."""

    def __init__(self, backoff: BackoffConfig, *, entropy: Entropy) -> None:
        self._config = backoff
        self._entropy = entropy
        self._unreached = 0
        self._rejections = 0
        self._up_since: float | None = None

    def reset(self) -> None:
        """Forget every failure."""
        self._unreached = self._rejections = 0

    def flow_registered(self, *, now: float) -> None:
        """The flow carries a registration, since now or for longer."""
        if self._up_since is None:
            self._up_since = now

    def flow_ended(self, *, now: float) -> bool:
        """The flow is no longer used; whether it held long enough to forget failures."""
        up_since, self._up_since = self._up_since, None
        held = up_since is not None and now - up_since >= self._config.stable
        if held:
            self.reset()
        return held

    def delay_after_loss(self, *, now: float) -> float:
        """Seconds until a flow that was lost is replaced."""
        held = self.flow_ended(now=now)
        wait = self._config.retry_delay(self._unreached, entropy=self._entropy)
        if not held:
            # A server that lets us in and drops us soon after is not stormed.
            self._unreached += 1
        return wait

    def delay_after_failure(self, retry_after: float | None) -> float:
        """Seconds until the next attempt after one has failed; None: nobody has answered."""
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
