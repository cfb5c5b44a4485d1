"""Which media engine a configuration asks for: one in this loop, or one in workers."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from softphone.errors import ConfigurationError
from softphone.media.engine import MediaEngine
from softphone.media.interface import MediaConfig, Placement
from softphone.sans_io import Entropy, Tap

if TYPE_CHECKING:
    from softphone.media.worker import RemoteEngine

AnyEngine: TypeAlias = "MediaEngine | RemoteEngine"


def make_engine(
    config: MediaConfig | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    entropy: Entropy = secrets.token_bytes,
    tap: Tap | None = None,
) -> AnyEngine:
    """The engine of `config`, to be entered.

    `clock`, `entropy` and `tap` are for one in this loop: a worker has the system's clock and
    random numbers of its own.  Raises ConfigurationError for a worker where there is no Linux,
    or together with a tap, which would see no media.
    """
    config = config or MediaConfig()
    if config.placement == Placement.INLINE:
        return MediaEngine(config, clock=clock, entropy=entropy, tap=tap)
    if sys.platform != "linux":
        raise ConfigurationError('media placement "worker" needs Linux; use "inline" here')
    if tap is not None:
        raise ConfigurationError(
            'a tap sees no media that a worker carries; use media placement "inline" with it'
        )
    # Most programs run no worker, and do not pay for loading what talks to one.
    from softphone.media.worker import RemoteEngine

    return RemoteEngine(config)
