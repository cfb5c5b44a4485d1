"""Processes of this machine, by /proc."""

from __future__ import annotations

from pathlib import Path


def runs(process: int) -> bool:
    """Whether a process lives and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
