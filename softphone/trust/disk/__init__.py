"""softphone.trust.disk."""

from __future__ import annotations

from softphone.trust.disk.private_file import read_whole, readable_by_others, write_private
from softphone.trust.disk.private_folder import locked, make_folder, sweep, synchronize

__all__ = [
    "locked",
    "make_folder",
    "read_whole",
    "readable_by_others",
    "sweep",
    "synchronize",
    "write_private",
]
