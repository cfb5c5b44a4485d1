"""What is registered, how, and how patiently (RFC 3261 section 10.2, RFC 5626 section 4.5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from softphone.backoff import ExponentialBackoff
from softphone.sans_io import Entropy, random_share
from softphone.sip.message import Body, NameAddr, SipUri
from softphone.sip.transport import KeepAliveConfig

SHORTEST_EARLY = 60.0
"""A grant that leaves less than this before its early refresh is refreshed the usual way."""


def refresh_after(expires: float, *, entropy: Entropy, early: float | None = None) -> float:
    """When to register again: after 80 to 90 % of the time granted, or `early` seconds before.

    At least 32 s are left where there is as much, so that a request may be retransmitted; a
    server that wants to be asked so many seconds `early` has it so.
    """
    if early is not None and expires - early >= SHORTEST_EARLY:
        return expires - early
    wait = expires * (0.8 + 0.1 * random_share(entropy))
    return max(min(wait, expires - 32.0), expires / 2, 1.0)


@dataclass(frozen=True, slots=True)
class BackoffConfig:
    """How long to wait after failures in a row (RFC 5626 section 4.5 and its appendix A).

    The wait after n failures is drawn from 50 to 100 % of min(ceiling, base * growth^n) seconds.
    A server that cannot be reached is being restarted, most often: it is asked again soon, and
    found within about half the time that it was away.  One that answers with a failure has too
    much to do: its waits are RFC 5626's, `answered_base` * 2^n.
    The first attempt after a working flow was lost comes within `spread` seconds, and that loss
    is no failure once the flow has held for `stable` seconds.  A Retry-After is honored up to
    `longest`.
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
        """Seconds until the next attempt after `failures` in a row, `answered` by the server."""
        base, growth = (self.answered_base, 2.0) if answered else (self.base, self.growth)
        if failures <= 0:
            wait = self.spread * random_share(entropy)
        else:
            backoff = ExponentialBackoff(base, self.ceiling, growth)
            wait = backoff.jittered_delay(failures, entropy=entropy)
        return max(wait, min(retry_after, self.longest))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationConfig:
    """What is registered, and how.

    `aor` goes into To and From; `registrar` is the Request-URI (no user part, RFC 3261 section
    10.2), `user` the user part of the Contact.  `expires` is asked for, in seconds.
    `instance_id` is a URN ("urn:uuid:..."), "" for none; with it `reg_id` asks for outbound.
    `route_set` is a pre-loaded Route (an outbound proxy); `headers` are added to every REGISTER,
    `first_headers` and `first_body` until one is granted, `contact_parameters` (as written; None: a
    flag) to its Contact.
    `option_tags` take the place of what Supported says otherwise.  With `refresh_early` the
    refresh goes out so many seconds before the end, and not after a share of the time.
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
