"""`python -m tests.peers up --state FILE`: make the root, start the shared peers, hold them.

FILE appears when the shared peers are ready, or when it is known that there will be none; it is
JSON for `state.py`.  The process then waits for SIGTERM or SIGINT and takes everything down; if
it is killed, the kernel does.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.peers.state import SharedPeers


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the shared peers and hold them")
    up.add_argument("--state", type=Path, required=True, help="where to say how to reach them")
    arguments = parser.parse_args()
    # SIGTERM must run the context managers' ends, so it is an ordinary exit here.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="softphone-peers-") as folder:
        peers = SharedPeers.make(Path(folder), make_root=True)
        try:
            for line in peers.describe():
                print(line, flush=True)
            print(f"ready after {time.monotonic() - started:.1f} s", flush=True)
            peers.save(arguments.state)
            signal.pause()
        except KeyboardInterrupt:
            return 0
        finally:
            peers.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
