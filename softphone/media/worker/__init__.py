"""Runs media engines in worker processes, and controls them from the application's process.

Commands and events use a socket pair, audio and statistics use shared memory; Linux only.  The
worker runs `softphone.media.engine`; `softphone.media.placement` chooses between an engine in the
application's process and workers.  Video always stays in the application's process.  Workers of
load runs are in `softphone.load.distribute`.

No standard: messages and memory have formats of their own.  `process` is not imported here: it is
run by `python -m softphone.media.worker.process`.
"""

from __future__ import annotations

from softphone.media.worker.remote_engine import RemoteEngine

__all__ = ["RemoteEngine"]
