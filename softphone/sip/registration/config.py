"""The configuration of a registration and its waits (RFC 3261 section 10.2, RFC 5626 4.5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from softphone.backoff import ExponentialBackoff
from softphone.sans_io import Entropy, random_share
from softphone.sip.message import Body, NameAddr, SipUri
from softphone.sip.transport import KeepAliveConfig

SHORTEST_EARLY = 60.0
"""Seconds: a binding with less time before its early refresh gets the usual refresh instead."""


def refresh_after(expires: float, *, entropy: Entropy, early: float | None = None) -> float:
    """Return the seconds until the refresh: 80 to 90 % of `expires`, or `early` s before its end.

    Leaves at least 32 s for retransmissions if half of `expires` allows it.  `early` counts only if
    the refresh is then at least `SHORTEST_EARLY` seconds away.
    """
    if early is not None and expires - early >= SHORTEST_EARLY:
        return expires - early
    wait = expires * (0.8 + 0.1 * random_share(entropy))
    return max(min(wait, expires - 32.0), expires / 2, 1.0)


@dataclass(frozen=True, slots=True)
class BackoffConfig:
    """The waits after consecutive failures (RFC 5626 section 4.5 and its appendix A), in seconds.

    The wait after n failures is drawn from 50 to 100 % of min(ceiling, base * growth^n).  An
    unreachable server is usually restarting: these short waits find it again within about half the
    time that it was away.  A server that answers with a failure is overloaded: its waits are those
    of RFC 5626, `answered_base` * 2^n.
    The first attempt after the loss of a working flow comes within `spread` seconds; that loss is
    no failure if the flow had held for `stable` seconds.  A Retry-After is honored up to `longest`.
    """

    base: float = 1.0
    growth: float = 1.5
    answered_base: float = 30.0
    ceiling: float = 1800.0
    spread: float = 1.0
    stable: float = 120.0
    longest: float = 3600.0

    def retry_delay(
        self,
        failures: int,
        *,
        entropy: Entropy,
        answered: bool = False,
        retry_after: float = 0.0,
    ) -> float:
        """Return the seconds until the next attempt after `failures` in a row.

        `answered`: the server answered with a failure; otherwise it could not be reached.
        """
        base, growth = (self.answered_base, 2.0) if answered else (self.base, self.growth)
        if failures <= 0:
            wait = self.spread * random_share(entropy)
        else:
            backoff = ExponentialBackoff(base, self.ceiling, growth)
            wait = backoff.jittered_delay(failures, entropy=entropy)
        return max(wait, min(retry_after, self.longest))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationConfig:
    """The configuration of one registration.

    `aor` goes into To and From; `registrar` is the Request-URI (no user part, RFC 3261 section
    10.2), `user` the user part of the Contact.  `expires` is the time to ask for, in seconds.
    `instance_id` is a URN ("urn:uuid:..."), "" for none; with it and `outbound`, `reg_id` asks for
    outbound.  `route_set` is a pre-loaded Route (an outbound proxy).  Every REGISTER has `headers`,
    those before the first 2xx also `first_headers` and `first_body`; its Contact has
    `contact_parameters` (as written; None: a flag).
    `option_tags` replace the default Supported.  `refresh_early` sends the refresh so many seconds
    before expiry instead of after a share of the time.
    """

    aor: NameAddr
    registrar: SipUri
    user: str
    expires: int = 3600
    instance_id: str = ""
    reg_id: int = 1
    outbound: bool = True
    gruu: bool = True
    secure_contact: bool = False
    route_set: tuple[NameAddr, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    first_headers: tuple[tuple[str, str], ...] = ()
    first_body: Body | None = None
    contact_parameters: tuple[tuple[str, str | None], ...] = ()
    option_tags: tuple[str, ...] | None = None
    refresh_early: float | None = None
    backoff: BackoffConfig = field(default_factory=BackoffConfig)
    keepalive: KeepAliveConfig = field(default_factory=KeepAliveConfig)
