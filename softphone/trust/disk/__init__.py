"""Private files and folders: atomic replacement, permissions, locks and bounded reading.

Files are replaced by a rename, and readable by their owner only by default; a lock file serializes
the changes of several processes.  `softphone.trust.keystore` stores certificates and keys with it,
and encrypts where needed; `softphone.provisioning` stores configurations.

No standard: POSIX permissions and renames, and flock.
"""

from __future__ import annotations

from softphone.trust.disk.private_file import (
    check_file,
    read_whole,
    readable_by_others,
    write_private,
)
from softphone.trust.disk.private_folder import (
    check_folder,
    locked,
    make_folder,
    remove_leftovers,
    synchronize,
)

__all__ = [
    "check_file",
    "check_folder",
    "locked",
    "make_folder",
    "read_whole",
    "readable_by_others",
    "remove_leftovers",
    "synchronize",
    "write_private",
]
