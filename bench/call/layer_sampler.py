"""Samples in which layer a process spends its processor time, for bench_call_setup.

Interrupts the process every millisecond of processor time; the innermost frame in a known file
names the layer.  C code counts for the Python line that called it.  Garbage collection is timed
separately, and the rest is scaled to the processor time used.
"""

from __future__ import annotations

import gc
import signal
import time
from collections import Counter
from types import FrameType
from typing import Any

__all__ = ["LAYERS", "LayerSampler"]

LAYERS = {
    "TLS and sockets": ("asyncio/sslproto", "asyncio/selector_events", "/ssl.py", "softphone/net/"),
    "framing and parse": ("sip/message/",),
    "transaction": (
        "sip/transaction/",
        "rate_limit.py",
        "sip/transport/flow_table",
        "sip/registration/backoff",
        "sans_io.py",
    ),
    "SRTP contexts": ("softphone/srtp/", "pylibsrtp"),
    "SDP": ("softphone/sdp/", "call/leg/negotiation", "call/leg/refusal"),
    "dialog": ("softphone/sip/",),
    "media": ("softphone/media/", "softphone_codecs", "softphone/rtp/", "call/leg/media_row"),
    "Call": (
        "softphone/call/",
        "softphone/account/",
        "softphone/config/",
        "softphone/phone/",
        "softphone/device/",
        "softphone/personas/",
        "softphone/security",
        "softphone/lab/",
        "softphone/openssl_provider",
        "softphone/trust/",
        "softphone/events",
    ),
    "event loop": ("/asyncio/", "/selectors"),
}
"""Layers by parts of file names; the first that fits a file counts."""

INTERVAL = 0.001
OTHER = "generator and other"


class LayerSampler:
    """Counts from `start` to `stop`; gives microseconds by layer."""

    def __init__(self) -> None:
        self._samples: Counter[str] = Counter()
        self._layer_of: dict[str, str | None] = {}
        self._collecting = 0.0
        self._collection_began = 0.0
        self._began = 0.0

    def start(self) -> None:
        """Begin to count."""
        self._samples.clear()
        self._collecting = 0.0
        gc.callbacks.append(self._collected)
        signal.signal(signal.SIGPROF, self._sample)
        self._began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def stop(self) -> dict[str, float]:
        """Microseconds of processor time since `start`, by layer; they add up to all there were."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        used = time.process_time() - self._began
        gc.callbacks.remove(self._collected)
        rest = max(0.0, used - self._collecting) / max(1, self._samples.total())
        found = {name: self._samples[name] * rest * 1e6 for name in (*LAYERS, OTHER)}
        return found | {"garbage collection": self._collecting * 1e6}

    def _collected(self, phase: str, _: dict[str, Any]) -> None:
        if phase == "start":
            self._collection_began = time.process_time()
        else:
            self._collecting += time.process_time() - self._collection_began

    def _sample(self, _: int, frame: FrameType | None) -> None:
        while frame is not None:
            file = frame.f_code.co_filename
            if file not in self._layer_of:
                self._layer_of[file] = _layer_of(file)
            layer = self._layer_of[file]
            if layer is not None:
                self._samples[layer] += 1
                return
            frame = frame.f_back
        self._samples[OTHER] += 1


def _layer_of(file: str) -> str | None:
    return next((name for name, parts in LAYERS.items() if any(p in file for p in parts)), None)
