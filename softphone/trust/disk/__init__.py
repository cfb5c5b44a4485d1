"""softphone.trust.disk."""

from __future__ import annotations

from softphone.trust.disk.private_file import read_whole, readable_by_others, write_private
from softphone.trust.disk.private_folder import locked, make_folder, remove_leftovers, synchronize

__all__ = [
    "locked",
    "make_folder",
    "read_whole",
    "readable_by_others",
    "remove_leftovers",
    "synchronize",
    "write_private",
]
