"""The times of SIPp's own options, which are milliseconds unless they say otherwise."""

from __future__ import annotations

import math
import re

from softphone.errors import ConfigurationError

_TIME = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ms|s|m|h)?")
_SECONDS = {None: 1e-3, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_sipp_time(option: str, text: str) -> float:
    """Return the seconds of a time as SIPp's `-rp` and `-d` have it: 2000, 500ms, 5s, 1m, 1h.

    Raises ConfigurationError.
    """
    match = _TIME.fullmatch(text)
    seconds = math.inf if match is None else float(match[1]) * _SECONDS[match[2]]
    if not math.isfinite(seconds):
        raise ConfigurationError(f"{option} {text}: expected milliseconds, or 5s, 1m or 1h")
    return seconds
