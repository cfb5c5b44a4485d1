"""The media engine in a process of its own, and what stands for it in the application's process.

Commands go down and events come up over a socket pair, sound and statistics over shared memory; it
runs on Linux only.  The engine that runs in the worker is `softphone.media.engine`, the choice
between both is made in `softphone.media.placement`.  Video is not moved: it stays in the
application's process.  Workers of load runs are in `softphone.load.distribute`.

No standard: messages and memory have formats of their own.  `process` is imported by its module:
it is run by `python -m softphone.media.worker.process`.
"""

from __future__ import annotations

from softphone.media.worker.remote_engine import RemoteEngine

__all__ = ["RemoteEngine"]
