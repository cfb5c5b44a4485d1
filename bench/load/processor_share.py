"""Limits a peer to a share of a core, by the CPU bandwidth control of a cgroup.

    share = ProcessorShare.of([pid], 0.5)  # half a core, or a text: why it is not possible
    ...
    share.close()                          # once the processes are gone

The peer runs as if on a correspondingly slower core: it gets its part of each PERIOD, and then
waits for the next.  The period is short, so that a phone's jitter buffer absorbs the delay.
Supports both versions of cgroup.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PERIOD", "ProcessorShare"]

PERIOD = 0.01
"""Seconds."""
MOUNTS = Path("/proc/self/mounts")
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class ProcessorShare:
    """A group of processes with a share of a core; `folder` is the group's."""

    folder: Path
    share: float

    @classmethod
    def of(cls, pids: Sequence[int], share: float) -> ProcessorShare | str:
        """Put processes into a group of their own, or say why that cannot be done."""
        found = _hierarchy()
        if found is None:
            return "no cgroup with a processor controller is mounted"
        root, second = found
        made = cls(root / f"softphone-bench-{os.getpid()}", share)
        quota, period = round(share * PERIOD * 1e6), round(PERIOD * 1e6)
        try:
            made.folder.mkdir()
            if second:
                (made.folder / "cpu.max").write_text(f"{quota} {period}")
            else:
                (made.folder / "cpu.cfs_period_us").write_text(str(period))
                (made.folder / "cpu.cfs_quota_us").write_text(str(quota))
            for pid in pids:
                (made.folder / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            made.close()
            return f"the cgroup cannot be written: {error.strerror or error}"
        return made

    def held_back(self) -> float:
        """Seconds for which the group had work to do and had to wait for its next period."""
        for line in (self.folder / "cpu.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name in ("throttled_time", "throttled_usec"):
                return int(value) * (1e-9 if name == "throttled_time" else 1e-6)
        return 0.0

    def close(self) -> None:
        """Take the group away, once its processes have ended."""
        deadline = time.monotonic() + PATIENCE
        while self.folder.exists():
            try:
                self.folder.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def _hierarchy() -> tuple[Path, bool] | None:
    """Where the processor's controller is mounted, and whether it is cgroup 2."""
    for line in MOUNTS.read_text().splitlines():
        _, place, kind, options = line.split()[:4]
        root = Path(place)
        if kind == "cgroup" and "cpu" in options.split(","):
            return root, False
        if kind == "cgroup2":
            granted = root / "cgroup.subtree_control"
            if granted.is_file() and "cpu" in granted.read_text().split():
                return root, True
    return None
