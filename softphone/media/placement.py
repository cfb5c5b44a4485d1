"""The choice of media engine: in this event loop, or in worker processes."""

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
    """Make the engine that `config.placement` names; the caller enters it with `async with`.

    `clock`, `entropy` and `tap` apply to an inline engine; a worker uses the system's clock and
    its own random numbers.  Raises ConfigurationError for a worker on a system other than Linux,
    and for a worker together with a tap, which would see no media.
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
    # Imported here because most programs run no worker and should not load its client.
    from softphone.media.worker import RemoteEngine

    return RemoteEngine(config)
